"""Every table that an office can read, row by row, as one moment had them.

A SQLite file is read from a copy: a long read of the file itself would make the central wait. Left
out is what is no reading for people: raw messages, which name payers, and what only repairs a
terminal.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.query import Query
from agent.central.books.tables import METADATA
from agent.errors import CentralError

COPY_BYTES = 1_000_000


class _Reading(NamedTuple):
    """How a table is exported: its columns' names, its rows in their order, and their number."""

    table: str
    columns: list[str]
    rows: Query
    number: Query


def _reading(table: str, columns: str, order: str, **labels: str) -> _Reading:
    """Return how a table is exported. `labels` are names of columns that the export has."""
    of = METADATA.tables[table].c
    chosen = {labels.get(name, name): of[name] for name in columns.split()}
    return _Reading(
        table=table,
        columns=list(chosen),
        rows=Query(select(*chosen.values()).order_by(*(of[name] for name in order.split()))),
        number=Query(select(func.count()).select_from(METADATA.tables[table])),
    )


TABLES = {
    reading.table: reading
    for reading in (
        _reading(
            "account",
            "id site category status class label dish family balance",
            "id",
            balance="balance_cents",
        ),
        _reading("arrival", "n payment at sha256 result", "n"),
        _reading("card", "token account status", "account token"),
        _reading(
            "entry",
            "terminal epoch seq kind at true_at true_day service card account cents"
            " undoes_epoch undoes_seq status reason",
            "terminal epoch seq hash",
            cents="amount_cents",
        ),
        _reading("flow", "id revision day cents at", "id revision", cents="amount_cents"),
        _reading(
            "flow_row", "flow n iuv external cents outcome day", "flow n", cents="amount_cents"
        ),
        _reading("generation", "id since reason", "since id"),
        _reading("incident", "n at terminal epoch kind detail", "n"),
        _reading(
            "payment",
            "n channel external reference cents paid_at at state reason",
            "n",
            cents="amount_cents",
        ),
        _reading("policy", "from_day body double_meal", "from_day"),
        _reading(
            "posting",
            "n account cents kind at channel external terminal epoch seq reason",
            "n",
            cents="amount_cents",
        ),
        _reading(
            "price",
            "account service from_day cents",
            "account service from_day",
            cents="price_cents",
        ),
        _reading("reference", "id notice root cents at", "at id", cents="amount_cents"),
        _reading("service", "site id body", "site id"),
        _reading("set_aside", "n at topic bytes reason", "n"),
        _reading("share", "reference account cents", "reference account", cents="amount_cents"),
        _reading("terminal", "id site orders order_do forked hello_at", "id"),
        _reading(
            "treasury_sum",
            "year number day cents undone reason",
            "year number",
            cents="amount_cents",
        ),
    )
}
LEFT_OUT = {
    "certificate": "certificates of terminals: for technicians",
    "enrolment": "one-time codes of terminals: the same",
    "boot": "only dates entries of a terminal without time",
    "central": "town and generation: `init` and `generation` have them",
    "chain": "how far a terminal is acknowledged: `terminals` lists it",
    "remark": "what a terminal must still be sent",
    "tombstone": "the same",
}
"""The tables that are not exported, and why."""


class Table(NamedTuple):
    """A table of the copy: its columns, and how many rows it has."""

    name: str
    columns: list[str]
    rows: int


@contextmanager
def copied(books: Books, path: Path) -> Iterator[Books]:
    """Yield the books as they are now: of a SQLite file a copy, elsewhere a snapshot.

    The copy is a new file, which is removed afterwards. It has children's names, so only its owner
    may read it.
    """
    if not isinstance(books, FileBooks):
        with books.reading():
            yield books
        return
    try:
        try:
            path.unlink(missing_ok=True)  # of a command that was killed
            path.touch(mode=0o600)
            _copy(books, path)
        except OSError as error:
            raise CentralError(f"{path}: the books cannot be copied: {error}") from error
        with closing(FileBooks(path)) as copy:
            yield copy
    finally:
        path.unlink(missing_ok=True)


def _copy(books: FileBooks, path: Path) -> None:
    """Copy the file as it is while nobody may write into it: with a rollback journal it is whole.

    The central waits meanwhile: 0.3 s for 156 MB. SQLite's own backup takes twice as long, and in
    steps it begins again at each write of another program.
    """
    # `source` is closed after the lock is given back: a close would give it back unnoticed.
    with books.path.open("rb") as source, path.open("wb") as target, books.reading():
        books.row("SELECT count(*) FROM sqlite_master")  # takes the lock
        shutil.copyfileobj(source, target, COPY_BYTES)


def tables(books: Books) -> list[Table]:
    """Return the tables that are exported, by name."""
    return [
        Table(name, reading.columns, int(books.only(reading.number)[0]))
        for name, reading in TABLES.items()
    ]


def rows(books: Books, table: str) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a table."""
    return books.each(TABLES[table].rows)
