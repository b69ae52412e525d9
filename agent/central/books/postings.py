"""Postings: every movement of every account, with what caused it."""

from collections.abc import Iterable
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


class HandPosting(NamedTuple):
    """A credit that the office booked by the command credit."""

    channel: str
    external: str
    at: Instant
    cents: int


class ChannelPosting(NamedTuple):
    """What was booked of a channel for an account."""

    at: Instant
    account: str
    amount_cents: int
    kind: str
    reason: str


class Takings(NamedTuple):
    """What a channel booked of a kind in some time."""

    channel: str
    kind: str
    number: int
    amount_cents: int


def post(books: Books, posting: Posting) -> None:
    """Add a posting and move its account's balance."""
    add_all(books, [posting])
    accounts.move_balances(books, {posting.account: posting.cents})


def add_all(books: Books, new: Iterable[Posting]) -> None:
    """Add postings; `accounts.move_balances` must follow in this transaction."""
    books.sql.executemany(
        "INSERT INTO posting (account, cents, kind, at, reason, channel, external,"
        " terminal, epoch, seq, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *posting[:5],
                *(posting.payment or (None, None)),
                *(posting.entry or (None, None, None, None)),
            )
            for posting in new
        ),
    )


def find_payment(books: Books, key: PaymentKey) -> Payment | None:
    """Return a payment that was booked, None if it was not."""
    return next(iter(find_payments(books, key)), None)


def by_hand(books: Books) -> list[HandPosting]:
    """Return the top-ups that the office booked, and no door reported."""
    rows = books.rows(
        "SELECT channel, external, at, cents FROM posting WHERE kind = 'top_up' AND NOT EXISTS"
        " (SELECT 1 FROM payment p WHERE p.channel = posting.channel"
        " AND p.external = posting.external) ORDER BY n"
    )
    return [HandPosting(*row) for row in rows]


def takings(books: Books, begin: Instant, end: Instant) -> list[Takings]:
    """Return number and sum of what was booked in [`begin`, `end`), by channel and kind."""
    rows = books.rows(
        "SELECT channel, kind, count(*), sum(cents) FROM posting WHERE channel IS NOT NULL"
        " AND at >= ? AND at < ? GROUP BY channel, kind ORDER BY channel, kind",
        (begin, end),
    )
    return [Takings(*row) for row in rows]


def of_channel(books: Books, channel: str) -> list[ChannelPosting]:
    """Return all that was booked of a channel, the oldest first."""
    rows = books.rows(
        "SELECT at, account, cents, kind, reason FROM posting WHERE channel = ? ORDER BY n",
        (channel,),
    )
    return [ChannelPosting(*row) for row in rows]


def of_prefix(books: Books, channel: str, prefix: str) -> list[Payment]:
    """Return the payments of a channel whose id begins with a text."""
    rows = books.rows(
        "SELECT account, cents, external FROM posting WHERE channel = ? AND external >= ?"
        " AND external < ? ORDER BY n",
        (channel, prefix, prefix + chr(0x10FFFF)),
    )
    return [
        Payment(account, cents, PaymentKey(channel, external)) for account, cents, external in rows
    ]


def find_payments(books: Books, key: PaymentKey) -> list[Payment]:
    """Return the parts of a payment that was booked, several if it was split over accounts."""
    rows = books.rows(
        "SELECT account, cents FROM posting WHERE channel = ? AND external = ? ORDER BY n", key
    )
    return [Payment(account, cents, key) for account, cents in rows]
