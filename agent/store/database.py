"""The terminal's file. One connection writes and checkpoints; others only read.

Write-ahead log under `synchronous=FULL`: one flush a commit, and a committed tap survives the plug. `psow=0`: a torn
4 KiB block does not take a committed neighbour with it (sqlite.org/psow.html).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FileKind, SqliteFile
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES

BUSY_TIMEOUT_MS = 2_000  # a technician's sqlite3 may hold the file for a moment
WAL_PAGES_MAX = 16_384  # 16 MiB: checkpoints belong to quiet moments, this only bounds the file in a day without one
HEADROOM_PIECE_BYTES = 512 * 1024
HEADROOM_BYTES = (
    12 * 1024 * 1024
)  # a week of meals of a large school on a full disk; a lunch of 500 taps as a journal

FORM = FileKind(
    owner="a terminal's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=(
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = OFF",  # Debian's SQLite zeroes what is freed: more blocks for the card. A wipe makes the file anew
        f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    ),
    options="&psow=0",
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=StoreError,
    damaged=DamagedError,
)


class Database(SqliteFile[tuple[Any, ...]]):
    """The terminal's connection; `read_only` for the command line."""

    def __init__(
        self, path: Path, *, read_only: bool = False, headroom_bytes: int = HEADROOM_BYTES
    ) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: no terminal has run here yet")
        self.read_only = read_only
        self._headroom_bytes = headroom_bytes
        self.kept: dict[
            str, Any
        ] = {}  # what reads.py has read and need not read again before the next write: nobody else writes
        super().__init__(path, FORM, "ro" if read_only else "rwc")

    def reopen(self) -> None:
        self.kept.clear()
        super().reopen()

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        """As every file's. For `writes.record`, which tells `reads.keep_after` what has become of what is kept."""
        try:
            self._require_in_place()
            super().write_one(statement, values)
        except StoreError:
            self.kept.clear()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """As every file's; and what was kept in memory is read anew afterwards."""
        self.kept.clear()
        self._require_in_place()
        try:
            with super().transaction() as sql:
                yield sql
        finally:
            self.kept.clear()

    def _require_in_place(self) -> None:
        """SQLite writes on into a file that has been taken away, and says nothing: what it takes then is lost with the process."""
        if not self.is_in_place():
            raise StoreError(
                f"{self.path}: it or its journal was taken away or exchanged while the agent runs"
            )

    def compact(self) -> None:
        """Write the file anew without its free pages, empty the write-ahead log, remove copies from before migrations. For a box
        that must forget. Raises `StoreError` while somebody reads: then something may be left."""
        try:
            self.sql.execute("VACUUM")
            (busy, _, _) = self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            for copy in self.path.parent.glob(f"{self.path.name}.schema-*"):
                copy.unlink()
        except (sqlite3.Error, OSError) as error:
            raise self.fault("not compacted", error) from error
        if busy:
            raise StoreError(f"{self.path}: not compacted: another program is reading it")

    def checkpoint(self) -> bool:
        """Bring the write-ahead log into the file as far as readers allow; return whether all of it is there. Never on a tap's path."""
        _, frames, done = self.only_row("PRAGMA wal_checkpoint(PASSIVE)")
        return bool(frames == done)

    def reserve(self) -> None:
        """Hold free pages within the file, and a write-ahead log that is as long already: a disk that another program fills still
        takes a week of meals, and a tap overwrites blocks it has instead of asking for new ones (half the time of a flush)."""
        journal = self.path.with_name(self.path.name + "-wal")
        try:
            (free,) = self.sql.execute("PRAGMA freelist_count").fetchone()
            (page_bytes,) = self.sql.execute("PRAGMA page_size").fetchone()
            held = journal.stat().st_size if journal.exists() else 0
            if min(free * page_bytes, held) >= self._headroom_bytes // 2:
                return  # it is used and given back all the time: written anew only when half is gone, or it would wear the card
            # transactions of their own: pages that are freed in the one that made them are never written; and small enough for the
            # page cache, or each page would be written twice
            self.sql.execute("CREATE TABLE IF NOT EXISTS headroom (zeros BLOB)")
            piece = min(self._headroom_bytes, HEADROOM_PIECE_BYTES)
            for _ in range(self._headroom_bytes // piece):
                self.sql.execute("INSERT INTO headroom VALUES (zeroblob(?))", (piece,))
            self.sql.execute("DROP TABLE headroom")
        except (sqlite3.Error, OSError) as error:
            raise self.fault("no headroom for a full disk", error) from error
        self.checkpoint()
