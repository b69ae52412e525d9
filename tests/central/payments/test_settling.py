"""Flows and sums in the books: late, doubled, reordered, revoked after the money was eaten."""

import pytest

from agent.central.books import settlements
from agent.central.books.references import Reference, Share
from agent.central.payments.doors import receive_soap
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.ruling import Result
from agent.central.payments.settling import Settled, credit_missing, take_flow, take_treasury
from agent.errors import CentralError
from tests.parts.payment_messages import CREDITOR, WHOSE, Receipt, Transfer, soap_receipt
from tests.parts.settlement_messages import (
    FLOW_ID,
    FlowMessage,
    Movement,
    Row,
    cash_book,
    flow_message,
)
from tests.parts.wire import Central

KEY = f"{CREDITOR}:receipt-1"


def take(central: Central, given: FlowMessage) -> Settled:
    return take_flow(central.books, flow_message(given), CREDITOR, central.clock.instant)


def pay(central: Central, iuv: str, receipt: str = "receipt-1", euro: str = "20.00") -> None:
    data = soap_receipt(Receipt(iuv, receipt, euro, (Transfer(euro),)))
    ruling = receive_soap(central.books, data, WHOSE, central.clock.instant).ruling
    assert ruling is not None


def test_a_flow_confirms_and_credits_nothing(central: Central, notice: Reference) -> None:
    pay(central, notice.id)
    stranger = Row("another-service", "receipt-9", "100.00")
    flow = FlowMessage((Row(notice.id), stranger))
    assert take(central, flow) == (FLOW_ID, True, 2, 0)
    assert take(central, flow) == (FLOW_ID, False, 2, 0)
    assert central.balance("a-1") == 2_000
    assert settlements.missing(central.books) == []
    assert settlements.flows_of_receipts(central.books)[KEY] == FLOW_ID


def test_a_missing_receipt_is_credited_once_and_its_receipt_is_then_a_duplicate(
    central: Central, notice: Reference
) -> None:
    take(central, FlowMessage((Row(notice.id, outcome="9"),)))
    assert central.balance("a-1") == 0
    (missing,) = settlements.missing(central.books)
    assert missing.external == KEY
    assert credit_missing(central.books, KEY, "").result is Result.CREDITED
    with pytest.raises(CentralError, match="no flow has it without a receipt"):
        credit_missing(central.books, KEY, "")
    data = soap_receipt(Receipt(notice.id))
    ruling = receive_soap(central.books, data, WHOSE, "").ruling
    assert ruling is not None and ruling.result is Result.DUPLICATE
    assert central.balance("a-1") == 2_000


@pytest.mark.parametrize("euro", ["20.00", "-20.00"])
def test_a_revoked_payment_is_taken_back_once_whatever_its_sign(
    central: Central, euro: str
) -> None:
    """The money may be eaten: the balance becomes negative."""
    shares = [Share("a-1", 1_250), Share("a-2", 750)]
    notice = give_out_notice(central.books, "47", shares, lambda _: 5, "")
    pay(central, notice.id)
    take(central, FlowMessage((Row(notice.id),)))
    revoking = FlowMessage((Row(notice.id, euro=euro, outcome="3"),), "flow-2", total="-20.00")
    assert [take(central, revoking).revoked for _ in range(2)] == [1, 0]
    assert (central.balance("a-1"), central.balance("a-2")) == (0, 0)
    kinds = central.books.rows("SELECT DISTINCT kind FROM posting WHERE cents < 0")
    assert kinds == [("refund",)]


@pytest.mark.parametrize("following", ["flow-2", "flow-3"])
def test_a_flow_that_revokes_before_the_receipt_arrives_is_applied_with_the_next_flow(
    central: Central, notice: Reference, following: str
) -> None:
    """The next flow is the same that comes again, or another one."""
    revoking = FlowMessage((Row(notice.id, outcome="3"),), "flow-2", total="-20.00")
    assert take(central, revoking).revoked == 0
    pay(central, notice.id)
    assert central.balance("a-1") == 2_000
    others = FlowMessage((Row("another-service", "receipt-9", "100.00"),), following)
    following_flow = revoking if following == revoking.flow else others
    assert [take(central, following_flow).revoked for _ in range(2)] == [1, 0]
    assert central.balance("a-1") == 0


def test_a_part_that_is_revoked_is_for_the_office(central: Central, notice: Reference) -> None:
    pay(central, notice.id)
    take(central, FlowMessage((Row(notice.id, euro="5.00", outcome="3"),), total="-5.00"))
    assert central.balance("a-1") == 2_000
    assert central.value("SELECT kind FROM incident") == "revoked_in_part"


def test_a_newer_revision_replaces_the_rows_and_an_older_one_does_not(
    central: Central, notice: Reference
) -> None:
    newer = FlowMessage((Row(notice.id),), revision="2026-11-25T09:00:00")
    older = FlowMessage((Row(notice.id), Row("x", "receipt-2", "1.00")))
    assert take(central, newer).is_new and take(central, older).is_new
    assert central.value("SELECT count(*) FROM flow_row") == 1
    newest = older._replace(revision="2026-11-25T10:00:00")
    assert take(central, newest).is_new
    assert central.value("SELECT count(*) FROM flow_row") == 2


def test_a_sum_arrives_for_its_flow_with_blanks_in_any_place(
    central: Central, notice: Reference
) -> None:
    take(central, FlowMessage((Row(notice.id),)))
    assert settlements.arrived_flows(central.books) == set()
    for _ in range(2):
        assert len(take_treasury(central.books, cash_book(Movement())).sums) == 1
    assert settlements.arrived_flows(central.books) == {FLOW_ID}
    take_treasury(central.books, cash_book(Movement(operation="STORNATO")))
    assert settlements.arrived_flows(central.books) == set()
    assert central.balance("a-1") == 0, "the treasury credits no account"
