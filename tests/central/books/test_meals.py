"""Meals by serving, and the stornos that undo them by hash."""

from agent.central.books import meals
from agent.central.books.meals import Serving
from agent.domain.ledger import EntryKey
from tests.parts.foreign_terminal import EPOCH, NAME, ForeignTerminal, meal
from tests.parts.wire import TODAY

LUNCH = Serving("a-1", "lunch", TODAY)


def test_meals_of_a_serving_come_by_time_with_what_was_given_back(
    foreign: ForeignTerminal,
) -> None:
    later, earlier = "2026-11-23T11:09:00.000Z", "2026-11-23T11:01:00.000Z"
    foreign.send(meal(at=later), meal(at=earlier, boot="another"))
    foreign.send(meal(service="snack"), meal(day="2026-11-24"), meal(account="a-2"))
    first, second = meals.of_serving(foreign.central.books, LUNCH)
    assert (first.key.seq, second.key.seq) == (2, 1)
    assert (first.given_back_cents, second.given_back_cents) == (0, 366)


def test_a_meal_stands_until_a_storno_names_it(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    books, key = foreign.central.books, EntryKey(NAME, EPOCH, 1, foreign.previous)
    assert meals.has_standing(books, LUNCH) and meals.storno_of(books, key) is None
    foreign.send(foreign.storno(1))
    assert not meals.has_standing(books, LUNCH)
    assert [each.stands for each in meals.of_serving(books, LUNCH)] == [False]
    storno = meals.storno_of(books, key)
    assert storno is not None and storno.seq == 2
    assert meals.storno_of(books, key._replace(hash="ab" * 32)) is None


def test_a_meal_that_was_set_aside_is_not_of_the_serving(foreign: ForeignTerminal) -> None:
    foreign.send(meal(cents=366), meal(kind="unknown_meal", account=None, card="ab" * 16, cents=0))
    assert meals.of_serving(foreign.central.books, LUNCH) == []
    assert not meals.has_standing(foreign.central.books, LUNCH)


def test_servings_with_several_meals_are_listed_from_their_day_on(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(), meal(mono_ms=2), meal(account="a-2"), meal(day="2026-11-20"))
    books = foreign.central.books
    assert meals.servings_with_several(books, TODAY) == [LUNCH]
    assert meals.servings_with_several(books, "2026-11-24") == []
