"""One `canteen-central serve` for each database: two would throw each other off the broker.

The lock is on a file beside the database, and ends with the process. It is never on the database
itself: closing any descriptor of that file would end SQLite's own locks on it.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import AgentError


@contextmanager
def sole_server(db_path: Path) -> Iterator[None]:
    """Hold the lock. Raise `AgentError` if another process serves this database."""
    path = Path(f"{db_path.resolve()}.serve-lock")
    try:
        with open(path, "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise AgentError(
            f"{db_path}: another canteen-central serve runs on this database; stop it first"
            f" (it holds {path})"
        ) from None
    except OSError as error:
        raise AgentError(f"{path}: cannot be locked: {error}") from error
