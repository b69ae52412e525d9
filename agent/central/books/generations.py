"""Generations: the random ids of this database's lives, and others that terminals have named."""

from agent.central.books.file import Books
from agent.domain.clock import Instant


def is_known(books: Books, generation: str) -> bool:
    """Return whether a generation is one of this database, or was named by a terminal before."""
    return books.row("SELECT 1 FROM generation WHERE id = ?", (generation,)) is not None


def add(books: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Add a generation to the known ones."""
    books.sql.execute("INSERT INTO generation VALUES (?, ?, ?)", (generation, at, reason))


def begin(books: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Make a new generation the present one."""
    add(books, generation, at=at, reason=reason)
    books.sql.execute("UPDATE central SET generation = ?", (generation,))
