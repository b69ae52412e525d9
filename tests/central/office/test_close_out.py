"""Close-out: what closed accounts hold goes back, to a sibling, or is written off, once."""

from pathlib import Path

import pytest

from agent.central.office.close_out import (
    CHANNEL,
    SILENT_S_MAX,
    Choice,
    How,
    Left,
    close_out,
    past_close_outs,
    plan_close_out,
)
from agent.central.office.terminals import add_terminal, retire_terminal
from agent.errors import CentralError
from agent.terminal.core import STATE_EVERY_MS
from tests.conftest import CARD
from tests.invariants import the_books_are_consistent
from tests.parts.roster import load_roster
from tests.parts.wire import Wire

ROSTER = """account,site,family,status,prices
a-10,primaria,f-1,closed,none
a-11,primaria,f-1,active,none
a-12,primaria,f-1,active,none
a-13,primaria,,closed,none
a-14,primaria,f-2,closed,none
a-15,primaria,f-2,closed,none
a-16,primaria,f-1,closed,none
"""
BALANCES = {
    "a-10": 820,
    "a-11": 500,
    "a-12": 300,
    "a-13": 120,
    "a-14": -366,
    "a-15": 0,
    "a-16": -50,
}


@pytest.fixture(autouse=True)
def closed(wire: Wire, tmp_path: Path) -> None:
    load_roster(wire, tmp_path / "r.csv", ROSTER)
    for account, cents in BALANCES.items():
        wire.central.credit(account, cents, account)


def balances(wire: Wire) -> dict[str, int]:
    return {account: wire.central.balance(account) for account in BALANCES}


def run(wire: Wire, how: How, *only: str) -> list[tuple[str, int, str | None, str | None]]:
    left = close_out(wire.central.books, Choice(how, only), "left school", wire.clock.instant)
    the_books_are_consistent(wire.central.books)
    return [(row.account, row.balance_cents, row.kind, row.to) for row in left]


def test_what_closed_accounts_hold_and_owe_is_listed_and_nothing_is_done(wire: Wire) -> None:
    plan = plan_close_out(wire.central.books, Choice(None), wire.clock.instant)
    assert [(row.account, row.balance_cents, row.kind) for row in plan] == [
        ("a-10", 820, None),
        ("a-13", 120, None),
        ("a-14", -366, None),
        ("a-16", -50, None),
    ]
    assert balances(wire) == BALANCES


def test_a_refund_leaves_nothing_and_a_debt_stays(wire: Wire) -> None:
    assert run(wire, How.REFUND) == [
        ("a-10", 820, "refund", None),
        ("a-13", 120, "refund", None),
        ("a-14", -366, None, None),
        ("a-16", -50, None, None),
    ]
    assert balances(wire) == {**BALANCES, "a-10": 0, "a-13": 0}
    assert [row[2] for row in run(wire, How.REFUND)] == [None, None], (
        "again, nothing is left to refund"
    )
    assert balances(wire)["a-14"] == -366


def test_credit_goes_to_the_active_sibling_that_has_least(wire: Wire) -> None:
    assert run(wire, How.SIBLING) == [
        ("a-10", 820, "transfer", "a-12"),
        ("a-13", 120, None, None),
        ("a-14", -366, None, None),
        ("a-16", -50, None, None),
    ], "a debt is put on no sibling"
    assert balances(wire) == {**BALANCES, "a-10": 0, "a-12": 1_120}
    rows = wire.central.books.rows(
        "SELECT account, cents, kind, reason FROM posting WHERE channel = ? ORDER BY n", (CHANNEL,)
    )
    assert rows == [
        ("a-10", -820, "transfer", "left school"),
        ("a-12", 820, "transfer", "left school"),
    ]


def test_a_debt_is_written_off_by_an_adjustment(wire: Wire) -> None:
    assert run(wire, How.WRITE_OFF, "a-14") == [("a-14", -366, "adjustment", None)]
    assert balances(wire) == {**BALANCES, "a-14": 0}


def test_a_meal_that_comes_after_the_close_out_is_closed_out_again(wire: Wire) -> None:
    """A terminal that was offline sends it late: the second close-out has an id of its own."""
    run(wire, How.REFUND, "a-10")
    wire.central.credit("a-10", -366, "late")
    assert run(wire, How.WRITE_OFF, "a-10") == [("a-10", -366, "adjustment", None)]
    ids = wire.central.books.rows(
        "SELECT external FROM posting WHERE channel = ? ORDER BY n", (CHANNEL,)
    )
    assert ids == [("a-10 1",), ("a-10 2",)]


def test_an_account_that_is_not_closed_is_refused(wire: Wire) -> None:
    with pytest.raises(CentralError, match="account a-11 is not closed"):
        run(wire, How.REFUND, "a-10", "a-11")
    with pytest.raises(CentralError, match="account 'a-99' does not exist"):
        run(wire, How.REFUND, "a-99")
    assert balances(wire) == BALANCES


def test_an_account_whose_meals_wait_for_a_price_stays(wire: Wire, tmp_path: Path) -> None:
    """Its balance is not final: the meal is charged when the office writes the price."""
    card = "a:04aaaaaa112233"
    new = "account,site,prices,cards\n"
    load_roster(wire, tmp_path / "n.csv", f"{new}a-20,primaria,none,{card}\n")
    wire.settle()
    wire.box.tap(card)
    wire.settle()
    wire.central.credit("a-20", 500, "a-20")
    load_roster(wire, tmp_path / "c.csv", "account,status\na-20,closed\n")
    assert run(wire, How.REFUND, "a-20") == [("a-20", 500, None, None)]
    load_roster(wire, tmp_path / "p.csv", "account,prices\na-20,lunch 2026-09-01 4.00\n")
    assert run(wire, How.REFUND, "a-20") == [("a-20", 100, "refund", None)]


# Meals that are still on the way


def planned(wire: Wire, *, anyway: bool = False) -> Left:
    """Return what a refund would do with account a-10."""
    choice = Choice(How.REFUND, ("a-10",), anyway)
    (left,) = plan_close_out(wire.central.books, choice, wire.clock.instant)
    return left


def test_while_a_terminal_of_the_site_has_entries_that_wait_nothing_is_paid_out(
    wire: Wire,
) -> None:
    """The meal of the last day arrives after the account was closed."""
    wire.disconnect()
    wire.box.tap(CARD)
    wire.drop = lambda topic, _: topic.endswith("/entries")
    wire.connect()
    left = planned(wire)
    assert left.kind is None
    assert left.why == "terminal t-1 has 1 entries that are not booked; let it connect"
    assert run(wire, How.REFUND, "a-10")[0][2] is None and wire.central.balance("a-10") == 820
    assert planned(wire, anyway=True).kind == "refund"
    wire.disconnect()
    wire.drop = lambda topic, _: False
    wire.connect()
    wire.pass_time(STATE_EVERY_MS)
    assert planned(wire).kind == "refund"


@pytest.mark.parametrize("lost", [("entries",), ("entries", "state"), ("entries", "hello")])
def test_whichever_message_names_the_entries_that_wait_nothing_is_paid_out(
    wire: Wire, lost: tuple[str, ...]
) -> None:
    """A state counts what waits, and a hello names the last entry: the newer of them counts."""
    wire.settle()
    assert planned(wire).kind == "refund"
    wire.disconnect()
    wire.box.tap(CARD)
    wire.drop = lambda topic, _: topic.rpartition("/")[2] in lost
    wire.connect()
    assert planned(wire).why == "terminal t-1 has 1 entries that are not booked; let it connect"


def test_a_terminal_that_is_silent_since_yesterday_may_hold_meals(wire: Wire) -> None:
    wire.settle()
    wire.disconnect()
    wire.clock.pass_ms(SILENT_S_MAX * 1_000)
    assert planned(wire).kind == "refund"
    wire.clock.pass_ms(3_600_000)
    assert planned(wire).why.startswith("terminal t-1 is silent for 25 h; let it connect")
    (listed, *_) = plan_close_out(wire.central.books, Choice(None), wire.clock.instant)
    assert listed.why.startswith("it has credit; terminal t-1 is silent")


def test_a_terminal_of_another_site_or_a_retired_one_is_not_waited_for(wire: Wire) -> None:
    wire.disconnect()
    wire.clock.pass_ms(2 * SILENT_S_MAX * 1_000)
    add_terminal(wire.central.books, "t-1", "infanzia")
    assert planned(wire).kind == "refund"
    add_terminal(wire.central.books, "t-1", "primaria")
    assert planned(wire).kind is None
    retire_terminal(wire.central.books, "t-1")
    assert planned(wire).kind == "refund"


def test_what_was_booked_is_listed_later(wire: Wire) -> None:
    run(wire, How.REFUND, "a-10")
    run(wire, How.WRITE_OFF, "a-14")
    at = wire.clock.instant
    assert past_close_outs(wire.central.books) == [
        (at, "a-10", -820, "refund", "left school"),
        (at, "a-14", 366, "adjustment", "left school"),
    ]
