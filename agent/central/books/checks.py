"""What `canteen-central check` reads: sums and entries, row by row, so that memory stays small."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.central.books.entries import BookedEntry
from agent.central.books.file import Books
from agent.errors import CentralError


def page_faults(books: Books) -> list[str]:
    """Return what SQLite finds wrong with pages, indexes and constraints, a hundred at most."""
    sentences = [str(row[0]) for row in books.rows("PRAGMA integrity_check")]
    return [sentence for sentence in sentences if sentence != "ok"]


def require_whole(books: Books) -> None:
    """Raise `CentralError` for a damaged file: nothing of it may reach a terminal."""
    faults = page_faults(books)
    if faults:
        raise CentralError(
            f"{books.path}: is damaged: {faults[0]}. Keep this file aside, put a backup in its"
            " place, and run canteen-central new-generation; terminals send again what it lacks"
        )


class AccountSum(NamedTuple):
    """An account's balance beside the sum of its postings."""

    account: str
    balance_cents: int
    posted_cents: int


class EntrySum(NamedTuple):
    """An entry beside the sum of its postings, `double_meal` ones left out."""

    entry: BookedEntry
    posted_cents: int | None


class BrokenEpoch(NamedTuple):
    """An epoch whose chain may begin in its middle: a hole or a copied disk was recorded."""

    terminal: str
    epoch: str


def account_sums(books: Books) -> Iterator[AccountSum]:
    """Yield every account."""
    for row in books.sql.execute(
        "SELECT id, balance, coalesce((SELECT sum(cents) FROM posting"
        " WHERE account = account.id), 0) FROM account ORDER BY id"
    ):
        yield AccountSum(*row)


def entry_sums(books: Books) -> Iterator[EntrySum]:
    """Yield every entry, by terminal, epoch and seq."""
    for row in books.sql.execute(
        "SELECT e.*, (SELECT sum(cents) FROM posting p WHERE (p.terminal, p.epoch, p.seq, p.hash)"
        " = (e.terminal, e.epoch, e.seq, e.hash) AND p.kind <> 'double_meal')"
        " FROM entry e ORDER BY terminal, epoch, seq"
    ):
        yield EntrySum(BookedEntry(*row[:-1]), row[-1])


def all_entries(books: Books) -> Iterator[BookedEntry]:
    """Yield every entry, by terminal, epoch and seq."""
    for row in books.sql.execute("SELECT * FROM entry ORDER BY terminal, epoch, seq"):
        yield BookedEntry(*row)


def broken_epochs(books: Books) -> set[BrokenEpoch]:
    """Return the epochs for which a hole or a fork is recorded."""
    rows = books.rows(
        "SELECT DISTINCT terminal, epoch FROM incident WHERE kind IN ('hole', 'fork')"
    )
    return {BrokenEpoch(*row) for row in rows}
