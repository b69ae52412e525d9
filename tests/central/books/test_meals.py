"""Servings that have more than one meal."""

from agent.central.books import meals
from agent.central.books.meals import Serving
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import TODAY

LUNCH = Serving("a-1", "lunch", TODAY)


def test_servings_with_several_meals_are_listed_from_their_day_on(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(), meal(mono_ms=2), meal(account="a-2"), meal(day="2026-11-20"))
    books = foreign.central.books
    assert meals.servings_with_several(books, TODAY) == [LUNCH]
    assert meals.servings_with_several(books, "2026-11-24") == []
