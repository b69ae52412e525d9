"""Tombstones: records that the terminals of a site must delete."""

from collections.abc import Iterable
from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.town import next_position


class Seen(NamedTuple):
    """A record that a site sees. `kind` is account or card."""

    site: str
    kind: str
    id: str


def add(books: Books, site: str, kind: str, record_id: str) -> None:
    """Let the terminals of a site delete a record."""
    books.sql.execute(
        "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)",
        (site, kind, record_id, next_position(books)),
    )


def remove(books: Books, site: str, kind: str, record_id: str) -> None:
    """Remove a tombstone, if there is one: the site sees the record again."""
    remove_all(books, [Seen(site, kind, record_id)])


def remove_all(books: Books, seen: Iterable[Seen]) -> None:
    """Remove the tombstones of records that their site sees again."""
    books.sql.executemany("DELETE FROM tombstone WHERE site = ? AND kind = ? AND id = ?", seen)
