"""What the central gives out before a payment: a notice's number, and an order's code.

Both are random, so that nobody can guess another family's.
"""

from collections.abc import Callable

from agent.central.books.database import Books
from agent.central.books.references import Reference, Share
from agent.central.payments.intake import add_reference
from agent.central.payments.numbers import BASE_DIGITS, make_notice
from agent.domain.clock import Instant

Draw = Callable[[int], int]
"""Returns a random number below its argument, as `secrets.randbelow`."""

ORDER_CHARACTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
ORDER_LENGTH = 24
"""Characters of an order's code, 120 bits; a bank takes 2 to 30."""


def give_out_notice(
    books: Books, segregation: str, shares: list[Share], draw: Draw, at: Instant
) -> Reference:
    """Give out a notice for accounts, and return it. Raise `CentralError`."""
    notice = make_notice(segregation, draw(10**BASE_DIGITS))
    cents = sum(share.cents for share in shares)
    reference = Reference(notice.iuv, notice.number, notice.iuv, cents, at)
    add_reference(books, reference, shares, at)
    return reference


def order_code(draw: Draw) -> str:
    """Return a new code for an order at the bank."""
    return "".join(ORDER_CHARACTERS[draw(len(ORDER_CHARACTERS))] for _ in range(ORDER_LENGTH))


def give_out_order(books: Books, notice: Reference, code: str, at: Instant) -> Reference:
    """Give out an order that pays a notice, and return it."""
    order = Reference(code, None, notice.id, notice.cents, at)
    add_reference(books, order, [], at)
    return order
