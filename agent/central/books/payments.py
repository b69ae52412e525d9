"""Payments as the doors reported them, and every message that did, as it came."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import cast, func, insert, null, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.postings import PaymentKey
from agent.central.books.query import Query, Value, adding, value
from agent.domain.clock import Instant

PAYMENT_ROWS_MAX = 1_000
"""Payments of one list: what a person reads, with the newest first."""

_PAYMENT = tables.payment.c
_ARRIVAL = tables.arrival.c
_LATER = tables.arrival.alias("later")
_IS_OF_ROOT = _PAYMENT.reference.in_(
    select(tables.reference.c.id).where(tables.reference.c.root == value("root"))
)

_COLUMNS = ("channel", "external", "reference", "cents", "paid_at", "at", "state", "reason")
_COUNT = Query(select(func.count()).select_from(tables.payment))
_ADD = Query(
    insert(tables.payment).values({name: value(name) for name in _COLUMNS}).returning(_PAYMENT.n)
)
_KNOWN_BYTES = Query(select(_ARRIVAL.n).where(_ARRIVAL.sha256 == value("digest")).limit(1))
_ADD_ARRIVAL = adding(tables.arrival, ("payment", "at", "sha256", "body", "result"))
_OLD_BODIES = Query(
    select(_ARRIVAL.n)
    .where(
        _ARRIVAL.body.is_not(None),
        _ARRIVAL.at < value("before"),
        ~select(_LATER.c.n)
        .where(_LATER.c.sha256 == _ARRIVAL.sha256, _LATER.c.at >= value("before"))
        .exists(),
    )
    .order_by(_ARRIVAL.n)
)
_REMOVE_BODY = Query(
    update(tables.arrival).values(body=null()).where(_ARRIVAL.n == value("arrival"))
)
_FIND = Query(
    select(tables.payment).where(
        _PAYMENT.channel == value("channel"), _PAYMENT.external == value("external")
    )
)
_FIND_NUMBER = Query(select(tables.payment).where(_PAYMENT.n == value("n")))
_FIND_CREDITED = Query(
    select(tables.payment)
    .where(_PAYMENT.state == "credited", _IS_OF_ROOT)
    .order_by(_PAYMENT.n)
    .limit(1)
)
_FIND_PENDING = Query(select(_PAYMENT.n).where(_PAYMENT.state == "pending", _IS_OF_ROOT).limit(1))
_WAITING_FOR = Query(
    select(tables.payment)
    .where(
        _PAYMENT.reference == value("reference"),
        _PAYMENT.state == "parked",
        _PAYMENT.reason == value("reason"),
    )
    .order_by(_PAYMENT.n)
)
_DECIDE = Query(
    update(tables.payment)
    .values(state=value("state"), reason=value("reason"))
    .where(_PAYMENT.n == value("payment"))
)
_CLOSE_PENDING = Query(
    update(tables.payment)
    .values(state="failed", reason=value("reason"))
    .where(
        _PAYMENT.channel == value("of_channel"),
        _PAYMENT.reference == value("of_reference"),
        _PAYMENT.state == "pending",
    )
)
_OPEN = Query(
    select(tables.payment)
    .where(_PAYMENT.state.in_(("parked", "pending")))
    .order_by(_PAYMENT.n)
    .limit(PAYMENT_ROWS_MAX)
)
_NEWEST = Query(select(tables.payment).order_by(_PAYMENT.n.desc()).limit(PAYMENT_ROWS_MAX))
_POSTED = (
    select(cast(func.sum(tables.posting.c.cents), tables.INTEGER))
    .where(
        tables.posting.c.channel == _PAYMENT.channel,
        tables.posting.c.external == _PAYMENT.external,
    )
    .correlate(tables.payment)
    .scalar_subquery()
)
_SUMS = Query(select(tables.payment, _POSTED).order_by(_PAYMENT.n))


class StoredPayment(NamedTuple):
    """A payment that a door reported. `reference` is as it came, `at` when it first came."""

    n: int
    channel: str
    external: str
    reference: str
    cents: int
    paid_at: str | None
    at: Instant
    state: str
    reason: str

    @property
    def key(self) -> PaymentKey:
        """Return its channel and its id there."""
        return PaymentKey(self.channel, self.external)


class NewPayment(NamedTuple):
    """What is stored of a payment when it first comes."""

    key: PaymentKey
    reference: str
    cents: int
    paid_at: str | None


class Arrival(NamedTuple):
    """A message that reported a payment, as it came."""

    at: Instant
    body: bytes


class PaymentSum(NamedTuple):
    """A payment beside the sum of its postings, None without any."""

    payment: StoredPayment
    posted_cents: int | None


def count(books: Books) -> int:
    """Return the number of payments."""
    return int(books.only(_COUNT)[0])


def add(books: Books, payment: NewPayment, at: Instant, state: str, reason: str) -> int:
    """Add a payment and return its number."""
    (n,) = books.only(
        _ADD,
        channel=payment.key.channel,
        external=payment.key.external,
        reference=payment.reference,
        cents=payment.cents,
        paid_at=payment.paid_at,
        at=at,
        state=state,
        reason=reason,
    )
    return int(n)


def add_arrival(books: Books, payment: int, arrival: Arrival, result: str) -> None:
    """Keep a message as it came. The bytes of equal messages are stored once."""
    digest = hashlib.sha256(arrival.body).hexdigest()
    is_known = books.first(_KNOWN_BYTES, digest=digest) is not None
    books.run(
        _ADD_ARRIVAL,
        payment=payment,
        at=arrival.at,
        sha256=digest,
        body=None if is_known else arrival.body,
        result=result,
    )


def old_bodies(books: Books, before: Instant) -> list[int]:
    """Return the arrivals before a time that have a text which no later arrival needs."""
    return [row[0] for row in books.all(_OLD_BODIES, before=before)]


def remove_bodies(books: Books, arrivals: Sequence[int]) -> None:
    """Remove the texts of arrivals, also from the file's free pages; hash and result stay."""
    books.run_all(_REMOVE_BODY, ({"arrival": n} for n in arrivals))


def find(books: Books, key: PaymentKey) -> StoredPayment | None:
    """Return a payment by its channel and its id there, None if there is none."""
    return _first(books, _FIND, channel=key.channel, external=key.external)


def find_number(books: Books, n: int) -> StoredPayment | None:
    """Return a payment by its number, None if there is none."""
    return _first(books, _FIND_NUMBER, n=n)


def find_credited(books: Books, root: str) -> StoredPayment | None:
    """Return the payment that was credited for a notice or an order, None if there is none."""
    return _first(books, _FIND_CREDITED, root=root)


def is_pending(books: Books, root: str) -> bool:
    """Return whether a payment of a notice or an order is undecided."""
    return books.first(_FIND_PENDING, root=root) is not None


def waiting_for(books: Books, reference: str, reason: str) -> list[StoredPayment]:
    """Return the payments of a reference that are parked for a reason."""
    return _all(books, _WAITING_FOR, reference=reference, reason=reason)


def decide(books: Books, n: int, state: str, reason: str) -> None:
    """Write the state in which an open payment ends."""
    books.run(_DECIDE, payment=n, state=state, reason=reason)


def close_pending(books: Books, channel: str, reference: str, reason: str) -> None:
    """End the pending payments of a reference: another message decided them."""
    books.run(_CLOSE_PENDING, of_channel=channel, of_reference=reference, reason=reason)


def open_payments(books: Books) -> list[StoredPayment]:
    """Return what the office must look at: parked and pending payments, the oldest first."""
    return _all(books, _OPEN)


def newest(books: Books) -> list[StoredPayment]:
    """Return the newest payments in any state."""
    return _all(books, _NEWEST)


def sums(books: Books) -> list[PaymentSum]:
    """Return every payment with the sum of its postings."""
    return [PaymentSum(StoredPayment(*row[:-1]), row[-1]) for row in books.all(_SUMS)]


def _first(books: Books, query: Query, **values: Value) -> StoredPayment | None:
    row = books.first(query, **values)
    return StoredPayment(*row) if row else None


def _all(books: Books, query: Query, **values: Value) -> list[StoredPayment]:
    return [StoredPayment(*row) for row in books.all(query, **values)]
