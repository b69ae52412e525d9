"""A page sees what it changed, and names what it lacks. No database is needed."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.central.books.boots import Boot, BootTime
from agent.central.books.facts import Facts, Kept, Later, NotRead, Wanted
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.page import Page, serving_of
from tests.parts.booked_entry import entry

AT = "2026-11-23T12:00:00.000Z"
LUNCH = Serving("a-1", "lunch", "2026-11-23")
BOOT = Boot("t-1", "b")


def page(facts: Facts | None = None) -> Page:
    return Page(facts or Facts(), AT)


def with_meal(seq: int = 1, **beside: int) -> Facts:
    kept = Kept(entry(seq), bool(beside.get("is_undone")), beside.get("given_back_cents", 0))
    return Facts(entries={entry(seq).key: kept}, servings={LUNCH: [entry(seq).key]})


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda page: page.account("a-1"), Wanted(accounts={"a-1"})),
        (lambda page: page.card("ab"), Wanted(cards={"ab"})),
        (lambda page: page.prices("a-1"), Wanted(priced={"a-1"})),
        (lambda page: page.boot_time(BOOT), Wanted(boots={BOOT})),
        (lambda page: page.entry(entry(1).key), Wanted(entries={entry(1).key})),
        (lambda page: page.is_undone(entry(1).key), Wanted(entries={entry(1).key})),
        (lambda page: page.given_back_cents(entry(1).key), Wanted(entries={entry(1).key})),
        (lambda page: page.meals_of(LUNCH), Wanted(servings={LUNCH})),
        (lambda page: page.undated(BOOT, 1), Wanted(undated={BOOT})),
        (lambda page: page.of_boot(BOOT), Wanted(whole_boots={BOOT})),
        (lambda page: page.later(BOOT, AT), Wanted(later={Later(BOOT, AT)})),
    ],
)
def test_a_fact_that_was_not_read_is_named(ask: Callable[[Page], object], wanted: Wanted) -> None:
    with pytest.raises(NotRead) as missing:
        ask(page())
    assert missing.value.wanted == wanted


def test_all_that_a_loop_lacks_is_named_at_once() -> None:
    known = page(Facts(accounts={"a-1": None}))
    known.need(Wanted(accounts={"a-1"}))
    with pytest.raises(NotRead) as missing:
        known.need(Wanted(accounts={"a-1", "a-2"}, priced={"a-1"}))
    assert missing.value.wanted == Wanted(accounts={"a-2"}, priced={"a-1"})


def test_no_token_is_no_card() -> None:
    assert page().card(None) is None


def test_a_new_meal_stands_in_its_serving_until_a_storno_names_it() -> None:
    known = page(Facts(servings={LUNCH: []}))
    assert not known.has_standing(LUNCH)
    known.add(entry(1).key, entry(1))
    assert known.meals_of(LUNCH) == [entry(1)] and known.has_standing(LUNCH)
    undoes: dict[str, Any] = {"undoes_epoch": "1-aa", "undoes_seq": 1, "undoes_hash": "h1"}
    storno = entry(2, kind="storno", **undoes)
    known.add(storno.key, storno)
    assert known.storno_of(entry(1).key) == storno
    assert known.meals_of(LUNCH) == [entry(1)] and not known.has_standing(LUNCH)


def test_a_meal_that_was_undone_before_does_not_stand() -> None:
    assert page(with_meal()).has_standing(LUNCH)
    assert not page(with_meal(is_undone=1)).has_standing(LUNCH)


def test_meals_of_a_serving_come_by_their_true_time_whatever_their_order() -> None:
    known = page(with_meal(seq=5))
    earlier = entry(7, true_at="2026-11-23T10:59:59.999Z")
    same_time = entry(3)
    for each in (same_time, earlier):
        known.add(each.key, each)
    assert known.meals_of(LUNCH) == [earlier, same_time, entry(5)]


def test_a_meal_whose_day_changes_leaves_its_serving() -> None:
    facts = with_meal()
    tomorrow = LUNCH._replace(day="2026-11-24")
    facts.servings[tomorrow] = []
    known = page(facts)
    known.change(entry(1, true_day="2026-11-24"))
    assert known.meals_of(LUNCH) == []
    assert [meal.seq for meal in known.meals_of(tomorrow)] == [1]


def test_what_is_given_back_adds_up() -> None:
    known, meal = page(with_meal(given_back_cents=366)), entry(1).key
    known.post(Posting("a-1", -366, "double_meal", AT, entry=meal))
    known.post(Posting("a-1", 5, "meal", AT, entry=meal))
    assert known.given_back_cents(meal) == 0
    assert known.outcome.moved_cents == {"a-1": -361}


def test_entries_of_a_boot_are_those_read_and_those_of_the_page() -> None:
    facts = with_meal(seq=1)
    facts.undated[BOOT] = [entry(1).key]
    facts.whole_boots[BOOT] = [entry(1).key]
    known = page(facts)
    for each in (entry(2, dated=0, mono_ms=9), entry(3, dated=0, mono_ms=10), entry(4, boot="c")):
        known.add(each.key, each)
    assert known.undated(BOOT, 9) == [entry(2, dated=0, mono_ms=9)], "entry 1 has a time"
    assert [each.seq for each in known.of_boot(BOOT)] == [1, 2, 3]


def test_a_later_entry_of_another_boot_counts_as_it_is_now() -> None:
    later, noon = "2026-11-25T11:00:00.000Z", "2026-11-23T11:00:00.000Z"
    facts, own = with_meal(), Boot("t-1", "own")
    facts.later[Later(own, noon)] = [entry(1).key]
    known = page(facts)
    assert known.later(own, noon) == [], "entry 1 is of noon itself"
    known.change(entry(1, true_at=later))
    ahead = entry(2, true_at=None)
    for each in (ahead, entry(3, boot="own", true_at=later), entry(4, true_at=None, clock="unset")):
        known.add(each.key, each)
    assert known.later(own, noon) == [entry(1, true_at=later), ahead]


def test_a_confirmed_time_of_the_page_counts_before_one_that_was_read() -> None:
    known = page(Facts(boots={BOOT: BootTime(AT, 1)}))
    assert known.boot_time(BOOT) == BootTime(AT, 1)
    known.keep_boot_time(BOOT, BootTime(AT, 2))
    assert known.boot_time(BOOT) == BootTime(AT, 2)


def test_the_rule_of_a_day_is_the_newest_that_began() -> None:
    known = page(Facts(rules=[("2026-11-01", "keep"), ("2026-09-01", "give_back")]))
    days = ("2026-08-31", "2026-09-01", "2026-10-31", "2026-11-01")
    assert [known.gives_back(day) for day in days] == [True, True, True, False]


@pytest.mark.parametrize(
    "changes",
    [{"kind": "storno"}, {"cents": None}, {"account": None}, {"service": None}, {"true_day": None}],
)
def test_what_is_no_booked_meal_of_a_day_has_no_serving(changes: dict[str, Any]) -> None:
    assert serving_of(entry(1)) == LUNCH
    assert serving_of(entry(1, **changes)) is None
