"""Raw messages: kept for ten years, then gone from the file; what they did stays."""

import sqlite3

import pytest

from agent.central.books import incidents, payments
from agent.central.books.incidents import UnusableMessage
from agent.central.books.references import Reference
from agent.central.payments.doors import receive_file
from agent.central.payments.retention import RAW_YEARS, old_messages, remove_old_messages
from tests.parts.payment_messages import DEBTOR, WHOSE, Receipt, soap_receipt
from tests.parts.wire import Central

PAID = "2026-11-23T11:05:00.000Z"
LAST = f"{2026 + RAW_YEARS}-11-23T11:05:00.000Z"
LATER = f"{2026 + RAW_YEARS}-11-23T11:05:00.001Z"


def test_a_text_goes_after_raw_years_and_hash_and_result_stay(
    central: Central, notice: Reference
) -> None:
    receive_file(central.books, soap_receipt(Receipt(notice.id)), WHOSE, PAID)
    before = central.books.rows("SELECT n, payment, at, sha256, result FROM arrival")
    assert old_messages(central.books, LAST) == ([], [])
    assert len(remove_old_messages(central.books, LATER).arrivals) == 1
    assert central.books.rows("SELECT n, payment, at, sha256, result FROM arrival") == before
    assert central.value("SELECT count(*) FROM arrival WHERE body IS NOT NULL") == 0
    assert remove_old_messages(central.books, LATER) == ([], [])
    (payment,) = payments.newest(central.books)
    assert (payment.state, central.balance("a-1")) == ("credited", 2_000)


def test_the_names_are_gone_from_the_file(central: Central, notice: Reference) -> None:
    receive_file(central.books, soap_receipt(Receipt(notice.id)), WHOSE, PAID)
    assert DEBTOR.encode() in central.path.read_bytes()
    remove_old_messages(central.books, LATER)
    assert DEBTOR.encode() not in central.path.read_bytes()


def test_a_text_that_came_again_within_the_time_is_kept(
    central: Central, notice: Reference
) -> None:
    """Equal messages are stored once: the later one has no text of its own."""
    receive_file(central.books, soap_receipt(Receipt(notice.id)), WHOSE, PAID)
    receive_file(central.books, soap_receipt(Receipt(notice.id)), WHOSE, LATER)
    assert remove_old_messages(central.books, LATER).arrivals == []
    assert central.value("SELECT count(*) FROM arrival WHERE body IS NOT NULL") == 1


def test_a_message_set_aside_loses_its_text_and_keeps_its_reason(central: Central) -> None:
    with central.books.transaction():
        incidents.set_aside(central.books, UnusableMessage(PAID, "receipt", b"name", "why"))
    assert len(remove_old_messages(central.books, LATER).set_aside) == 1
    rows = central.books.rows("SELECT topic, bytes, payload, reason FROM set_aside")
    assert rows == [("receipt", 4, b"", "why")]


def test_nothing_else_of_an_arrival_can_be_changed(central: Central, notice: Reference) -> None:
    receive_file(central.books, soap_receipt(Receipt(notice.id)), WHOSE, PAID)
    for change in (
        "body = x'78'",
        "at = ''",
        "sha256 = '', body = NULL",
        "result = '', body = NULL",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            central.books.sql.execute(f"UPDATE arrival SET {change}")
