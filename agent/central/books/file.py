"""`FileBooks`: the books of a town in a SQLite file.

The file has a rollback journal and `synchronous=EXTRA`. The office commands and the running central
are several processes that write. SQLite's write-ahead log is not safe for that in the version of
Debian 12 (the WAL-reset bug of sqlite.org, fixed in 3.51.3). A committed batch is acknowledged to
its terminal, so it must survive a power cut.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from sqlalchemy import Table

from agent.central.books.database import Books, Row
from agent.central.books.migrations.steps import APPLICATION_ID, SQLITE_STEPS
from agent.central.books.query import SQLITE, Query, Value, Values
from agent.errors import CentralError
from agent.sqlite_file import FAULTS, FileKind, SqliteFile

BUSY_TIMEOUT_MS = 10_000
PAGE_FAULTS_MAX = 100

FILE_KIND = FileKind(
    owner="a central's",
    application_id=APPLICATION_ID,
    migrations=SQLITE_STEPS,
    pragmas=("journal_mode = DELETE", "synchronous = EXTRA"),
    options="",
    functions={},
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=CentralError,
    damaged=CentralError,
)


class FileBooks(SqliteFile[Row], Books):
    """One connection, used by one thread. Raises `CentralError`."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create and path.exists():
            raise CentralError(f"{path}: already exists; init creates a new central")
        if not create and not path.exists():
            raise CentralError(f"{path}: no such file; create it with: canteen-central init")
        super().__init__(path, FILE_KIND, "rwc" if create else "rw")

    @property
    def name(self) -> str:
        return str(self.path)

    def is_usable(self) -> bool:
        try:
            self.row("SELECT 1")  # fails where a roll-back closed the connection
        except CentralError:
            return False
        return self.is_in_place()

    def erase_deleted(self) -> None:
        self.sql.execute("PRAGMA secure_delete = ON")

    def version(self) -> int:
        return int(self.only_row("PRAGMA data_version")[0])

    def page_faults(self) -> list[str]:
        sentences = [str(row[0]) for row in self.rows(f"PRAGMA integrity_check({PAGE_FAULTS_MAX})")]
        return [sentence for sentence in sentences if sentence != "ok"]

    def all(self, query: Query, **values: Value) -> list[Row]:
        statement, bind = query.on(SQLITE)
        return self.rows(statement, bind(values))

    def each(self, query: Query, **values: Value) -> Iterator[Row]:
        statement, bind = query.on(SQLITE)
        try:
            yield from self.sql.execute(statement, bind(values))
        except FAULTS as error:
            raise self.fault("not readable", error) from error

    def first(self, query: Query, **values: Value) -> Row | None:
        statement, bind = query.on(SQLITE)
        return self.row(statement, bind(values))

    def changed(self, query: Query, **values: Value) -> Row:
        statement, bind = query.on(SQLITE)
        row: Row = self.sql.execute(statement, bind(values)).fetchone()
        return row

    def run(self, query: Query, **values: Value) -> int:
        statement, bind = query.on(SQLITE)
        return self.sql.execute(statement, bind(values)).rowcount

    def run_all(self, query: Query, values: Iterable[Values]) -> None:
        statement, bind = query.on(SQLITE)
        self.sql.executemany(statement, map(bind, values))

    def add_all(self, table: Table, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        self.sql.executemany(_adding(table, columns), rows)


@cache
def _adding(table: Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(map(SQLITE.identifier_preparer.quote, columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})"
