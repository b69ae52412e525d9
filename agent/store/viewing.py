"""Opens a ledger for commands that only read it.

Beside a running agent the file is read in place: SQLite keeps both apart. Without one, SQLite would
write beside the file even to read it: an index, and for an empty file it deletes the log. So copies
are read, and nothing in the folder changes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.errors import DamagedError, StoreError
from agent.store.database import Database
from agent.store.wal import LogLook, LogState, look_at

LOCK_NAME = "lock"  # in the state_dir; a running agent holds it
_LOCKS = Path("/proc/locks")


@contextmanager
def view(path: Path) -> Iterator[Database]:
    """Open a ledger for reading, on one snapshot. Raise `StoreError` with the ledger's own name."""
    try:
        if not path.exists():
            raise StoreError(f"{path}: does not exist; no terminal has run here yet")
        is_live = is_open(path)
        look = LogLook(LogState.WHOLE) if is_live else look_at(_beside(path, "-wal"))
        if look.state is LogState.DAMAGED:
            raise DamagedError(f"{path}: {look.reason}; start the agent, which saves what it can")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    if is_live:
        with closing(Database(path, read_only=True)) as db, db.reading():
            yield db
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        try:
            for end in ("", "-wal"):
                source = _beside(path, end)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + end))
        except OSError as error:
            raise StoreError(f"{path}: cannot be copied to be read: {error}") from error
        try:
            with closing(Database(copy, read_only=True)) as db, db.reading():
                yield db
        except StoreError as error:
            error.args = (str(error).replace(str(copy), str(path)),)
            raise


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def is_open(path: Path) -> bool:
    """Return whether a process has a ledger open: SQLite then holds a lock on its index.

    By the kernel's list: a lock of our own could stop an agent's start. An agent that is out of
    order holds its lock on the folder, but not this one. On an overlay file system the list has
    another device, so the number of the file alone counts.
    """
    try:
        number = os.stat(_beside(path, "-shm")).st_ino
        held = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return False
    return f":{number} " in held
