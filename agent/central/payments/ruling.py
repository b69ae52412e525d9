"""The intake's rules: what becomes of a reported payment. Pure; each rule is a value with a reason.

The order of the rules is the order of the checks in `decide`.
"""

from enum import StrEnum
from typing import NamedTuple

from agent.central.books.payments import StoredPayment
from agent.central.books.postings import Payment
from agent.central.books.references import Reference
from agent.central.payments.reported import Outcome, Park, ReportedPayment


class Result(StrEnum):
    """What an intake answers. A duplicate changed nothing."""

    CREDITED = "credited"
    DUPLICATE = "duplicate"
    PARKED = "parked"
    PENDING = "pending"
    FAILED = "failed"


class Ruling(NamedTuple):
    """What becomes of a payment, and why."""

    result: Result
    reason: str = ""


class Standing(NamedTuple):
    """What the books know of a reported payment.

    `stored` has its key, `by_hand` is a posting of this key by the command credit, `reference` the
    notice or order that it names. `credited` is the payment that was credited for that notice.
    """

    stored: StoredPayment | None = None
    by_hand: Payment | None = None
    reference: Reference | None = None
    credited: StoredPayment | None = None


def decide(reported: ReportedPayment, standing: Standing) -> Ruling:
    """Return what becomes of a reported payment."""
    if standing.stored is not None:
        is_same = (standing.stored.reference, standing.stored.cents) == (
            reported.reference,
            reported.cents,
        )
        return Ruling(Result.DUPLICATE) if is_same else _parked(Park.KEY_REUSED)
    match reported.outcome:
        case Outcome.NOT_PAID:
            return Ruling(Result.FAILED, "not paid")
        case Outcome.UNDECIDED:
            return Ruling(Result.PENDING, "the bank has not decided")
        case Outcome.PAID:
            return _decide_paid(reported, standing)


def _decide_paid(reported: ReportedPayment, standing: Standing) -> Ruling:
    if standing.by_hand is not None:
        return _parked(Park.BOOKED_BY_HAND)
    if reported.fault is not None:
        return _parked(reported.fault)
    if standing.reference is None:
        return _parked(Park.UNKNOWN_REFERENCE)
    if standing.credited is not None:
        return _parked(Park.SECOND_PAYMENT)
    if reported.cents != standing.reference.cents:
        return _parked(Park.AMOUNT_DIFFERS)
    return Ruling(Result.CREDITED)


def _parked(park: Park) -> Ruling:
    return Ruling(Result.PARKED, park.value)
