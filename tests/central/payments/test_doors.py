"""The doors: real messages of node and bank, their answers, and what is in the books after it."""

import sqlite3
from contextlib import closing

import pytest

from agent.central.books import payments
from agent.central.books.references import Reference
from agent.central.payments.doors import receive_file, receive_notification, receive_soap
from agent.central.payments.giving_out import give_out_order
from agent.central.payments.reported import Park
from agent.central.payments.ruling import Result
from agent.central.payments.xml import child, children, parse, text
from agent.errors import CentralError
from tests.parts.payment_messages import (
    DEBTOR,
    DOOR,
    OTHER_CREDITOR,
    WHOSE,
    Notification,
    OldReceipt,
    Receipt,
    Transfer,
    notification,
    old_receipt,
    soap_receipt,
)
from tests.parts.wire import Central


def pushed(central: Central, data: bytes) -> str:
    """Return OK, or the fault's code, of the answer to a receipt."""
    soap = receive_soap(central.books, data, WHOSE, central.clock.instant)
    (response,) = child(parse(soap.body), "Body")
    faults = children(response, "fault")
    return text(faults[0], "faultCode") if faults else text(response, "outcome")


def notified(central: Central, given: Notification) -> str:
    fields = notification(given)
    ruling = receive_notification(central.books, fields, DOOR, central.clock.instant)
    return ruling.result.value if ruling else "not signed"


def states(central: Central) -> list[str]:
    return [payment.state for payment in reversed(payments.newest(central.books))]


def test_a_receipt_is_answered_ok_and_so_is_its_repetition(
    central: Central, notice: Reference
) -> None:
    data = soap_receipt(Receipt(notice.id))
    assert [pushed(central, data) for _ in range(3)] == ["OK", "OK", "OK"]
    assert central.balance("a-1") == 2_000


def test_two_payments_of_a_notice_are_both_answered_ok(central: Central, notice: Reference) -> None:
    for receipt in ("receipt-1", "receipt-2"):
        assert pushed(central, soap_receipt(Receipt(notice.id, receipt))) == "OK"
    assert states(central) == ["credited", "parked"]
    assert central.balance("a-1") == 2_000


def test_of_a_notice_partly_for_others_our_part_is_credited(
    central: Central, notice: Reference
) -> None:
    transfers = (Transfer("20.00"), Transfer("30.00", OTHER_CREDITOR))
    pushed(central, soap_receipt(Receipt(notice.id, total="50.00", transfers=transfers)))
    assert central.balance("a-1") == 2_000


def test_a_receipt_for_another_creditor_is_answered_ko(central: Central, notice: Reference) -> None:
    data = soap_receipt(Receipt(notice.id, id_pa=OTHER_CREDITOR))
    assert pushed(central, data) == "PAA_ID_DOMINIO_ERRATO"
    assert states(central) == []


def test_what_is_no_receipt_is_answered_ko_and_set_aside(central: Central) -> None:
    assert pushed(central, b"<!DOCTYPE a []><a/>") == "PAA_SINTASSI_XSD"
    assert central.value("SELECT topic FROM set_aside") == "receipt"


def test_a_receipt_that_cannot_be_stored_is_answered_ko_and_comes_again(
    central: Central, notice: Reference
) -> None:
    central.books.sql.execute("PRAGMA busy_timeout = 1")
    data = soap_receipt(Receipt(notice.id))
    with closing(sqlite3.connect(central.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert pushed(central, data) == "PAA_SYSTEM_ERROR"
        other.execute("ROLLBACK")
    assert pushed(central, data) == "OK"
    assert central.balance("a-1") == 2_000


def test_a_receipt_by_file_and_from_the_node_is_one_payment(
    central: Central, notice: Reference
) -> None:
    at = central.clock.instant
    assert pushed(central, soap_receipt(Receipt(notice.id))) == "OK"
    for data in (soap_receipt(Receipt(notice.id)), old_receipt(OldReceipt(notice.id))):
        assert receive_file(central.books, data, WHOSE, at).result is Result.DUPLICATE
    assert central.balance("a-1") == 2_000


def test_a_file_that_is_no_receipt_is_a_sentence(central: Central) -> None:
    for data in (b"<a/>", b"<RT/>", b""):
        with pytest.raises(CentralError):
            receive_file(central.books, data, WHOSE, "")


def test_a_payment_refused_then_accepted_then_reported_again_is_one_credit(
    central: Central, notice: Reference
) -> None:
    give_out_order(central.books, notice, "ORDER1", "")
    refused = Notification("ORDER1", "KO", time="120000")
    paid = Notification("ORDER1")
    results = [notified(central, given) for given in (refused, refused, paid, paid)]
    assert results == ["failed", "duplicate", "credited", "duplicate"]
    assert central.balance("a-1") == 2_000


def test_an_undecided_payment_credits_nothing_until_the_bank_decides(
    central: Central, notice: Reference
) -> None:
    give_out_order(central.books, notice, "ORDER1", "")
    assert notified(central, Notification("ORDER1", "PEN")) == "pending"
    assert central.balance("a-1") == 0
    assert notified(central, Notification("ORDER1")) == "credited"
    assert states(central) == ["failed", "credited"]


def test_a_notification_before_its_order_is_credited_when_the_order_is_stored(
    central: Central, notice: Reference
) -> None:
    assert notified(central, Notification("ORDER1")) == "parked"
    give_out_order(central.books, notice, "ORDER1", "")
    assert central.balance("a-1") == 2_000


def test_another_amount_than_ordered_or_than_before_is_parked(
    central: Central, notice: Reference
) -> None:
    for code in ("ORDER1", "ORDER2"):
        give_out_order(central.books, notice, code, "")
    assert notified(central, Notification("ORDER1", cents="1")) == "parked"
    assert notified(central, Notification("ORDER2")) == "credited"
    assert notified(central, Notification("ORDER2", cents="9999")) == "parked"
    reasons = [payment.reason for payment in payments.open_payments(central.books)]
    assert reasons == [Park.AMOUNT_DIFFERS, Park.KEY_REUSED]
    assert central.balance("a-1") == 2_000


def test_a_receipt_and_the_bank_for_one_notice_are_one_credit(
    central: Central, notice: Reference
) -> None:
    give_out_order(central.books, notice, "ORDER1", "")
    assert notified(central, Notification("ORDER1")) == "credited"
    assert pushed(central, soap_receipt(Receipt(notice.id))) == "OK"
    assert states(central) == ["credited", "parked"]
    assert central.balance("a-1") == 2_000


def test_unsigned_fields_of_the_bank_are_not_kept(central: Central, notice: Reference) -> None:
    give_out_order(central.books, notice, "ORDER1", "")
    notified(central, Notification("ORDER1"))
    body = central.value("SELECT body FROM arrival")
    assert isinstance(body, bytes)
    assert DEBTOR.split()[0].encode() not in body and b"pan" not in body


def test_wrong_notifications_are_counted_and_not_kept(central: Central) -> None:
    """Anybody may send them: kept, they would push other messages out."""
    fields = {**notification(Notification("ORDER1")), "mac": "0" * 40}
    for door in (DOOR, DOOR, None):
        at = central.clock.instant
        assert receive_notification(central.books, fields, door, at) is None
    (detail,) = central.books.rows("SELECT detail FROM incident")[0]
    assert "(3 times" in detail
    assert central.value("SELECT count(*) FROM set_aside") == 0
