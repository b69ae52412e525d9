"""Flows and the treasury's sums, taken into the books: they confirm, and find what is missing.

A flow credits nothing by itself. What it revokes is taken back at once: the money is not there.
"""

import hashlib
from typing import NamedTuple

from agent.central.books import incidents, postings, settlements
from agent.central.books.database import Books
from agent.central.books.incidents import Incident
from agent.central.books.payments import Arrival
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.settlements import Revoked
from agent.central.office.credit import Credit, post_credit
from agent.central.payments.intake import take_in
from agent.central.payments.receipt import CHANNEL
from agent.central.payments.reported import ReportedPayment
from agent.central.payments.ruling import Ruling
from agent.central.payments.settlement import SettlementFlow, read_flow
from agent.central.payments.treasury import CashBook, read_treasury
from agent.domain.clock import Instant
from agent.domain.money import format_euro
from agent.errors import CentralError


class Settled(NamedTuple):
    """What a flow did: whether it was new, its rows, and the payments that it revoked."""

    flow: str
    is_new: bool
    rows: int
    revoked: int


def take_flow(books: Books, data: bytes, creditor: str, at: Instant) -> Settled:
    """Take in a settlement flow; a known revision changes nothing. Raise `CentralError`."""
    return book_flow(books, read_flow(data, creditor), Arrival(at, data))


def book_flow(books: Books, read: SettlementFlow, arrival: Arrival) -> Settled:
    """Book a settlement flow in one transaction. Raise `CentralError`."""
    (flow, rows), at = read, arrival.at
    with books.transaction():
        digest = hashlib.sha256(arrival.body).hexdigest()
        is_new = settlements.add_flow(books, flow, rows, at, digest)
        count = sum(_revoke(books, row, at) for row in settlements.revoked(books))
    return Settled(flow.id, is_new, len(rows), count)


def credit_missing(books: Books, external: str, at: Instant) -> Ruling:
    """Credit a settled payment whose receipt is missing, on the office's word.

    The receipt that still arrives has the same key, and is a duplicate. Raise `CentralError`.
    """
    rows = settlements.missing(books, external)
    if not rows:
        raise CentralError(
            f"{external}: no flow has it without a receipt; list them with: canteen-central"
            " settlements"
        )
    row = rows[0]
    reported = ReportedPayment(PaymentKey(CHANNEL, external), row.iuv, row.cents, paid_at=row.day)
    return take_in(books, reported, Arrival(at, f"settled without receipt: {row}".encode()))


def take_treasury(books: Books, data: bytes) -> CashBook:
    """Take in the treasury's sums, each once by year and number. Raise `CentralError`."""
    book = read_treasury(data)
    book_sums(books, book)
    return book


def book_sums(books: Books, book: CashBook) -> None:
    """Book the treasury's sums in one transaction. Raise `CentralError`."""
    with books.transaction():
        for new in book.sums:
            settlements.set_sum(books, new)


def _revoke(books: Books, row: Revoked, at: Instant) -> bool:
    """Take a revoked payment back from its accounts, once; return whether it was done now."""
    key = PaymentKey(CHANNEL, f"{row.external}#revoked")
    if row.paid_cents is None or postings.find_payment(books, key) is not None:
        return False
    if row.paid_cents != row.cents:
        detail = (
            f"flow {row.flow} revokes {format_euro(row.cents)} of {row.external}, which has"
            f" {format_euro(row.paid_cents)}; take it back with: canteen-central credit"
        )
        incidents.add_or_count(books, Incident(at, "revoked_in_part", detail))
        return False
    for credited in postings.find_payments(books, PaymentKey(CHANNEL, row.external)):
        back = Payment(credited.account, -credited.cents, key)
        post_credit(books, Credit(back, "refund", f"revoked by flow {row.flow}"), at=at)
    return True
