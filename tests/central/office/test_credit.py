"""Credits: a payment is booked once, whatever is reported again."""

from pathlib import Path

import pytest

from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import Transfer, credit, transfer
from agent.errors import CentralError
from tests.invariants import the_books_are_consistent
from tests.parts.roster import load_roster
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


MOVE = Transfer("a-1", "a-2", 500, PaymentKey("transfer", "t-1"))


def test_a_transfer_moves_money_once(wire: Wire) -> None:
    wire.central.credit("a-1", 500, "r-1")
    done = [transfer(wire.central.books, MOVE, at=wire.clock.instant) for _ in range(2)]
    assert done == [True, False]
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (0, 500)
    the_books_are_consistent(wire.central.books)


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        (MOVE._replace(cents=501), r"has 5\.00 euro, 5\.01 cannot be taken"),
        (MOVE._replace(cents=0), "cannot be taken"),
        (MOVE._replace(cents=-1), "cannot be taken"),
        (MOVE._replace(target="a-1"), "name two accounts"),
        (MOVE._replace(target="a-9"), "account 'a-9' does not exist"),
    ],
)
def test_a_transfer_of_what_is_not_there_is_refused(
    wire: Wire, move: Transfer, sentence: str
) -> None:
    wire.central.credit("a-1", 500, "r-1")
    with pytest.raises(CentralError, match=sentence):
        transfer(wire.central.books, move, at=wire.clock.instant)
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (500, 0)


def test_an_id_of_another_transfer_is_refused(wire: Wire) -> None:
    wire.central.credit("a-1", 500, "r-1")
    transfer(wire.central.books, MOVE._replace(cents=100), at=wire.clock.instant)
    with pytest.raises(CentralError, match="is already booked with another amount"):
        transfer(wire.central.books, MOVE, at=wire.clock.instant)


@pytest.mark.parametrize("target", ["f-2", "none"])
def test_a_transfer_to_another_family_must_be_allowed(
    wire: Wire, tmp_path: Path, target: str
) -> None:
    """An account of no family is no sibling. In a town without families any transfer is one."""
    wire.central.credit("a-1", 500, "r-1")
    load_roster(wire, tmp_path / "r.csv", f"account,family\na-1,f-1\na-2,{target}\n")
    with pytest.raises(CentralError, match="of two families"):
        transfer(wire.central.books, MOVE, at=wire.clock.instant)
    allowed = MOVE._replace(to_any_family=True)
    assert transfer(wire.central.books, allowed, at=wire.clock.instant)
