"""Payments as the doors reported them, and every message that did, as it came."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.postings import PaymentKey
from agent.domain.clock import Instant

PAYMENT_ROWS_MAX = 1_000
"""Payments of one list: what a person reads, with the newest first."""

_COLUMNS = "n, channel, external, reference, cents, paid_at, at, state, reason"


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
    return int(books.only_row("SELECT count(*) FROM payment")[0])


def add(books: Books, payment: NewPayment, at: Instant, state: str, reason: str) -> int:
    """Add a payment and return its number."""
    (n,) = books.sql.execute(
        "INSERT INTO payment (channel, external, reference, cents, paid_at, at, state, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING n",
        (*payment.key, *payment[1:], at, state, reason),
    ).fetchone()
    return int(n)


def add_arrival(books: Books, payment: int, arrival: Arrival, result: str) -> None:
    """Keep a message as it came. The bytes of equal messages are stored once."""
    digest = hashlib.sha256(arrival.body).hexdigest()
    is_known = books.row("SELECT 1 FROM arrival WHERE sha256 = ?", (digest,)) is not None
    books.sql.execute(
        "INSERT INTO arrival (payment, at, sha256, body, result) VALUES (?, ?, ?, ?, ?)",
        (payment, arrival.at, digest, None if is_known else arrival.body, result),
    )


def old_bodies(books: Books, before: Instant) -> list[int]:
    """Return the arrivals before a time that have a text which no later arrival needs."""
    rows = books.rows(
        "SELECT n FROM arrival a WHERE body IS NOT NULL AND at < ?1 AND NOT EXISTS"
        " (SELECT 1 FROM arrival later WHERE later.sha256 = a.sha256 AND later.at >= ?1)",
        (before,),
    )
    return [row[0] for row in rows]


def remove_bodies(books: Books, arrivals: Sequence[int]) -> None:
    """Remove the texts of arrivals, also from the file's free pages; hash and result stay."""
    books.sql.executemany("UPDATE arrival SET body = NULL WHERE n = ?", ((n,) for n in arrivals))


def find(books: Books, key: PaymentKey) -> StoredPayment | None:
    """Return a payment by its channel and its id there, None if there is none."""
    return _first(books, "channel = ? AND external = ?", *key)


def find_number(books: Books, n: int) -> StoredPayment | None:
    """Return a payment by its number, None if there is none."""
    return _first(books, "n = ?", n)


def find_credited(books: Books, root: str) -> StoredPayment | None:
    """Return the payment that was credited for a notice or an order, None if there is none."""
    return _first(
        books,
        "state = 'credited' AND reference IN (SELECT id FROM reference WHERE root = ?)",
        root,
    )


def is_pending(books: Books, root: str) -> bool:
    """Return whether a payment of a notice or an order is undecided."""
    return (
        _first(
            books,
            "state = 'pending' AND reference IN (SELECT id FROM reference WHERE root = ?)",
            root,
        )
        is not None
    )


def waiting_for(books: Books, reference: str, reason: str) -> list[StoredPayment]:
    """Return the payments of a reference that are parked for a reason."""
    return _all(
        books, "reference = ? AND state = 'parked' AND reason = ? ORDER BY n", reference, reason
    )


def decide(books: Books, n: int, state: str, reason: str) -> None:
    """Write the state in which an open payment ends."""
    books.sql.execute("UPDATE payment SET state = ?, reason = ? WHERE n = ?", (state, reason, n))


def close_pending(books: Books, channel: str, reference: str, reason: str) -> None:
    """End the pending payments of a reference: another message decided them."""
    books.sql.execute(
        "UPDATE payment SET state = 'failed', reason = ?"
        " WHERE channel = ? AND reference = ? AND state = 'pending'",
        (reason, channel, reference),
    )


def open_payments(books: Books) -> list[StoredPayment]:
    """Return what the office must look at: parked and pending payments, the oldest first."""
    return _all(books, f"state IN ('parked', 'pending') ORDER BY n LIMIT {PAYMENT_ROWS_MAX}")


def newest(books: Books) -> list[StoredPayment]:
    """Return the newest payments in any state."""
    return _all(books, f"1 ORDER BY n DESC LIMIT {PAYMENT_ROWS_MAX}")


def sums(books: Books) -> list[PaymentSum]:
    """Return every payment with the sum of its postings."""
    rows = books.rows(
        f"SELECT {_COLUMNS}, (SELECT sum(p.cents) FROM posting p WHERE p.channel = payment.channel"
        " AND p.external = payment.external) FROM payment ORDER BY n"
    )
    return [PaymentSum(StoredPayment(*row[:-1]), row[-1]) for row in rows]


def _first(books: Books, condition: str, *values: object) -> StoredPayment | None:
    payments = _all(books, f"{condition} LIMIT 1", *values)
    return payments[0] if payments else None


def _all(books: Books, condition: str, *values: object) -> list[StoredPayment]:
    rows = books.rows(f"SELECT {_COLUMNS} FROM payment WHERE {condition}", values)
    return [StoredPayment(*row) for row in rows]
