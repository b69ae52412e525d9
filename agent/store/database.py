"""The terminal's file, and its headroom for a full disk (`reserve`).

One connection writes and checkpoints; others only read.

Write-ahead log under `synchronous=FULL`: one flush per commit, and a committed tap survives a
power cut. `psow=0`: a torn 4 KiB block does not take a committed neighbour with it
(sqlite.org/psow.html).
"""

import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FAULTS, FileKind, SqliteFile
from agent.store.cache import Cache
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES

BUSY_TIMEOUT_MS = 2_000  # a technician's sqlite3 may hold the file for a moment
# 16 MiB. Checkpoints are done in quiet moments; this bounds the log on a day without one.
WAL_PAGES_MAX = 16_384
HEADROOM_PIECE_BYTES = 512 * 1024
# Half of it is a week of meals of a large school on a full disk, half the log of a 500-tap lunch.
HEADROOM_BYTES = 12 * 1024 * 1024

FORM = FileKind(
    owner="a terminal's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=(
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        # Debian's SQLite zeroes freed pages, which writes more blocks. A wipe rewrites the file.
        "secure_delete = OFF",
        f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    ),
    options="&psow=0",
    functions={"crc32": zlib.crc32},  # the triggers of schema.py seal rows with it
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
            raise StoreError(f"{path}: does not exist; no terminal has run here yet")
        self._headroom_bytes = headroom_bytes
        self.cache = Cache(keeps=not read_only)
        super().__init__(path, FORM, "ro" if read_only else "rwc")

    def reopen(self) -> None:
        self.cache.clear()
        super().reopen()

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        """Do one statement that is a transaction. The caller tells the cache what it changed."""
        try:
            self._require_in_place()
            super().write_one(statement, values)
        except StoreError:
            self.cache.clear()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """As `SqliteFile.transaction`; afterwards the cache is empty."""
        self.cache.clear()
        self._require_in_place()
        try:
            with super().transaction() as sql:
                yield sql
        finally:
            self.cache.clear()

    def _require_in_place(self) -> None:
        """Raise `StoreError` when the file was replaced.

        SQLite would write into the removed file without an error."""
        if not self.is_in_place():
            raise StoreError(
                f"{self.path}: the file or its write-ahead log was removed or replaced"
                " while the agent runs"
            )

    def compact(self) -> None:
        """Rewrite the file without free pages, empty the log, and delete old copies.

        Old copies are those from before migrations, damaged files with their exports, and ledgers
        of other terminals.

        For a terminal that must forget. Raise `StoreError` while another program reads: then old
        data may be left.
        """
        try:
            self.sql.execute("VACUUM")
            (busy, _, _) = self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            for kind in ("schema", "damaged", "of"):
                for copy in self.path.parent.glob(f"{self.path.name}.{kind}-*"):
                    shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
        except (*FAULTS, OSError) as error:
            raise self.fault("not compacted", error) from error
        if busy:
            raise StoreError(f"{self.path}: not compacted: another program is reading it")

    def checkpoint(self) -> bool:
        """Copy the write-ahead log into the file as far as readers allow.

        Return whether all of it is there.

        Never on a tap's path.
        """
        _, frames, done = self.only_row("PRAGMA wal_checkpoint(PASSIVE)")
        return bool(frames == done)

    def empty_log(self) -> None:
        """Empty the log, so that nothing behind its newest commit is read as newer later.

        Where another program reads, it stays.
        """
        self.only_row("PRAGMA wal_checkpoint(TRUNCATE)")

    def reserve(self) -> None:
        """Reserve free pages in the file and a write-ahead log of full length.

        A disk that another program fills still takes a week of meals. A tap overwrites blocks
        instead of allocating new ones, which takes half the time of a flush. Raise `StoreError`.
        """
        log = self.path.with_name(self.path.name + "-wal")
        try:
            (free,) = self.sql.execute("PRAGMA freelist_count").fetchone()
            (page_bytes,) = self.sql.execute("PRAGMA page_size").fetchone()
            log_bytes = log.stat().st_size if log.exists() else 0
            if min(free * page_bytes, log_bytes) >= self._headroom_bytes // 2:
                return  # written again only when half is gone: each time wears the card
            self._write_headroom()
        except (*FAULTS, OSError) as error:
            raise self.fault("no headroom for a full disk", error) from error
        self.checkpoint()

    def _write_headroom(self) -> None:
        """Write and drop a table of zeros.

        Each piece is a transaction: pages freed in the transaction that made them are never
        written. A piece fits the page cache; otherwise each page would be written twice.
        """
        self.sql.execute("CREATE TABLE IF NOT EXISTS headroom (zeros BLOB)")
        piece = min(self._headroom_bytes, HEADROOM_PIECE_BYTES)
        for _ in range(self._headroom_bytes // piece):
            self.sql.execute("INSERT INTO headroom VALUES (zeroblob(?))", (piece,))
        self.sql.execute("DROP TABLE headroom")
