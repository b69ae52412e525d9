"""Certificates made by docs/broker/certificates.sh, as a town makes them."""

import os
import subprocess
from pathlib import Path

from tests.parts.process import ROOT, require


def make_certificate(folder: Path, kind: str, name: str, *, days: int = 730) -> None:
    """Make the authority, or a broker's or client's certificate, in a folder."""
    require("openssl")
    command = ["sh", str(ROOT / "docs" / "broker" / "certificates.sh"), kind, name]
    environment = {**os.environ, "DAYS": str(days)}
    subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=True, timeout=60
    )
