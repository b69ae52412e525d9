"""A SQLite file of the terminal or the central: how it is opened, checked, migrated and written.

Promises: a file that is damaged, newer than this program or of another program is not changed, and
an error says so. A transaction is on the disk when its block ends, or the block raises.
`sqlite3.Error` never leaves this module. Never retries.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from agent.errors import AgentError

Row = TypeVar("Row")

# Of a value that is no text, a body that is no JSON, and a header that no SQLite wrote.
_DAMAGE_WORDS = ("decode", "malformed JSON", "unsupported file format")
_DEFINITIONS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
EMPTY_BYTES = 1  # SQLite takes such a file for a new database, and deletes the log beside it
# the exceptions of a failing file; in a damaged one even SQLite's error text may not be UTF-8
FAULTS = (sqlite3.Error, OSError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """What is particular to the terminal's or the central's file.

    `pragmas` are set in order on every writing connection. `options` are appended to the file's
    URI. `functions` take one value, and are known to SQL. `error` is raised for every fault,
    `damaged` where SQLite reports the file as damaged.
    """

    owner: str
    application_id: int
    migrations: Sequence[str]
    pragmas: tuple[str, ...]
    options: str
    functions: Mapping[str, Callable[..., int | str]]
    busy_timeout_ms: int
    error: type[AgentError]
    damaged: type[AgentError]


class SqliteFile(Generic[Row]):
    """One connection for one thread. Every method raises the errors of its `FileKind`.

    `mode` is SQLite's: ro reads, rw needs the file, rwc creates it. `Row` is the type of a row, as
    the connection's row factory makes it.
    """

    sql: sqlite3.Connection

    def __init__(self, path: Path, kind: FileKind, mode: str) -> None:
        self.path = path
        self._name = str(path)
        # (device, inode) of the file and its write-ahead log; empty before they are open
        self._opened: list[tuple[int, int] | None] = []
        # begun by this connection
        self.transactions = 0
        self._kind = kind
        self._refuse_missing_or_empty()
        try:
            if mode == "rwc" and not path.exists():
                self._create()
            self._open(path, mode)
        except FAULTS as error:
            raise self.fault(f"cannot be opened as {kind.owner} database", error) from error

    def close(self) -> None:
        self.sql.close()

    def reopen(self) -> None:
        """Open the file again, then close the old connection.

        If the file or its write-ahead log was removed, the old connection still has the contents
        open. They are written back first.
        """
        old, opened = self.sql, self._opened
        try:
            with contextlib.suppress(sqlite3.Error):
                if not self.path.exists():
                    self._restore_removed()
                elif not self.is_in_place():
                    old.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._refuse_missing_or_empty()
            self._open(self.path, "rw")
        except FAULTS as error:
            self.sql, self._opened = old, opened
            raise self.fault("cannot be opened again", error) from error
        except AgentError:
            self.sql, self._opened = old, opened
            raise
        old.close()

    def fault(self, what: str, error: Exception) -> AgentError:
        """Return the kind's error for an exception of SQLite or the system."""
        code = getattr(error, "sqlite_errorcode", 0)
        is_damaged = (
            code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            or code == sqlite3.SQLITE_IOERR  # SQLite 3.46 for a schema that is cut off
            or any(word in str(error) for word in _DAMAGE_WORDS)
        )
        error_type = self._kind.damaged if is_damaged else self._kind.error
        return error_type(f"{self.path}: {what}: {error}")

    def _open(self, path: Path, mode: str) -> None:
        self._opened = []
        self.sql = self._connect(path, mode)
        try:
            for name, function in self._kind.functions.items():
                self.sql.create_function(name, 1, function, deterministic=True)
            self.sql.execute(f"PRAGMA busy_timeout = {self._kind.busy_timeout_ms}")
            self._check_version()
            if mode != "ro":
                for pragma in self._kind.pragmas:
                    self.sql.execute(f"PRAGMA {pragma}")
                self._migrate()
        except (*FAULTS, AgentError):
            self.sql.close()
            raise
        self._opened = self._identity() if path == self.path else []

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}{self._kind.options}",
            uri=True,
            isolation_level=None,
        )

    def is_in_place(self) -> bool:
        """Return whether the file and its write-ahead log are still the ones that are open.

        SQLite writes on into a removed file without an error, and the data is lost at exit.
        """
        return not self._opened or self._identity() == self._opened

    def _identity(self) -> list[tuple[int, int] | None]:
        identity: list[tuple[int, int] | None] = []
        for name in (self._name, self._name + "-wal"):
            try:
                status = os.stat(name)
            except OSError:
                identity.append(None)
            else:
                identity.append((status.st_dev, status.st_ino))
        return identity

    def _restore_removed(self) -> None:
        """Write the contents of a removed file, which the connection has open, to a new one."""
        new = self.path.with_name(self.path.name + ".new")
        new.unlink(missing_ok=True)
        self._copy_to(new)
        for end in ("-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        os.replace(new, self.path)
        sync_folder(self.path.parent)

    def _create(self) -> None:
        """Create the file under another name and rename it when it is complete.

        After a power cut there is then either no file or a complete one.
        """
        new = self.path.with_name(self.path.name + ".new")
        for end in ("", "-journal", "-wal", "-shm"):
            new.with_name(new.name + end).unlink(missing_ok=True)
        self._open(new, "rwc")
        self.sql.close()
        os.replace(new, self.path)
        sync_folder(self.path.parent)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction. When it ends, all is on the disk; else nothing is."""
        self.transactions += 1
        try:
            self.sql.execute("BEGIN IMMEDIATE")
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if isinstance(error, FAULTS):
                raise self.fault("not written", error) from error
            raise

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        """Execute one statement that is a transaction of its own."""
        self.transactions += 1
        try:
            self.sql.execute(statement, values)
        except FAULTS as error:
            raise self.fault("not written", error) from error

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        try:
            return self.sql.execute(statement, values).fetchall()
        except FAULTS as error:
            raise self.fault("not readable", error) from error

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, None if there is none."""
        try:
            row: Row | None = self.sql.execute(statement, values).fetchone()
        except FAULTS as error:
            raise self.fault("not readable", error) from error
        return row

    def only_row(self, statement: str, values: Sequence[object] = ()) -> Row:
        """Return the first row of a query that always has one."""
        row = self.row(statement, values)
        if row is None:
            raise self._kind.error(f"{self.path}: no row for {statement!r}")
        return row

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Run the block's reads on one snapshot of the file. A block inside a block shares it."""
        is_outermost = True
        try:
            is_outermost = not self.sql.in_transaction
            if is_outermost:
                self.sql.execute("BEGIN")
            yield self.sql
        except FAULTS as error:
            raise self.fault("not readable", error) from error
        finally:
            if is_outermost:
                self._roll_back()

    def _roll_back(self) -> None:
        try:
            if self.sql.in_transaction:
                self.sql.execute("ROLLBACK")
        except sqlite3.Error:
            self.sql.close()  # the file failed; nothing of the transaction was promised

    def _refuse_missing_or_empty(self) -> None:
        """Raise the kind's error where SQLite would begin a new database.

        The file is not opened here. Closing any descriptor of it drops the locks of every
        connection in this process (sqlite.org/howtocorrupt.html, 2.2), and the next program that
        closes the file would remove its write-ahead log.
        """
        log = self.path.with_name(self.path.name + "-wal")
        try:
            file_bytes = self.path.stat().st_size
        except FileNotFoundError:
            if log.exists():
                raise self._kind.error(
                    f"{self.path}: is missing, but its write-ahead log {log.name} exists;"
                    " put the file back first"
                ) from None
            return
        except OSError as error:
            raise self._kind.error(f"{self.path}: cannot be read: {error.strerror}") from error
        if file_bytes <= EMPTY_BYTES:
            raise self._kind.error(
                f"{self.path}: is empty; put the file back, or delete it to start a new one"
            )

    def _check_version(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        (application,) = self.sql.execute("PRAGMA application_id").fetchone()
        (tables,) = self.sql.execute("SELECT count(*) FROM sqlite_master").fetchone()
        known = len(self._kind.migrations)
        if application != self._kind.application_id and tables:
            raise self._kind.error(
                f"{self.path}: is a database, but not {self._kind.owner};"
                " move it away, or configure another path"
            )
        if version != known and tables and self._has_tables_of(known):
            raise self._kind.damaged(
                f"{self.path}: is damaged: its header says schema {version},"
                f" its tables are those of schema {known}"
            )
        if version > known:
            raise self._kind.error(
                f"{self.path}: has schema {version}, this program knows {known};"
                " install the newer program again"
            )

    def _has_tables_of(self, version: int) -> bool:
        """Return whether tables, indexes and triggers are exactly those of a version.

        Each migration changes one of them (a test says so), so a newer program's file has others.
        """
        with contextlib.closing(sqlite3.connect(":memory:")) as own:
            for name, function in self._kind.functions.items():
                own.create_function(name, 1, function, deterministic=True)
            for script in self._kind.migrations[:version]:
                own.executescript(script)
            return set(own.execute(_DEFINITIONS)) == set(self.sql.execute(_DEFINITIONS))

    def _migrate(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        if 0 < version < len(self._kind.migrations):
            self._copy_to(self.path.with_name(f"{self.path.name}.schema-{version}"))
        for number, script in enumerate(self._kind.migrations[version:], start=version + 1):
            with self.transaction() as sql:
                for statement in _statements(script):
                    sql.execute(statement)
                sql.execute(f"PRAGMA application_id = {self._kind.application_id}")
                sql.execute(f"PRAGMA user_version = {number}")

    def _copy_to(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as copy:
            self.sql.backup(copy)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script. `executescript` would commit before the first one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
