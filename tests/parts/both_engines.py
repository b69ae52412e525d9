"""The books of a test on PostgreSQL too, to compare what is read there."""

from agent.central.books import towns
from agent.central.books.database import Books
from agent.central.books.postgres import Server, TownBooks


def on_postgresql(books: Books, server: Server, town: str) -> TownBooks:
    """Return a copy of books as a town that the server does not have yet."""
    target = towns.add(server, town)
    with target.transaction():
        towns.copy(books, target)
    return target
