"""Terminals as the office sees them: add, move, retire, order; and a restored database."""

from agent.central.books import terminals, town
from agent.central.books.database import Books
from agent.central.generation import begin_generation
from agent.central.orders import give_order
from agent.domain.clock import Instant
from agent.errors import CentralError
from agent.sync.topics import Topics, identity_fault


def add_terminal(books: Books, terminal: str, site: str) -> None:
    """Register a terminal at a site, or move it there.

    A moved one compares all records again. A wiped one gets work again. Raise `CentralError` for a
    new one whose identity is too long for a certificate.
    """
    with books.transaction():
        known = terminals.find(books, terminal)
        if known is None:
            fault = identity_fault(Topics(town.find(books).name).identity(terminal))
            if fault is not None:
                raise CentralError(f"terminal {terminal!r} is not added: {fault}")
            terminals.add(books, terminal, site)
        elif known.site != site or terminals.is_wiped(books, terminal):
            terminals.set_site(books, terminal, site)
            give_order(books, terminal, "resync")


def retire_terminal(books: Books, terminal: str) -> None:
    """Send a stolen or retired terminal no more records, and let it delete those it has.

    It deletes them when all its entries are booked.
    """
    with books.transaction():
        give_order(books, terminal, "wipe")
        terminals.set_site(books, terminal, None)


def order(books: Books, terminal: str, do: str) -> str:
    """Give a terminal an order and return its id.

    A resync gives work to a wiped terminal again. Raise `CentralError` for an unknown terminal, and
    for a resync of a retired one, which has no site whose records it could be sent.
    """
    with books.transaction():
        known = terminals.find(books, terminal)
        if do == "resync" and known is not None and known.site is None:
            raise CentralError(
                f"terminal {terminal} is retired; give it work again with:"
                f" canteen-central terminals add {terminal} SITE"
            )
        return give_order(books, terminal, do)


def new_generation(books: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Declare that this database was restored from a backup."""
    with books.transaction():
        begin_generation(books, generation, at=at, reason=reason)
