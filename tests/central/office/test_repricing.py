"""Repricing: adjustments to the new price, once, and none for meals that cost nothing."""

import pytest

from agent.central.books import accounts
from agent.central.books.accounts import AccountPrice
from agent.central.office.repricing import by_account, plan_repricing, reprice
from agent.domain.canteen import Price
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import TODAY, Wire


def set_price(wire: Wire, cents: int, day: str = "2026-11-01") -> None:
    with wire.central.books.transaction():
        price = Price(service="lunch", from_day=day, cents=cents)
        accounts.set_prices(wire.central.books, [AccountPrice("a-1", price)])


@pytest.fixture
def eaten(wire: Wire) -> Wire:
    """A meal of a-1 and of a-2, each at 3.66."""
    for card in (CARD, OTHER_CARD):
        wire.box.tap(card)
    wire.settle()
    return wire


def run(wire: Wire, since: str = TODAY) -> list[int]:
    credits = reprice(wire.central.books, since, "new fares", wire.clock.instant)
    the_books_are_consistent(wire.central.books)
    return [credit.payment.cents for credit in credits]


def test_a_lower_price_gives_back_and_running_it_again_adds_nothing(eaten: Wire) -> None:
    set_price(eaten, 190)
    plan = plan_repricing(eaten.central.books, TODAY, "x")
    assert by_account(plan) == [("a-1", 1, 176)]
    assert eaten.central.balance("a-1") == -366
    assert [run(eaten), run(eaten)] == [[176], []]
    assert (eaten.central.balance("a-1"), eaten.central.balance("a-2")) == (-190, -366)


def test_a_price_that_changes_again_is_adjusted_from_where_it_stands(eaten: Wire) -> None:
    for cents, adjusted in ((190, 176), (480, -290), (366, 114)):
        set_price(eaten, cents)
        assert run(eaten) == [adjusted]
        assert eaten.central.balance("a-1") == -cents


def test_meals_before_the_day_stay_as_they_were(eaten: Wire) -> None:
    set_price(eaten, 190)
    assert run(eaten, "2026-11-24") == []


def test_a_meal_that_is_undone_after_it_was_repriced_costs_nothing(
    foreign: ForeignTerminal,
) -> None:
    wire = foreign.central
    foreign.send(meal())
    with wire.books.transaction():
        price = Price(service="lunch", from_day="2026-11-01", cents=190)
        accounts.set_prices(wire.books, [AccountPrice("a-1", price)])
    at = wire.clock.instant
    assert len(reprice(wire.books, TODAY, "new fares", at)) == 1
    foreign.send(foreign.storno(1))
    assert wire.balance("a-1") == 176
    assert len(reprice(wire.books, TODAY, "new fares", at)) == 1
    assert wire.balance("a-1") == 0
    assert reprice(wire.books, TODAY, "new fares", at) == []
    the_books_are_consistent(wire.books)
