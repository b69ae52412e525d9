"""A file that is written whole, with its mode."""

import os
import stat
from pathlib import Path

import pytest

from agent.whole_file import PUBLIC_MODE, SECRET_MODE, write_whole
from tests.crash.recording import record_code
from tests.crash.replay import read_recording


@pytest.mark.parametrize("mode", [SECRET_MODE, PUBLIC_MODE])
def test_a_file_has_its_mode_whatever_the_umask_is(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "file", "text\n", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert (tmp_path / "file").read_text() == "text\n"


def test_a_secret_is_never_readable_by_others_while_it_is_written(tmp_path: Path) -> None:
    """A reader that had opened the file before keeps the old one."""
    write_whole(tmp_path / "file", "old", PUBLIC_MODE)
    with (tmp_path / "file").open() as opened:
        write_whole(tmp_path / "file", "new", SECRET_MODE)
        assert opened.read() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_rest_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_text("half a fi")
    (tmp_path / "file.new").chmod(0o444)
    write_whole(tmp_path / "file", "whole", SECRET_MODE)
    assert (tmp_path / "file").read_text() == "whole"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_on_the_disk_with_its_name_before_the_program_goes_on(tmp_path: Path) -> None:
    """Contents first, then the name, then the folder: no power cut leaves half of one."""
    code = (
        "from agent.whole_file import PUBLIC_MODE, write_whole\n"
        'write_whole(disk / "file", "text", PUBLIC_MODE)'
    )
    ops = [(op.op, op.name) for op in read_recording(record_code(tmp_path, code))]
    written = ops.index(("W", "file.new"))
    assert ops[written:] == [
        ("W", "file.new"),
        ("S", "file.new"),
        ("R", "file.new"),
        ("D", ""),
    ]


def test_a_folder_that_is_missing_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing/file"):
        write_whole(tmp_path / "missing" / "file", "text", PUBLIC_MODE)
