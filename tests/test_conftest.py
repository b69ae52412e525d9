"""What all tests share: each keeps little on the medium."""

import os
from pathlib import Path

from tests.conftest import FOLDER_BYTES_MAX, used_bytes


def test_a_folder_takes_what_is_written_and_not_what_is_sparse(tmp_path: Path) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 2 * FOLDER_BYTES_MAX)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "written").write_bytes(b"x" * 1_000_000)
    assert 1_000_000 <= used_bytes(tmp_path) < 1_100_000
