"""Tombstones: records that the terminals of a site must delete."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, exists

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import ONE, Query, put, value
from agent.central.books.town import next_positions

_T, _A, _C = tables.tombstone.c, tables.account.c, tables.card.c
_PUT = put(tables.tombstone)
_REMOVE = Query(
    delete(tables.tombstone).where(
        _T.site == value("site"), _T.kind == value("kind"), _T.id == value("id")
    )
)
_REMOVE_ACCOUNTS = Query(
    delete(tables.tombstone).where(
        _T.kind == "account", exists(ONE).where(_A.id == _T.id, _A.site == _T.site)
    )
)
_REMOVE_CARDS = Query(
    delete(tables.tombstone).where(
        _T.kind == "card",
        exists(ONE).where(_C.token == _T.id, _A.id == _C.account, _A.site == _T.site),
    )
)


class Gone(NamedTuple):
    """A record that the terminals of a site must delete. `kind` is account or card."""

    site: str
    kind: str
    id: str


def add(books: Books, site: str, kind: str, record_id: str) -> None:
    """Let the terminals of a site delete a record."""
    add_all(books, [Gone(site, kind, record_id)])


def add_all(books: Books, gone: Sequence[Gone]) -> None:
    """Let the terminals of sites delete records."""
    positions = next_positions(books, len(gone))
    rows = zip(gone, positions, strict=True)
    books.run_all(_PUT, ({**record._asdict(), "p": p} for record, p in rows))


def remove(books: Books, site: str, kind: str, record_id: str) -> None:
    """Remove a tombstone, if there is one: the site sees the record again."""
    books.run(_REMOVE, site=site, kind=kind, id=record_id)


def remove_of_present(books: Books) -> None:
    """Remove the tombstones of all accounts and cards that are at their tombstone's site."""
    books.run(_REMOVE_ACCOUNTS)
    books.run(_REMOVE_CARDS)
