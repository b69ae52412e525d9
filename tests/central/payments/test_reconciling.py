"""The reconciliation: one payment by receipt, flow and treasury is one credit; lists end empty."""

from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.references import Reference
from agent.central.office.credit import credit
from agent.central.payments.doors import receive_soap
from agent.central.payments.intake import close
from agent.central.payments.reconciling import (
    ARRIVED_AFTER_DAYS,
    SETTLED_AFTER_DAYS,
    Today,
    day_rows,
    differences,
)
from agent.central.payments.settling import credit_missing, take_flow, take_treasury
from tests.parts.payment_messages import CREDITOR, WHOSE, Receipt, soap_receipt
from tests.parts.settlement_messages import FlowMessage, Movement, Row, cash_book, flow_message
from tests.parts.wire import ZONE, Central

TODAY = Today("2026-11-25", ZONE)
LATER = Today("2026-12-24", ZONE)


def push(central: Central, iuv: str, receipt: str = "receipt-1") -> None:
    receive_soap(central.books, soap_receipt(Receipt(iuv, receipt)), WHOSE, central.clock.instant)


def flow(central: Central, *rows: Row) -> None:
    take_flow(central.books, flow_message(FlowMessage(rows)), CREDITOR, central.clock.instant)


def what_differs(central: Central, today: Today) -> str:
    return "\n".join(f"{row.what}: {row.do}" for row in differences(central.books, today))


def test_a_payment_seen_by_receipt_flow_and_treasury_is_one_credit(
    central: Central, notice: Reference
) -> None:
    push(central, notice.id)
    flow(central, Row(notice.id))
    take_treasury(central.books, cash_book(Movement()))
    (row,) = day_rows(central.books, ZONE)
    assert (row.day, row.channel, row.payments) == ("2026-11-23", "pagopa", 1)
    assert {row.paid_cents, row.credited_cents, row.settled_cents, row.arrived_cents} == {2_000}
    assert what_differs(central, LATER) == ""
    assert central.balance("a-1") == 2_000


def test_each_difference_says_what_to_do_and_ends(central: Central, notice: Reference) -> None:
    push(central, notice.id, "receipt-2")
    push(central, notice.id, "receipt-3")
    assert "is already paid" in what_differs(central, TODAY)
    close(central.books, 2, "refunded", "bank transfer")
    assert what_differs(central, TODAY) == ""
    late = what_differs(central, LATER)
    assert "payment 1, 20.00 euro, is in no flow" in late and "settlements flow" in late

    flow(central, Row(notice.id, "receipt-2"))
    assert "20.00 euro, nothing arrived" in what_differs(central, LATER)
    take_treasury(central.books, cash_book(Movement("19.99")))
    assert "20.00 euro, 19.99 euro arrived" in what_differs(central, LATER)
    take_treasury(central.books, cash_book(Movement()))
    assert what_differs(central, LATER) == ""


def test_a_settled_payment_without_receipt_is_a_difference_until_it_is_credited(
    central: Central, notice: Reference
) -> None:
    flow(central, Row(notice.id))
    key = f"{CREDITOR}:receipt-1"
    assert f"canteen-central settlements credit {key}" in what_differs(central, TODAY)
    credit_missing(central.books, key, central.clock.instant)
    assert what_differs(central, TODAY) == ""


def test_a_flow_with_another_amount_than_its_receipt_is_a_difference(
    central: Central, notice: Reference
) -> None:
    push(central, notice.id)
    flow(central, Row(notice.id, euro="19.00"))
    assert "settles 19.00 euro" in what_differs(central, TODAY)


def test_a_revoked_payment_that_is_credited_is_a_difference_until_it_is_taken_back(
    central: Central, notice: Reference
) -> None:
    revoking = FlowMessage((Row(notice.id, outcome="3"),), total="-20.00")
    take_flow(central.books, flow_message(revoking), CREDITOR, central.clock.instant)
    push(central, notice.id)
    assert "20.00 are credited: load the flow again" in what_differs(central, TODAY)
    take_flow(central.books, flow_message(revoking), CREDITOR, central.clock.instant)
    assert what_differs(central, TODAY) == ""
    assert central.balance("a-1") == 0


def test_a_sum_that_names_an_unknown_flow_is_a_difference(central: Central) -> None:
    take_treasury(central.books, cash_book(Movement(), Movement(number="8", reason="affitto")))
    assert "sum 7 of 2026" in what_differs(central, TODAY)
    assert "sum 8" not in what_differs(central, TODAY)


def test_days_of_grace_are_waited_for(central: Central, notice: Reference) -> None:
    push(central, notice.id)
    last = Today(f"2026-11-{23 + SETTLED_AFTER_DAYS}", ZONE)
    assert what_differs(central, last) == ""
    assert what_differs(central, Today(f"2026-11-{24 + SETTLED_AFTER_DAYS}", ZONE)) != ""
    flow(central, Row(notice.id))
    assert what_differs(central, Today(f"2026-11-{25 + ARRIVED_AFTER_DAYS}", ZONE)) == ""
    assert what_differs(central, Today(f"2026-11-{26 + ARRIVED_AFTER_DAYS}", ZONE)) != ""


def test_what_the_office_booked_by_hand_is_in_its_channel(central: Central) -> None:
    by_hand = Payment("a-1", 500, PaymentKey("desk", "1"))
    credit(central.books, by_hand, at=central.clock.instant)
    (row,) = day_rows(central.books, ZONE)
    assert (row.channel, row.paid_cents, row.credited_cents) == ("desk", 500, 500)
