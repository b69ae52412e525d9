"""Credits: a payment is booked once, whatever is reported again."""

import pytest

from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import credit
from agent.errors import CentralError
from tests.invariants import the_books_are_consistent
from tests.parts.wire import Wire


def test_a_payment_reported_twice_is_booked_once(wire: Wire) -> None:
    assert wire.central.credit("a-1", 2_000, "iuv-1") is True
    assert wire.central.credit("a-1", 2_000, "iuv-1") is False
    assert wire.central.balance("a-1") == 2_000


def test_the_same_id_in_another_channel_is_another_payment(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "1")
    desk = Payment("a-1", 500, PaymentKey("desk", "1"))
    assert credit(wire.central.books, desk, at=wire.clock.instant, reason="cash")
    assert wire.central.balance("a-1") == 2_500


def test_an_id_that_was_booked_with_something_else_is_refused(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "iuv-1")
    with pytest.raises(CentralError, match=r"already booked, 20\.00 euro for account a-1"):
        wire.central.credit("a-2", 2_000, "iuv-1")
    with pytest.raises(CentralError, match="book a correction under an id of its own"):
        wire.central.credit("a-1", 1_999, "iuv-1")
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (2_000, 0)


def test_a_refund_is_no_top_up(wire: Wire) -> None:
    wire.central.credit("a-1", 2_000, "r-1")
    wire.central.credit("a-1", -500, "r-2")
    kinds = wire.central.books.rows("SELECT kind, cents FROM posting ORDER BY n")
    assert [tuple(row) for row in kinds] == [("top_up", 2_000), ("refund", -500)]
    the_books_are_consistent(wire.central.books)


def test_a_credit_for_an_unknown_account_is_refused(wire: Wire) -> None:
    with pytest.raises(CentralError, match="account 'nobody' does not exist"):
        wire.central.credit("nobody", 1, "x")


def test_a_credit_booked_while_the_terminal_is_offline_is_there_when_it_is_online(
    wire: Wire,
) -> None:
    wire.disconnect()
    wire.central.credit("a-1", 5, "1")
    wire.connect()
    assert wire.box.balance("a-1") == 5
