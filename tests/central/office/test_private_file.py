"""Files of the office: whole, and for their owner only."""

import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.central.office.private_file import make_folder, write_private
from agent.errors import CentralError


def test_only_the_owner_may_read_what_is_written(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    path = tmp_path / "a" / "b" / "file"
    write_private(path, [b"fi", b"rst"])
    write_private(path, [b"second"])
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_disk_that_is_full_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, [b"fi", b"rst"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(CentralError, match="cannot be written: File too large"):
            write_private(path, [bytes(2_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"first")]


def test_parts_that_end_in_an_error_leave_the_earlier_file(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"second"
        raise CentralError("the books cannot be read")

    path = tmp_path / "file"
    write_private(path, [b"first"])
    with pytest.raises(CentralError, match="the books"):
        write_private(path, parts())
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"first")]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CentralError, match=r"file/x: cannot be made: Not a directory"):
        make_folder(tmp_path / "file" / "x")
    with pytest.raises(CentralError, match=r"nowhere/x: cannot be written: No such file"):
        write_private(tmp_path / "nowhere" / "x", [])
