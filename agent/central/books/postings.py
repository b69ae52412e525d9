"""Postings: every movement of every account, with what caused it."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import cast, func, select

from agent.central.books import accounts, tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.domain.clock import Instant
from agent.domain.ledger import EntryKey

_POSTING = tables.posting.c
_PAYMENT = tables.payment.c
_COLUMNS = tuple(tables.posting.c.keys())[1:]  # without its number
_BY_HAND = Query(
    select(_POSTING.channel, _POSTING.external, _POSTING.at, _POSTING.cents)
    .where(
        _POSTING.kind == "top_up",
        ~select(_PAYMENT.n)
        .where(_PAYMENT.channel == _POSTING.channel, _PAYMENT.external == _POSTING.external)
        .exists(),
    )
    .order_by(_POSTING.n)
)
_TAKINGS = Query(
    select(
        _POSTING.channel,
        _POSTING.kind,
        func.count(),
        cast(func.sum(_POSTING.cents), tables.INTEGER),
    )
    .where(_POSTING.channel.is_not(None), _POSTING.at >= value("begin"), _POSTING.at < value("end"))
    .group_by(_POSTING.channel, _POSTING.kind)
    .order_by(_POSTING.channel, _POSTING.kind)
)
_OF_CHANNEL = Query(
    select(_POSTING.at, _POSTING.account, _POSTING.cents, _POSTING.kind, _POSTING.reason)
    .where(_POSTING.channel == value("channel"))
    .order_by(_POSTING.n)
)
_OF_PREFIX = Query(
    select(_POSTING.account, _POSTING.cents, _POSTING.external)
    .where(
        _POSTING.channel == value("channel"),
        _POSTING.external >= value("begin"),
        _POSTING.external < value("end"),
    )
    .order_by(_POSTING.n)
)
_FIND_PAYMENTS = Query(
    select(_POSTING.account, _POSTING.cents)
    .where(_POSTING.channel == value("channel"), _POSTING.external == value("external"))
    .order_by(_POSTING.n)
)


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
    rows = (
        (
            *posting[:4],
            *(posting.payment or (None, None)),
            *(posting.entry or (None, None, None, None)),
            posting.reason,
        )
        for posting in new
    )
    books.add_all(tables.posting, _COLUMNS, rows)


def find_payment(books: Books, key: PaymentKey) -> Payment | None:
    """Return a payment that was booked, None if it was not."""
    return next(iter(find_payments(books, key)), None)


def by_hand(books: Books) -> list[HandPosting]:
    """Return the top-ups that the office booked, and no door reported."""
    return [HandPosting(*row) for row in books.all(_BY_HAND)]


def takings(books: Books, begin: Instant, end: Instant) -> list[Takings]:
    """Return number and sum of what was booked in [`begin`, `end`), by channel and kind."""
    return [Takings(*row) for row in books.all(_TAKINGS, begin=begin, end=end)]


def of_channel(books: Books, channel: str) -> list[ChannelPosting]:
    """Return all that was booked of a channel, the oldest first."""
    return [ChannelPosting(*row) for row in books.all(_OF_CHANNEL, channel=channel)]


def of_prefix(books: Books, channel: str, prefix: str) -> list[Payment]:
    """Return the payments of a channel whose id begins with a text."""
    end = prefix + chr(0x10FFFF)
    rows = books.all(_OF_PREFIX, channel=channel, begin=prefix, end=end)
    return [
        Payment(account, cents, PaymentKey(channel, external)) for account, cents, external in rows
    ]


def find_payments(books: Books, key: PaymentKey) -> list[Payment]:
    """Return the parts of a payment that was booked, several if it was split over accounts."""
    rows = books.all(_FIND_PAYMENTS, channel=key.channel, external=key.external)
    return [Payment(account, cents, key) for account, cents in rows]
