"""The terminal's file. One connection writes and checkpoints; others only read.

Write-ahead log under `synchronous=FULL`: one flush a commit, and a committed tap survives the plug. `psow=0`: a torn
4 KiB block does not take a committed neighbour with it (sqlite.org/psow.html).
"""

import sqlite3
from pathlib import Path
from typing import Any

from agent.errors import StoreError
from agent.sqlite_file import Form, SqliteFile
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES

BUSY_TIMEOUT_MS = 2_000  # a technician's sqlite3 may hold the file for a moment
WAL_PAGES_MAX = 16_384  # 16 MiB: checkpoints belong to quiet moments, this only bounds the file in a day without one

FORM = Form(
    owner="a terminal's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=(
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    ),
    options="&psow=0",
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=StoreError,
)


class Database(SqliteFile):
    """The terminal's connection; `read_only` for the command line."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: no terminal has run here yet")
        self.read_only = read_only
        self.standing: tuple[int, Any] | None = None  # of reads.standing
        super().__init__(path, FORM, "ro" if read_only else "rwc")

    def compact(self) -> None:
        """Write the file anew without its free pages, and empty the write-ahead log. For a box that must forget."""
        try:
            self.sql.execute("VACUUM")
            self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: not compacted: {error}") from error

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the file as far as readers allow. Never on a tap's path."""
        try:
            self.sql.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: checkpoint failed: {error}") from error
