"""A SQLite file of ours: opened, checked, migrated, and the one way to write to it. The terminal's and the central's are both one.

Promises: a file that is newer than this program, damaged or another program's is left untouched with a sentence; a
transaction is on the disk when its block has ended, or raises; `sqlite3.Error` never leaves. Never retries.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from agent.errors import AgentError

Row = TypeVar("Row")

# what a file that fails raises; a damaged one may even spoil the text of SQLite's complaint
FAULTS = (sqlite3.Error, OSError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """What a file of ours is. `pragmas` are set on every connection that writes, in order; `options` end the file's URI."""

    owner: str
    application_id: int
    migrations: tuple[str, ...]
    pragmas: tuple[str, ...]
    options: str
    busy_timeout_ms: int
    error: type[AgentError]
    damaged: type[AgentError]  # a file that SQLite itself calls damaged


class SqliteFile(Generic[Row]):
    """One connection, used by one thread. `mode` is SQLite's: ro reads, rw needs the file, rwc makes it."""

    sql: sqlite3.Connection

    def __init__(self, path: Path, kind: FileKind, mode: str) -> None:
        self.path = path
        self._name = str(path)
        self._opened: list[
            tuple[int, int] | None
        ] = []  # (device, inode) of file and journal; empty before they are open
        self.transactions = 0  # begun by this connection
        self._kind = kind
        self._refuse_foreign()
        try:
            if mode == "rwc" and not path.exists():
                self._make()
            self._open(path, mode)
        except FAULTS as error:
            raise self.fault(f"cannot be opened as {kind.owner} database", error) from error

    def close(self) -> None:
        self.sql.close()

    def reopen(self) -> None:
        """Open the file anew and only then forget the old connection. Raises the form's error.

        When the file or its journal was taken away, the old connection still holds them: what they had is put back first.
        """
        old, opened = self.sql, self._opened
        try:
            with contextlib.suppress(sqlite3.Error):
                if not self.path.exists():
                    self._put_back()
                elif not self.is_in_place():
                    old.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._refuse_foreign()
            self._open(self.path, "rw")
        except FAULTS as error:
            self.sql, self._opened = old, opened
            raise self.fault("cannot be opened again", error) from error
        except AgentError:
            self.sql, self._opened = old, opened
            raise
        old.close()

    def fault(self, what: str, error: Exception) -> AgentError:
        """Return the form's error for one of SQLite's or the system's."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        is_damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or any(
            word in str(error) for word in ("decode", "malformed JSON")
        )
        kind = self._kind.damaged if is_damaged else self._kind.error
        return kind(f"{self.path}: {what}: {error}")

    def _open(self, path: Path, mode: str) -> None:
        self._opened = []
        self.sql = self._connect(path, mode)
        self.sql.execute(f"PRAGMA busy_timeout = {self._kind.busy_timeout_ms}")
        self._check_version()
        if mode != "ro":
            for pragma in self._kind.pragmas:
                self.sql.execute(f"PRAGMA {pragma}")
            self._migrate()
        self._opened = self._identity() if path == self.path else []

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}{self._kind.options}",
            uri=True,
            isolation_level=None,
        )

    def is_in_place(self) -> bool:
        """Return whether the names of file and journal still lead to what this connection has open."""
        return not self._opened or self._identity() == self._opened

    def _identity(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for name in (self._name, self._name + "-wal"):
            try:
                status = os.stat(name)
            except OSError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino))
        return found

    def _put_back(self) -> None:
        new = self.path.with_name(self.path.name + ".new")
        new.unlink(missing_ok=True)
        copy = sqlite3.connect(new)
        try:
            self.sql.backup(copy)
        finally:
            copy.close()
        for end in ("-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        os.replace(new, self.path)
        sync_folder(self.path.parent)

    def _make(self) -> None:
        """Make the file under another name and give it its own when it is whole: a plug pulled before leaves nothing in its place."""
        new = self.path.with_name(self.path.name + ".new")
        for end in ("", "-journal", "-wal", "-shm"):
            new.with_name(new.name + end).unlink(missing_ok=True)
        self._open(new, "rwc")
        self.sql.close()
        os.replace(new, self.path)
        sync_folder(self.path.parent)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk when the block has ended, or none of it. Raises the form's error."""
        self.transactions += 1
        try:
            self.sql.execute("BEGIN IMMEDIATE")
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, sqlite3.Error):
                raise self.fault("not written", error) from error
            raise

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        """Do one statement that is a transaction of its own. Raises the form's error."""
        self.transactions += 1
        try:
            self.sql.execute(statement, values)
        except FAULTS as error:
            raise self.fault("not written", error) from error

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of one query. Raises the form's error."""
        try:
            return self.sql.execute(statement, values).fetchall()
        except FAULTS as error:
            raise self.fault("not readable", error) from error

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, None if there is none. Raises the kind's error."""
        try:
            row: Row | None = self.sql.execute(statement, values).fetchone()
        except FAULTS as error:
            raise self.fault("not readable", error) from error
        return row

    def only_row(self, statement: str, values: Sequence[object] = ()) -> Row:
        """Return the row of a query that always has one. Raises the kind's error."""
        row = self.row(statement, values)
        if row is None:
            raise self._kind.error(f"{self.path}: no row for {statement!r}")
        return row

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the file; within another such block, part of it. Raises the form's error."""
        outer = self.sql.in_transaction
        try:
            if not outer:
                self.sql.execute("BEGIN")
            yield self.sql
        except sqlite3.Error as error:
            raise self.fault("not readable", error) from error
        finally:
            if not outer:
                self._roll_back()

    def _roll_back(self) -> None:
        try:
            if self.sql.in_transaction:
                self.sql.execute("ROLLBACK")
        except sqlite3.Error:
            self.sql.close()  # the file gives up: nothing of the transaction was promised

    def _refuse_foreign(self) -> None:
        journal = self.path.with_name(self.path.name + "-wal")
        try:
            with open(self.path, "rb") as file:
                header = file.read(16)
        except FileNotFoundError:
            if journal.exists():
                sentence = f"{self.path}: is missing, but its journal {journal.name} is there; put the file back first"
                raise self._kind.error(sentence) from None
            return
        except OSError as error:
            raise self._kind.error(f"{self.path}: cannot be read: {error.strerror}") from error
        if journal.exists() and journal.stat().st_size:
            return  # a cut while the journal was brought into the file may have damaged its beginning: the journal has it
        if not header:
            raise self._kind.error(
                f"{self.path}: is empty, and a ledger never is; put the file back, or remove it to begin anew"
            )
        if header != b"SQLite format 3\0":
            raise self._kind.damaged(
                f"{self.path}: is not an SQLite database; move it away, or name another place"
            )

    def _check_version(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        (application,) = self.sql.execute("PRAGMA application_id").fetchone()
        (tables,) = self.sql.execute("SELECT count(*) FROM sqlite_master").fetchone()
        known = len(self._kind.migrations)
        if application != self._kind.application_id and tables:
            raise self._kind.error(
                f"{self.path}: is a database, but not {self._kind.owner}; move it away, or name another place"
            )
        if version > known:
            raise self._kind.error(
                f"{self.path}: has schema {version}, this program knows {known}; install the newer program again"
            )

    def _migrate(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        if 0 < version < len(self._kind.migrations):
            self._copy_aside(version)
        for number, script in enumerate(self._kind.migrations[version:], start=version + 1):
            with self.transaction() as sql:
                for statement in _statements(script):
                    sql.execute(statement)
                sql.execute(f"PRAGMA application_id = {self._kind.application_id}")
                sql.execute(f"PRAGMA user_version = {number}")

    def _copy_aside(self, version: int) -> None:
        copy = sqlite3.connect(self.path.with_name(f"{self.path.name}.schema-{version}"))
        try:
            self.sql.backup(copy)
        finally:
            copy.close()


def sync_folder(folder: Path) -> None:
    """Bring what a folder's names point to onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _statements(script: str) -> Iterator[str]:
    """Split a script at the ends of its statements: `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
