"""Who holds a file's locks, from the kernel's list."""

import fcntl
import os
from pathlib import Path

import pytest

from agent.file_locks import Lock, locks_on, program


def test_a_lock_that_is_held_is_listed_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 3, 10)
        assert locks_on(path) == [Lock(os.getpid(), "WRITE", 10, 12)]
    assert locks_on(path) == []


@pytest.mark.parametrize(
    ("line", "locks"),
    [
        ("1: POSIX  ADVISORY  READ 7 FILE 123 124", [Lock(7, "READ", 123, 124)]),
        ("1: FLOCK  ADVISORY  WRITE 7 FILE 0 EOF", [Lock(7, "WRITE", 0, 2**63 - 1)]),
        ("1: POSIX  ADVISORY  READ 7 FILE 0 9223372036854775806", [Lock(7, "READ", 0, 2**63 - 2)]),
        ("1: -> POSIX  ADVISORY  READ 7 FILE 0 EOF", []),  # waits
        ("1: POSIX  ADVISORY  READ 7 00:00:1 0 EOF", []),  # another file
        ("1: OFDLCK ADVISORY  READ -1 FILE 0 EOF", []),  # a holder without a number
        ("", []),
        ("no line of the kernel", []),
    ],
)
def test_a_line_is_a_lock_on_this_file_or_none(
    tmp_path: Path, line: str, locks: list[Lock]
) -> None:
    path = tmp_path / "file"
    path.touch()
    status = os.stat(path)
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    (tmp_path / "locks").write_text(line.replace("FILE", name) + "\n")
    assert locks_on(path, tmp_path) == locks


def test_what_cannot_be_read_has_no_locks(tmp_path: Path) -> None:
    assert locks_on(tmp_path / "missing") == []
    (tmp_path / "file").touch()
    assert locks_on(tmp_path / "file", tmp_path / "missing") == []


def test_a_program_has_a_printable_name_or_none(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_bytes(b"a\x1b[2Jb\n")
    assert program(7, tmp_path) == "a[2Jb (pid 7)"
    assert program(8, tmp_path) == "a program (pid 8)"
