"""Tombstones: records that the terminals of a site must delete."""

from agent.central.books.file import Books
from agent.central.books.town import next_position


def add(books: Books, site: str, kind: str, record_id: str) -> None:
    """Let the terminals of a site delete a record."""
    books.sql.execute(
        "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)",
        (site, kind, record_id, next_position(books)),
    )


def remove(books: Books, site: str, kind: str, record_id: str) -> None:
    """Remove a tombstone, if there is one: the site sees the record again."""
    books.sql.execute(
        "DELETE FROM tombstone WHERE site = ? AND kind = ? AND id = ?", (site, kind, record_id)
    )
