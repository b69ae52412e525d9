"""The one intake: every door ends in `take_in`, which decides and books in one transaction.

A payment is kept as it came before it is answered. Each is credited at most once, whatever arrives
again, late or in another order.
"""

import hashlib

from agent.central.books import incidents, payments, postings, references
from agent.central.books.database import Books
from agent.central.books.incidents import Incident
from agent.central.books.payments import Arrival, NewPayment, StoredPayment
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Reference, Share
from agent.central.office.credit import Credit, post_credit, require_account
from agent.central.payments.reported import WORDS, Park, ReportedPayment
from agent.central.payments.ruling import Result, Ruling, Standing, decide
from agent.domain.clock import Instant
from agent.domain.money import format_euro
from agent.errors import CentralError

REUSED_KEY_DIGITS = 12
"""Digits of a message's hash that make the key of another payment with a known key unique."""


def take_in(books: Books, reported: ReportedPayment, arrival: Arrival) -> Ruling:
    """Keep a message, decide its payment and book it, in one transaction."""
    with books.transaction():
        ruling = decide(reported, _standing(books, reported))
        if ruling.reason in (Park.KEY_REUSED, Park.BOOKED_BY_HAND):
            reported = _with_own_key(reported, arrival, ruling.reason)
            if (stored := payments.find(books, reported.key)) is not None:
                payments.add_arrival(books, stored.n, arrival, Result.DUPLICATE)
                return Ruling(Result.DUPLICATE)
        return _store(books, reported, arrival, ruling)


def add_reference(books: Books, reference: Reference, shares: list[Share], at: Instant) -> None:
    """Give out a reference. Payments that named it before it was stored are decided now.

    Raise `CentralError` for an account that does not exist, and for a sum that differs.
    """
    with books.transaction():
        for share in shares:
            require_account(books, share.account)
        is_root = reference.root == reference.id
        if is_root and sum(share.cents for share in shares) != reference.cents:
            raise CentralError(f"reference {reference.id}: its shares do not sum to its amount")
        references.add(books, reference, shares)
        for early in payments.waiting_for(books, reference.id, Park.UNKNOWN_REFERENCE):
            named = ReportedPayment(early.key, early.reference, early.cents)
            ruling = decide(named, _standing(books, named, is_stored=False))
            payments.decide(books, early.n, _state(ruling), ruling.reason)
            if ruling.result is Result.CREDITED:
                _credit(books, early.key, references.shares(books, reference.root), at, "")


def assign(books: Books, n: int, shares: list[Share], at: Instant, reason: str) -> StoredPayment:
    """Credit a parked payment to the accounts that the office names. Raise `CentralError`."""
    with books.transaction():
        payment = _require_parked(books, n)
        if payment.reason == Park.BOOKED_BY_HAND:
            raise CentralError(f"payment {n}: {WORDS[Park.BOOKED_BY_HAND]}")
        if (assigned := sum(share.cents for share in shares)) != payment.cents:
            raise CentralError(
                f"payment {n} has {format_euro(payment.cents)} euro,"
                f" {format_euro(assigned)} are assigned; assign all of it"
            )
        for share in shares:
            require_account(books, share.account)
        payments.decide(books, n, "credited", reason)
        _credit(books, payment.key, shares, at, reason)
        return payment


def close(books: Books, n: int, state: str, reason: str) -> StoredPayment:
    """End a parked payment without a credit: the office refunded or rejected it."""
    with books.transaction():
        payment = _require_parked(books, n)
        payments.decide(books, n, state, reason)
        return payment


def _standing(books: Books, reported: ReportedPayment, *, is_stored: bool = True) -> Standing:
    reference = references.find(books, reported.reference)
    return Standing(
        stored=payments.find(books, reported.key) if is_stored else None,
        by_hand=postings.find_payment(books, reported.key),
        reference=reference,
        credited=payments.find_credited(books, reference.root) if reference else None,
    )


def _store(books: Books, reported: ReportedPayment, arrival: Arrival, ruling: Ruling) -> Ruling:
    if ruling.result is Result.DUPLICATE:
        stored = payments.find(books, reported.key)
        assert stored is not None
        payments.add_arrival(books, stored.n, arrival, ruling.result)
        return ruling
    new = NewPayment(reported.key, reported.reference, reported.cents, reported.paid_at)
    if ruling.result is not Result.PENDING:
        reason = f"decided by {reported.key.external}"
        payments.close_pending(books, reported.key.channel, reported.reference, reason)
    n = payments.add(books, new, arrival.at, _state(ruling), ruling.reason)
    payments.add_arrival(books, n, arrival, ruling.result)
    if ruling.result is Result.PARKED:
        detail = f"payment {n} of {reported.key.channel}: {WORDS[Park(ruling.reason)]}"
        incidents.add(books, Incident(arrival.at, "payment_parked", detail))
    if ruling.result is Result.CREDITED:
        reference = references.find(books, reported.reference)
        assert reference is not None
        shares = references.shares(books, reference.root)
        _credit(books, reported.key, shares, arrival.at, f"reference {reference.id}")
    return ruling


def _credit(books: Books, key: PaymentKey, shares: list[Share], at: Instant, reason: str) -> None:
    for share in shares:
        payment = Payment(share.account, share.cents, key)
        post_credit(books, Credit(payment, "top_up", reason), at=at)


def _state(ruling: Ruling) -> str:
    return ruling.result.value


def _with_own_key(reported: ReportedPayment, arrival: Arrival, reason: str) -> ReportedPayment:
    """Return a payment whose key is taken under its own, the same at each arrival."""
    digest = hashlib.sha256(arrival.body).hexdigest()[:REUSED_KEY_DIGITS]
    end = "by-hand" if reason == Park.BOOKED_BY_HAND else digest
    channel, external = reported.key
    return reported._replace(key=PaymentKey(channel, f"{external}~{end}"))


def _require_parked(books: Books, n: int) -> StoredPayment:
    payment = payments.find_number(books, n)
    if payment is None:
        raise CentralError(f"payment {n} does not exist; list them with: canteen-central payments")
    if payment.state != "parked":
        raise CentralError(f"payment {n} is {payment.state}, not parked; nothing is to be done")
    return payment
