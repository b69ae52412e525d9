"""Postings: every movement of every account, with what caused it."""

from typing import NamedTuple

from agent.central.books import accounts
from agent.central.books.file import Books
from agent.domain.clock import Instant
from agent.domain.ledger import EntryKey


class PaymentKey(NamedTuple):
    """A payment's name: its channel and its id there. The books hold each once."""

    channel: str
    external: str


class Payment(NamedTuple):
    """Money paid to an account, or, negative, paid back."""

    account: str
    cents: int
    key: PaymentKey


class Posting(NamedTuple):
    """One movement of an account, caused by an entry or by a payment."""

    account: str
    cents: int
    kind: str
    at: Instant
    reason: str = ""
    payment: PaymentKey | None = None
    entry: EntryKey | None = None


def post(books: Books, posting: Posting) -> None:
    """Add a posting and move its account's balance."""
    add(books, posting)
    accounts.move_balance(books, posting.account, posting.cents)


def add(books: Books, posting: Posting) -> None:
    """Add a posting; `accounts.move_balance` must follow in this transaction."""
    books.sql.execute(
        "INSERT INTO posting (account, cents, kind, at, reason, channel, external,"
        " terminal, epoch, seq, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *posting[:5],
            *(posting.payment or (None, None)),
            *(posting.entry or (None, None, None, None)),
        ),
    )


def find_payment(books: Books, key: PaymentKey) -> Payment | None:
    """Return a payment that was booked, None if it was not."""
    row = books.row("SELECT account, cents FROM posting WHERE channel = ? AND external = ?", key)
    return Payment(row[0], row[1], key) if row else None
