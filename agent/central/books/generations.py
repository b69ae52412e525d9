"""Generations: the random ids of this database's lives, and others that terminals have named."""

from sqlalchemy import insert, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.domain.clock import Instant

_G = tables.generation.c
_FIND = Query(select(_G.id).where(_G.id == value("id")))
_ADD = Query(
    insert(tables.generation).values(id=value("id"), since=value("since"), reason=value("reason"))
)
_BEGIN = Query(update(tables.central).values(generation=value("id")))


def is_known(books: Books, generation: str) -> bool:
    """Return whether a generation is one of this database, or was named by a terminal before."""
    return books.first(_FIND, id=generation) is not None


def add(books: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Add a generation to the known ones."""
    books.run(_ADD, id=generation, since=at, reason=reason)


def begin(books: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Make a new generation the present one."""
    add(books, generation, at=at, reason=reason)
    books.run(_BEGIN, id=generation)
