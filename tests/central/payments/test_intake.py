"""The one intake: one credit for one payment, everything kept as it came."""

import sqlite3

import pytest

from agent.central.books import payments
from agent.central.books.payments import Arrival, StoredPayment
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Reference, Share
from agent.central.office.credit import credit
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.intake import add_reference, assign, close, take_in
from agent.central.payments.reported import Outcome, Park, ReportedPayment
from agent.central.payments.ruling import Result, Ruling
from agent.errors import CentralError
from tests.parts.wire import Central


def report(
    central: Central, reference: str, external: str = "c:1", cents: int = 2_000
) -> ReportedPayment:
    return ReportedPayment(PaymentKey("pagopa", external), reference, cents)


def take(central: Central, reported: ReportedPayment, body: bytes = b"message") -> Ruling:
    return take_in(central.books, reported, Arrival(central.clock.instant, body))


def parked(central: Central) -> StoredPayment:
    (payment,) = payments.open_payments(central.books)
    return payment


def test_a_payment_is_credited_once_however_often_it_comes(
    central: Central, notice: Reference
) -> None:
    results = [take(central, report(central, notice.id)).result for _ in range(3)]
    assert results == [Result.CREDITED, Result.DUPLICATE, Result.DUPLICATE]
    assert central.balance("a-1") == 2_000


def test_every_message_is_kept_and_equal_bytes_once(central: Central, notice: Reference) -> None:
    for body in (b"one way", b"one way", b"another way"):
        take(central, report(central, notice.id), body)
    rows = central.books.rows("SELECT body, length(sha256), result FROM arrival ORDER BY n")
    assert rows == [
        (b"one way", 64, "credited"),
        (None, 64, "duplicate"),
        (b"another way", 64, "duplicate"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payment",
        "UPDATE payment SET cents = 1",
        "UPDATE payment SET state = 'parked'",
        "DELETE FROM arrival",
        "UPDATE arrival SET result = ''",
    ],
)
def test_a_decided_payment_cannot_be_rewritten(
    central: Central, notice: Reference, statement: str
) -> None:
    take(central, report(central, notice.id))
    with pytest.raises(sqlite3.IntegrityError):
        central.books.sql.execute(statement)


def test_a_notice_for_two_children_is_split(central: Central) -> None:
    shares = [Share("a-1", 1_250), Share("a-2", 749)]
    notice = give_out_notice(central.books, "47", shares, lambda _: 5, central.clock.instant)
    take(central, report(central, notice.id, cents=1_999))
    assert (central.balance("a-1"), central.balance("a-2")) == (1_250, 749)


def test_a_second_payment_of_a_notice_waits_for_the_office(
    central: Central, notice: Reference
) -> None:
    take(central, report(central, notice.id))
    assert take(central, report(central, notice.id, "c:2")).reason == Park.SECOND_PAYMENT
    assert central.balance("a-1") == 2_000
    assign(central.books, parked(central).n, [Share("a-2", 2_000)], "", "for the sister")
    assert central.balance("a-2") == 2_000


def test_a_known_key_with_another_amount_is_parked_under_its_own(
    central: Central, notice: Reference
) -> None:
    take(central, report(central, notice.id))
    changed = report(central, notice.id, cents=2_500)
    results = [take(central, changed, b"changed").result for _ in range(2)]
    assert results == [Result.PARKED, Result.DUPLICATE]
    assert parked(central).external.startswith("c:1~")
    assert central.balance("a-1") == 2_000
    (kind,) = central.books.rows("SELECT kind FROM incident")[0]
    assert kind == "payment_parked"


def test_a_payment_that_waits_is_not_booked_by_hand(central: Central) -> None:
    """It could be assigned later, and its family would have its credit twice."""
    take(central, report(central, "unknown"))
    by_hand = Payment("a-1", 2_000, PaymentKey("pagopa", "c:1"))
    with pytest.raises(CentralError, match="was reported, and is parked: see number 1"):
        credit(central.books, by_hand, at=central.clock.instant)
    assign(central.books, parked(central).n, [Share("a-1", 2_000)], "", "its family is known")
    assert central.balance("a-1") == 2_000


def test_a_payment_that_the_office_booked_by_hand_is_not_credited_again(
    central: Central, notice: Reference
) -> None:
    by_hand = Payment("a-1", 2_000, PaymentKey("pagopa", "c:1"))
    credit(central.books, by_hand, at=central.clock.instant)
    results = [take(central, report(central, notice.id)).result for _ in range(2)]
    assert results == [Result.PARKED, Result.DUPLICATE]
    payment = parked(central)
    with pytest.raises(CentralError, match="booked this id with the command credit"):
        assign(central.books, payment.n, [Share("a-1", 2_000)], "", "again")
    close(central.books, payment.n, "rejected", "it is booked")
    assert central.balance("a-1") == 2_000


def test_a_payment_before_its_reference_is_credited_when_the_reference_is_stored(
    central: Central,
) -> None:
    assert take(central, report(central, "O1")).reason == Park.UNKNOWN_REFERENCE
    assert take(central, report(central, "O1", "c:2")).reason == Park.UNKNOWN_REFERENCE
    order = Reference("O1", None, "O1", 2_000, "")
    add_reference(central.books, order, [Share("a-1", 2_000)], central.clock.instant)
    assert central.balance("a-1") == 2_000
    assert parked(central).reason == Park.SECOND_PAYMENT


def test_a_pending_payment_ends_with_the_banks_decision(
    central: Central, notice: Reference
) -> None:
    pending = report(central, notice.id, "c:1#PEN")._replace(outcome=Outcome.UNDECIDED)
    assert take(central, pending).result is Result.PENDING
    assert take(central, report(central, notice.id)).result is Result.CREDITED
    assert payments.open_payments(central.books) == []


def test_the_office_closes_a_parked_payment_once(central: Central) -> None:
    take(central, report(central, "nobody's"))
    n = parked(central).n
    assert close(central.books, n, "refunded", "bank transfer 12").cents == 2_000
    with pytest.raises(CentralError, match="is refunded, not parked"):
        close(central.books, n, "rejected", "again")
    with pytest.raises(CentralError, match="payment 99 does not exist"):
        close(central.books, 99, "rejected", "")


def test_all_of_a_payment_is_assigned_to_accounts_that_exist(central: Central) -> None:
    take(central, report(central, "nobody's"))
    n = parked(central).n
    for shares, sentence in (
        ([Share("a-1", 1_999)], r"19\.99 are assigned; assign all of it"),
        ([Share("a-1", 1_000), Share("a-9", 1_000)], "account 'a-9' does not exist"),
    ):
        with pytest.raises(CentralError, match=sentence):
            assign(central.books, n, shares, "", "x")
    assert (central.balance("a-1"), parked(central).state) == (0, "parked")


def test_a_reference_names_accounts_that_exist_and_their_sum(central: Central) -> None:
    with pytest.raises(CentralError, match="account 'a-9' does not exist"):
        add_reference(central.books, Reference("R", None, "R", 5, ""), [Share("a-9", 5)], "")
    with pytest.raises(CentralError, match="do not sum to its amount"):
        add_reference(central.books, Reference("R", None, "R", 5, ""), [Share("a-1", 4)], "")


def test_a_payment_is_taken_in_without_reading_whole_tables(
    central: Central, notice: Reference
) -> None:
    """Every statement uses an index: a payment costs the same after ten years."""
    statements: list[str] = []
    central.books.sql.set_trace_callback(statements.append)
    for external, body in (("c:1", b"1"), ("c:1", b"1"), ("c:2", b"2")):
        take(central, report(central, notice.id, external), body)
    central.books.sql.set_trace_callback(None)
    plans = [
        step[3]
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE"))
        for step in central.books.sql.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    scans = {plan for plan in plans if plan.startswith("SCAN")}
    assert plans and scans == {"SCAN central"}, "only the table of one row is read whole"
