"""One SQLite file, opened, checked and migrated; and the one way to write to it.

Promises: a file that is newer than this program, damaged or another program's is left untouched with a sentence; a
transaction is committed under `synchronous=FULL` or raises; `sqlite3.Error` never leaves this room. Never retries.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agent.errors import StoreError
from agent.sqlite_script import statements
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES

BUSY_TIMEOUT_MS = 2_000  # a technician's sqlite3 may hold the file for a moment
WAL_PAGES_MAX = 16_384  # 16 MiB: checkpoints belong to quiet moments, this only bounds the file in a day without one
_HEADER_BYTES = 100  # SQLite file format, section 1.3


class Database:
    """The terminal's connection. Used by one thread; `read_only` for the command line and other threads."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        _refuse_foreign(path)
        if read_only and not path.exists():
            raise StoreError(f"{path}: no terminal has run here yet")
        mode = "ro" if read_only else "rwc"
        try:
            # psow=0: a torn 4 KiB block must not take a committed neighbour with it (MEASURED.md section 4)
            self.sql = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}&psow=0", uri=True, isolation_level=None)
            self.sql.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            self._check_version()
            if not read_only:
                self.sql.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                self.sql.execute("PRAGMA journal_mode = WAL")
                self.sql.execute("PRAGMA synchronous = FULL")
                self.sql.execute("PRAGMA foreign_keys = ON")
                self.sql.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
                self._migrate()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be opened as the terminal's database: {error}") from error

    def close(self) -> None:
        self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk when the block has ended, or none of it. Raise `StoreError`, never retried."""
        try:
            self.sql.execute("BEGIN IMMEDIATE")
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{self.path}: not written: {error}") from error
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the file. Raise `StoreError`."""
        try:
            self.sql.execute("BEGIN")
            yield self.sql
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: not readable: {error}") from error
        finally:
            self._roll_back()

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the file as far as readers allow. Never on a tap's path."""
        try:
            self.sql.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: checkpoint failed: {error}") from error

    def _roll_back(self) -> None:
        if self.sql.in_transaction:
            try:
                self.sql.execute("ROLLBACK")
            except sqlite3.Error:
                self.sql.close()  # the file gives up: nothing of the transaction was promised

    def _check_version(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        (application,) = self.sql.execute("PRAGMA application_id").fetchone()
        (tables,) = self.sql.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and tables:
            raise StoreError(f"{self.path}: is a database, but not a terminal's; move it away or correct state_dir")
        if version > len(MIGRATIONS):
            raise StoreError(f"{self.path}: has schema {version}, this program knows {len(MIGRATIONS)}; install the newer program again")

    def _migrate(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        if 0 < version < len(MIGRATIONS):
            self._copy_aside(version)
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            with self.transaction() as sql:
                for statement in statements(script):
                    sql.execute(statement)
                sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                sql.execute(f"PRAGMA user_version = {number}")

    def _copy_aside(self, version: int) -> None:
        self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = self.path.with_name(f"{self.path.name}.schema-{version}")
        shutil.copyfile(self.path, copy)
        with open(copy, "rb") as written:
            os.fsync(written.fileno())


def _refuse_foreign(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        if path.with_name(path.name + "-wal").exists():
            raise StoreError(f"{path}: is missing, but its journal {path.name}-wal is there; put the file back before starting") from None
        return
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    if header and not header.startswith(b"SQLite format 3\0"):
        raise StoreError(f"{path}: is not an SQLite database; move it away or correct state_dir")
