"""Names the programs that keep a ledger's write-ahead log from being used again.

A program with an open transaction still needs the log as it was when its transaction began. SQLite
then only appends to it, so on a full disk the reserve is soon gone. Such a reader holds one of the
read marks of the log's index (SQLite's walformat, 2.3.2).
"""

import os
from pathlib import Path

from agent.file_locks import PROC, locks_on, program

# Bytes of the index: five read marks. Every open connection holds a lock on the byte behind them.
READ_MARKS_FIRST, READ_MARKS_LAST = 123, 127


def log_readers(ledger: Path, proc: Path = PROC) -> list[str]:
    """Return the programs that are reading a ledger, but not this process: `name (pid 123)`."""
    pids = {
        lock.pid
        for lock in locks_on(f"{ledger}-shm", proc)
        if lock.mode == "READ" and lock.first <= READ_MARKS_LAST and lock.last >= READ_MARKS_FIRST
    }
    return [program(pid, proc) for pid in sorted(pids - {0, os.getpid()})]
