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

from agent.errors import StoreError
from agent.store.database import Database

LOCK_NAME = "lock"  # in the state_dir; a running agent holds it
_LOCKS = Path("/proc/locks")


@contextmanager
def view(path: Path) -> Iterator[Database]:
    """Open a ledger for reading, on one snapshot. Raise `StoreError` with the ledger's own name."""
    if not path.exists():
        raise StoreError(f"{path}: does not exist; no terminal has run here yet")
    if _is_locked(path.parent / LOCK_NAME):
        with closing(Database(path, read_only=True)) as db, db.reading():
            yield db
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        try:
            for end in ("", "-wal"):
                source = path.with_name(path.name + end)
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


def _is_locked(lock: Path) -> bool:
    """Return whether a process holds a lock, by the kernel's list: a try could stop its start."""
    try:
        status = os.stat(lock)
        held = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return False
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    return f" {device}:{status.st_ino} " in held
