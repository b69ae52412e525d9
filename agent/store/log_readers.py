"""Names the programs that keep a ledger's write-ahead log from being used again.

A program with an open transaction still needs the log as it was when its transaction began. SQLite
then only appends to it, so on a full disk the reserve is soon gone. The kernel's list of locks
names that program: a reader holds one of the read marks of the log's index (walformat, 2.3.2).
"""

import os
from pathlib import Path

# Bytes of the index: five read marks. Every open connection holds a lock on the byte behind them.
READ_MARKS = range(123, 128)


def log_readers(ledger: Path, locks: Path = Path("/proc/locks")) -> list[str]:
    """Return the programs that are reading a ledger, but not this process: `name (pid 123)`."""
    try:
        status = os.stat(f"{ledger}-shm")
        lines = locks.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    index = f"{major:02x}:{minor:02x}:{status.st_ino}"
    pids = {_pid_of_reader(line.split(), index) for line in lines}
    return [f"{_name_of(pid)} (pid {pid})" for pid in sorted(pids - {0, os.getpid()})]


def _pid_of_reader(words: list[str], index: str) -> int:
    """Return whose lock on a read mark a line shows, 0 for another lock or one that waits."""
    match words:
        case [_, "POSIX", _, "READ", pid, file, first, last] if file == index:
            spans = set(range(int(first), int(last) + 1)) if last != "EOF" else set()
            return max(0, int(pid)) if spans & set(READ_MARKS) else 0
        case _:
            return 0


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "another program"
