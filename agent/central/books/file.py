"""`Books`: one connection to the central's SQLite file.

The file has a rollback journal and `synchronous=EXTRA`. The office commands and the running central
are several processes that write. SQLite's write-ahead log is not safe for that in the version of
Debian 12 (the WAL-reset bug of sqlite.org, fixed in 3.51.3). A committed batch is acknowledged to
its terminal, so it must survive a power cut.
"""

from pathlib import Path
from typing import Any

from agent.central.books.schema import APPLICATION_ID, MIGRATIONS
from agent.errors import CentralError
from agent.sqlite_file import FileKind, SqliteFile

BUSY_TIMEOUT_MS = 10_000

FILE_KIND = FileKind(
    owner="a central's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=("journal_mode = DELETE", "synchronous = EXTRA"),
    options="",
    functions={},
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=CentralError,
    damaged=CentralError,
)


class Books(SqliteFile[tuple[Any, ...]]):
    """One connection, used by one thread. Raises `CentralError`."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create and path.exists():
            raise CentralError(f"{path}: already exists; init creates a new central")
        if not create and not path.exists():
            raise CentralError(f"{path}: no such file; create it with: canteen-central init")
        super().__init__(path, FILE_KIND, "rwc" if create else "rw")

    def erase_deleted(self) -> None:
        """Let what is deleted from now on be overwritten in the file."""
        self.sql.execute("PRAGMA secure_delete = ON")

    def version(self) -> int:
        """Return a number that changes when another process has committed."""
        return int(self.only_row("PRAGMA data_version")[0])
