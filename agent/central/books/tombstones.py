"""Tombstones: records that the terminals of a site must delete."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.town import next_positions


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
    books.sql.executemany(
        "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)",
        ((*record, p) for record, p in zip(gone, positions, strict=True)),
    )


def remove(books: Books, site: str, kind: str, record_id: str) -> None:
    """Remove a tombstone, if there is one: the site sees the record again."""
    books.sql.execute(
        "DELETE FROM tombstone WHERE site = ? AND kind = ? AND id = ?", (site, kind, record_id)
    )


def remove_of_present(books: Books) -> None:
    """Remove the tombstones of all accounts and cards that are at their tombstone's site."""
    books.sql.execute(
        "DELETE FROM tombstone WHERE kind = 'account' AND EXISTS (SELECT 1 FROM account"
        " WHERE account.id = tombstone.id AND account.site = tombstone.site)"
    )
    books.sql.execute(
        "DELETE FROM tombstone WHERE kind = 'card' AND EXISTS (SELECT 1 FROM card"
        " JOIN account ON account.id = card.account"
        " WHERE card.token = tombstone.id AND account.site = tombstone.site)"
    )
