"""What must always be true of payments: credit = payments accepted, and nothing is dropped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class OpenPayment(NamedTuple):
    """A payment that waits for the office: what it names, our part, and why it waits."""

    names: str
    cents: int
    reason: str


def credit_is_the_payments_accepted(posted: Mapping[str, int], accepted: Mapping[str, int]) -> None:
    """Both are the cents of each account. `accepted` is computed from what was reported."""
    different = [
        (account, posted.get(account, 0), accepted[account])
        for account in sorted({*posted, *accepted})
        if posted.get(account, 0) != accepted[account]
    ]
    assert not different, f"credit (posted, payments accepted) differs: {different[:3]}"


def a_payment_has_the_result_that_is_due(payment: str, result: str, due: str) -> None:
    assert result == due, f"payment {payment} is {result}, must be {due}"


def every_payment_that_waits_is_listed(
    listed: Sequence[OpenPayment], waiting: Sequence[OpenPayment]
) -> None:
    lost, strange = Counter(waiting) - Counter(listed), Counter(listed) - Counter(waiting)
    assert not lost and not strange, f"not listed: {[*lost][:3]}, listed: {[*strange][:3]}"


def what_is_settled_without_a_receipt_is_listed(listed: set[str], missing: set[str]) -> None:
    assert listed == missing, f"the missing receipts are {listed}, must be {missing}"


def what_was_booked_by_hand_is_not_assigned(payment: str, *, was_assigned: bool) -> None:
    assert not was_assigned, f"payment {payment} was assigned though it is booked by hand"
