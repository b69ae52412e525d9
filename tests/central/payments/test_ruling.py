"""The intake's rules as values, in their order."""

import pytest

from agent.central.books.payments import StoredPayment
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Reference
from agent.central.payments.reported import WORDS, Outcome, Park, ReportedPayment
from agent.central.payments.ruling import Result, Ruling, Standing, decide

KEY = PaymentKey("pagopa", "c:1")
NOTICE = Reference("iuv", "3" + "0" * 17, "iuv", 2_000, "")
PAID = ReportedPayment(KEY, "iuv", 2_000)
STORED = StoredPayment(
    n=1, channel="pagopa", external="c:1", reference="iuv", cents=2_000, paid_at=None, at="",
    state="credited", reason="",
)  # fmt: skip
KNOWN = Standing(reference=NOTICE)


@pytest.mark.parametrize(
    ("reported", "standing", "ruling"),
    [
        (PAID, KNOWN, Ruling(Result.CREDITED)),
        (PAID, KNOWN._replace(stored=STORED, credited=STORED), Ruling(Result.DUPLICATE)),
        (PAID._replace(cents=1), Standing(STORED), Ruling(Result.PARKED, Park.KEY_REUSED)),
        (PAID._replace(reference="x"), Standing(STORED), Ruling(Result.PARKED, Park.KEY_REUSED)),
        (PAID, Standing(), Ruling(Result.PARKED, Park.UNKNOWN_REFERENCE)),
        (PAID, KNOWN._replace(credited=STORED), Ruling(Result.PARKED, Park.SECOND_PAYMENT)),
        (PAID._replace(cents=1_999), KNOWN, Ruling(Result.PARKED, Park.AMOUNT_DIFFERS)),
        (PAID._replace(cents=2_001), KNOWN, Ruling(Result.PARKED, Park.AMOUNT_DIFFERS)),
        (PAID._replace(fault=Park.NOT_OURS), KNOWN, Ruling(Result.PARKED, Park.NOT_OURS)),
        (
            PAID,
            KNOWN._replace(by_hand=Payment("a-1", 2_000, KEY)),
            Ruling(Result.PARKED, Park.BOOKED_BY_HAND),
        ),
        (PAID._replace(outcome=Outcome.NOT_PAID), KNOWN, Ruling(Result.FAILED, "not paid")),
        (
            PAID._replace(outcome=Outcome.UNDECIDED),
            Standing(),
            Ruling(Result.PENDING, "the bank has not decided"),
        ),
    ],
)
def test_a_payment_is_decided(
    reported: ReportedPayment, standing: Standing, ruling: Ruling
) -> None:
    assert decide(reported, standing) == ruling


def test_every_reason_to_park_says_what_to_do() -> None:
    assert set(WORDS) == set(Park)
