"""A new generation of the central: what follows when its database was restored from a backup."""

from agent.central.books import generations, incidents, terminals
from agent.central.books.database import Books
from agent.central.books.incidents import Incident
from agent.domain.clock import Instant


def begin_generation(
    books: Books, generation: str, *, at: Instant, reason: str, terminal: str | None = None
) -> None:
    """Begin a new generation: every terminal compares all records, and sends lost entries again.

    `terminal` is the one whose hello proved that it is needed.
    """
    generations.begin(books, generation, at=at, reason=reason)
    terminals.renumber_orders(books)
    incidents.add(books, Incident(at, "new_generation", reason, terminal))
