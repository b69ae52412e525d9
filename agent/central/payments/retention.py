"""How long raw messages are kept: they name payers, whom the books otherwise do not know.

What a message did stays for ever: its payment, hash, time and result.
"""

from typing import NamedTuple

from agent.central.books import incidents, payments
from agent.central.books.database import Books
from agent.domain.clock import Instant

RAW_YEARS = 10
"""Years: Italian law keeps accounting records and their letters for ten (codice civile, 2220)."""


class Old(NamedTuple):
    """The messages whose text is older than `RAW_YEARS`, of payments and of what was set aside."""

    arrivals: list[int]
    set_aside: list[int]


def old_messages(books: Books, now: Instant) -> Old:
    """Return the messages whose text may go. A text that a later message repeats stays."""
    before = f"{int(now[:4]) - RAW_YEARS:04d}{now[4:]}"
    return Old(payments.old_bodies(books, before), incidents.old_payloads(books, before))


def remove_old_messages(books: Books, now: Instant) -> Old:
    """Remove the texts of old messages from the file, in one transaction; return which."""
    books.erase_deleted()
    with books.transaction():
        old = old_messages(books, now)
        payments.remove_bodies(books, old.arrivals)
        incidents.remove_payloads(books, old.set_aside)
    return old
