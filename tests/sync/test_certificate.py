"""When a certificate ends, read from real certificates."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.central.enrolment.authority import TERMINAL_DAYS
from agent.errors import SyncError
from agent.sync.certificate import valid_until
from tests.parts.certificates import make_authority, make_client_certificate
from tests.parts.process import require


@pytest.mark.parametrize("days", [1, 730, 20_000])  # 20,000 days: a year after 2050
def test_the_end_is_what_openssl_says(tmp_path: Path, days: int) -> None:
    made_at = datetime.now(UTC) + timedelta(days=days - TERMINAL_DAYS)
    make_authority(tmp_path, made_at=made_at)
    make_client_certificate(tmp_path, "borgofiorito/t/t-1", days=days)
    file = tmp_path / "borgofiorito" / "t" / "t-1.crt"
    command = [require("openssl"), "x509", "-in", str(file), "-noout", "-enddate"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    ends = datetime.strptime(done.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y GMT")
    assert valid_until(file.read_text(encoding="ascii")) == ends.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_a_text_that_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(SyncError, match="not a certificate"):
        valid_until(text)
