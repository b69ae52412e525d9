"""Every table that an office can read, row by row, from a copy of the file.

A copy, because a long read of the file itself would make the central wait. Left out is what is no
reading for people: raw messages, which name payers, and what only repairs a terminal.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.central.books.file import Books
from agent.errors import CentralError

COPY_BYTES = 1_000_000

# table -> its columns as they are exported, and their order
TABLES = {
    "account": (
        "id, site, category, status, class, label, dish, family, balance AS balance_cents",
        "id",
    ),
    "arrival": ("n, payment, at, sha256, result", "n"),
    "card": ("token, account, status", "account, token"),
    "entry": (
        "terminal, epoch, seq, kind, at, true_at, true_day, service, card, account,"
        " cents AS amount_cents, undoes_epoch, undoes_seq, status, reason",
        "terminal, epoch, seq, hash",
    ),
    "flow": ("id, revision, day, cents AS amount_cents, at", "id, revision"),
    "flow_row": ("flow, n, iuv, external, cents AS amount_cents, outcome, day", "flow, n"),
    "generation": ("id, since, reason", "since"),
    "incident": ("n, at, terminal, epoch, kind, detail", "n"),
    "payment": (
        "n, channel, external, reference, cents AS amount_cents, paid_at, at, state, reason",
        "n",
    ),
    "policy": ("from_day, body, double_meal", "from_day"),
    "posting": (
        "n, account, cents AS amount_cents, kind, at, channel, external, terminal, epoch, seq,"
        " reason",
        "n",
    ),
    "price": ("account, service, from_day, cents AS price_cents", "account, service, from_day"),
    "reference": ("id, notice, root, cents AS amount_cents, at", "at, id"),
    "service": ("site, id, body", "site, id"),
    "set_aside": ("n, at, topic, bytes, reason", "n"),
    "share": ("reference, account, cents AS amount_cents", "reference, account"),
    "terminal": ("id, site, orders, order_do, forked, hello_at", "id"),
    "treasury_sum": ("year, number, day, cents AS amount_cents, undone, reason", "year, number"),
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
    """Yield a copy of the books in a new file, which is removed afterwards.

    It has children's names, so only its owner may read it.
    """
    try:
        try:
            path.unlink(missing_ok=True)  # of a command that was killed
            path.touch(mode=0o600)
            _copy(books, path)
        except OSError as error:
            raise CentralError(f"{path}: the books cannot be copied: {error}") from error
        with closing(Books(path)) as snapshot:
            yield snapshot
    except sqlite3.Error as error:
        raise CentralError(f"{path}: the copy of the books cannot be read: {error}") from error
    finally:
        path.unlink(missing_ok=True)


def _copy(books: Books, path: Path) -> None:
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
    columns_of = {
        name: [column[0] for column in _select(books, name, "LIMIT 0").description]
        for name in TABLES
    }
    return [
        Table(name, columns, int(books.only_row(f"SELECT count(*) FROM {name}")[0]))
        for name, columns in columns_of.items()
    ]


def rows(books: Books, table: str) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a table."""
    yield from _select(books, table)


def _select(books: Books, table: str, limit: str = "") -> sqlite3.Cursor:
    columns, order = TABLES[table]
    return books.sql.execute(f"SELECT {columns} FROM {table} ORDER BY {order} {limit}")
