"""What a door makes of a message: a payment as it was reported, before anything is decided."""

from enum import StrEnum
from typing import NamedTuple

from agent.central.books.postings import PaymentKey


class Outcome(StrEnum):
    """What the channel states of a payment."""

    PAID = "paid"
    NOT_PAID = "not paid"
    UNDECIDED = "undecided"


class Park(StrEnum):
    """Why a payment waits for the office. The value is stored; `WORDS` has the sentence."""

    UNKNOWN_REFERENCE = "unknown_reference"
    SECOND_PAYMENT = "second_payment"
    AMOUNT_DIFFERS = "amount_differs"
    NOT_OURS = "not_ours"
    PARTS_DIFFER = "parts_differ"
    KEY_REUSED = "key_reused"
    BOOKED_BY_HAND = "booked_by_hand"


WORDS = {
    Park.UNKNOWN_REFERENCE: "no reference of this town; assign it, or refund it",
    Park.SECOND_PAYMENT: "its notice is already paid; refund it, or assign it",
    Park.AMOUNT_DIFFERS: "its amount is not that of its reference; assign it, or refund it",
    Park.NOT_OURS: "no part of it is for this town's canteen; reject it",
    Park.PARTS_DIFFER: "its parts do not sum to what was paid; ask the payment's sender",
    Park.KEY_REUSED: "its id came before with other contents; ask the payment's sender",
    Park.BOOKED_BY_HAND: "the office booked this id with the command credit; reject it",
}


class ReportedPayment(NamedTuple):
    """A payment as a door understood it. `cents` is the part for this town's canteen.

    `paid_at` is an instant, or a day where the channel states no time. `fault` is what the door
    itself cannot accept.
    """

    key: PaymentKey
    reference: str
    cents: int
    outcome: Outcome = Outcome.PAID
    paid_at: str | None = None
    fault: Park | None = None
