"""What `canteen-central check` reads: sums and entries, row by row, so that memory stays small."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import cast, func, select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.books.query import Query
from agent.central.books.tables import INTEGER
from agent.errors import CentralError

_A, _E, _P, _I = tables.account.c, tables.entry.c, tables.posting.c, tables.incident.c
_SUM = cast(func.sum(_P.cents), INTEGER)
_POSTED = select(func.coalesce(_SUM, 0)).where(_P.account == _A.id).scalar_subquery()
_ACCOUNT_SUMS = Query(select(_A.id, _A.balance, _POSTED).order_by(_A.id))
_POSTED_OF_ENTRY = (
    select(_SUM)
    .where(
        _P.terminal == _E.terminal,
        _P.epoch == _E.epoch,
        _P.seq == _E.seq,
        _P.hash == _E.hash,
        _P.kind != "double_meal",
    )
    .scalar_subquery()
)
_BY_SEQ = (_E.terminal, _E.epoch, _E.seq, _E.hash)
_ENTRY_SUMS = Query(select(tables.entry, _POSTED_OF_ENTRY).order_by(*_BY_SEQ))
_ENTRIES = Query(select(tables.entry).order_by(*_BY_SEQ))
_BROKEN = Query(select(_I.terminal, _I.epoch).where(_I.kind.in_(["hole", "fork"])).distinct())


def require_whole(books: Books) -> None:
    """Raise `CentralError` for a damaged file: nothing of it may reach a terminal."""
    faults = books.page_faults()
    if faults:
        raise CentralError(
            f"{books.name}: is damaged: {faults[0]}. Keep this file aside, put a backup in its"
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
    for row in books.each(_ACCOUNT_SUMS):
        yield AccountSum(*row)


def entry_sums(books: Books) -> Iterator[EntrySum]:
    """Yield every entry, by terminal, epoch and seq."""
    for row in books.each(_ENTRY_SUMS):
        yield EntrySum(BookedEntry(*row[:-1]), row[-1])


def all_entries(books: Books) -> Iterator[BookedEntry]:
    """Yield every entry, by terminal, epoch and seq."""
    for row in books.each(_ENTRIES):
        yield BookedEntry(*row)


def broken_epochs(books: Books) -> set[BrokenEpoch]:
    """Return the epochs for which a hole or a fork is recorded."""
    return {BrokenEpoch(*row) for row in books.all(_BROKEN)}
