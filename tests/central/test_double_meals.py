"""What several meals of one account, service and day cost."""

from itertools import permutations

import pytest

from agent.central.verdict import SECOND_REASON
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import ForeignTerminal, meal


def given_back(foreign: ForeignTerminal) -> list[int]:
    rows = foreign.central.books.rows("SELECT cents FROM posting WHERE kind = 'double_meal'")
    return [cents for (cents,) in rows]


# C106
def test_all_meals_but_the_first_are_given_back(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(mono_ms=2), meal(mono_ms=3))
    assert foreign.central.balance("a-1") == -366
    assert [foreign.verdict(seq)[1] for seq in (1, 2, 3)] == ["", SECOND_REASON, SECOND_REASON]
    the_books_are_consistent(foreign.central.books)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_earliest_meal_is_paid_in_whatever_order_they_come(
    foreign: ForeignTerminal, order: tuple[int, ...]
) -> None:
    """Prices differ, so that the balance says which meal was paid."""
    for n in order:
        at = f"2026-11-23T11:0{n}:00.000Z"
        foreign.send(meal(at=at, cents=-(100 + n), boot=f"boot-{n}"))
    assert foreign.central.balance("a-1") == -100


# C106
def test_a_storno_of_the_first_meal_lets_the_second_be_paid(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(mono_ms=2))
    foreign.send(foreign.storno(1))
    assert foreign.central.balance("a-1") == -366
    foreign.send(foreign.storno(2))
    assert foreign.central.balance("a-1") == 0
    assert sum(given_back(foreign)) == 0


def test_a_town_that_keeps_double_meals_charges_each(foreign: ForeignTerminal) -> None:
    foreign.central.policy(double_meal="keep")
    foreign.send(meal(), meal(mono_ms=2))
    assert foreign.central.balance("a-1") == -2 * 366


def test_meals_cost_what_the_rule_of_their_day_says(foreign: ForeignTerminal) -> None:
    """They come late: another rule is in effect when the central books them."""
    foreign.central.policy(from_day="2026-11-01", double_meal="keep")
    foreign.central.policy(from_day="2026-11-23", double_meal="give_back")
    old = {"day": "2026-11-20", "at": "2026-11-20T11:02:05.331Z"}
    foreign.send(meal(**old), meal(**old, mono_ms=2))
    assert foreign.central.balance("a-1") == -2 * 366


def test_a_new_rule_is_applied_to_meals_since_its_day(foreign: ForeignTerminal) -> None:
    before, since = {"day": "2026-11-20"}, {"day": "2026-11-23"}
    foreign.send(meal(**before), meal(**before, mono_ms=2), meal(**since), meal(**since, mono_ms=2))
    assert foreign.central.balance("a-1") == -2 * 366
    foreign.central.policy(from_day="2026-11-21", double_meal="keep")
    assert foreign.central.balance("a-1") == -3 * 366
    foreign.central.policy(from_day="2026-11-21", double_meal="give_back")
    assert foreign.central.balance("a-1") == -2 * 366
    the_books_are_consistent(foreign.central.books)
