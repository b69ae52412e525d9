"""Which processes hold a file's locks, from the kernel's list, which every user may read.

A line is as in `1: POSIX  ADVISORY  READ 7 00:05:131 123 123`; one with `->` waits for a lock.
"""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_TO_THE_END = 2**63 - 1


class Lock(NamedTuple):
    """A lock that a process holds on the bytes `first` to `last`, both included."""

    pid: int
    mode: str  # READ or WRITE
    first: int
    last: int


def locks_on(path: str | Path, proc: Path = PROC) -> list[Lock]:
    """Return the locks on a file that are held; none where it or the list cannot be read."""
    try:
        status = os.stat(path)
        lines = (proc / "locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = (_lock(line.split(), file) for line in lines)
    return [lock for lock in locks if lock is not None]


def program(pid: int, proc: Path = PROC) -> str:
    """Return a process by name and number: `cat (pid 7)`, or `a program (pid 7)`."""
    try:
        name = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        name = "a program"
    return f"{''.join(letter for letter in name if letter.isprintable())} (pid {pid})"


def _lock(words: list[str], file: str) -> Lock | None:
    """Return the lock of a line. A holder that may not be seen has no number above zero."""
    match words:
        case [_, _, _, mode, pid, name, first, last] if name == file and pid.isdigit():
            return Lock(int(pid), mode, int(first), _TO_THE_END if last == "EOF" else int(last))
        case _:
            return None
