"""Which other programs have a serial port open, by name. Reads /proc; `proc` is /proc on a machine.

Only root sees the open files of other users. The holder of a lock is visible to everybody.
"""

import contextlib
import os
from pathlib import Path

from agent.file_locks import PROC, locks_on, program

# Of pseudo-terminals (Linux, Documentation/admin-guide/devices.txt). Each mount has its own.
_TERMINAL_MAJORS = range(136, 144)


def users_of(port: str, proc: Path = PROC) -> list[str]:
    """Return the other programs that have a port open or locked, as in `cat (pid 7)`.

    Programs that may not be seen are missing.
    """
    target = os.path.realpath(port)
    pids = {pid for pid in _pids(proc) if _has_open(proc / str(pid), target)}
    pids |= {lock.pid for lock in locks_on(target, proc)}
    return [program(pid, proc) for pid in sorted(pids - {0, os.getpid()})]


def _pids(proc: Path) -> list[int]:
    return [int(folder.name) for folder in proc.iterdir() if folder.name.isdigit()]


def _has_open(process: Path, target: str) -> bool:
    """Return whether a process has a file open.

    Its links are read first: a stat of any file could block.
    """
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:  # of another user, or ended meanwhile
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.readlink(descriptor) == target and _is_same(os.stat(descriptor), os.stat(target)):
                return True
    return False


def _is_same(file: os.stat_result, other: os.stat_result) -> bool:
    """Return whether two files are one device. A container has terminals of the same name."""
    if os.major(other.st_rdev) in _TERMINAL_MAJORS:
        return os.path.samestat(file, other)
    return file.st_rdev == other.st_rdev
