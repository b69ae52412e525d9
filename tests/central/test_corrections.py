"""Entries are booked, or priced, again when more is known, and never change themselves."""

import json

from agent.central.books import accounts
from agent.central.corrections import BOOKED_LATER
from agent.central.office.cards import assign_card
from agent.domain.canteen import Price
from agent.domain.card import Token
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import ForeignTerminal, meal

NEW_CARD = Token("ab" * 16)


def true_times(foreign: ForeignTerminal) -> list[tuple[str | None, str | None]]:
    rows = foreign.central.books.rows("SELECT true_at, true_day FROM entry ORDER BY seq")
    return [(at, day) for at, day in rows]


def unknown_meal(**changes: object) -> dict[str, object]:
    return meal(kind="unknown_meal", account=None, card=NEW_CARD, cents=0, **changes)


def assign(foreign: ForeignTerminal) -> int:
    return assign_card(foreign.central.books, NEW_CARD, "a-1", at=foreign.central.clock.instant)


def test_meals_of_an_unknown_card_are_booked_once_when_its_account_is_known(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(unknown_meal(), unknown_meal(day="2026-11-24"))
    assert foreign.central.balance("a-1") == 0
    assert (assign(foreign), assign(foreign)) == (2, 0)
    assert foreign.central.balance("a-1") == -2 * 366
    assert foreign.verdict(1) == ("applied", BOOKED_LATER)
    the_books_are_consistent(foreign.central.books)


def test_an_undone_meal_of_an_unknown_card_is_booked_with_zero(foreign: ForeignTerminal) -> None:
    foreign.send(unknown_meal())
    foreign.send(foreign.storno(1, cents=0))
    assign(foreign)
    assert foreign.central.balance("a-1") == 0
    the_books_are_consistent(foreign.central.books)


def test_other_reasons_of_a_meal_stay_when_it_is_booked_later(foreign: ForeignTerminal) -> None:
    entry = {**unknown_meal(), "seq": 1, "hash": "ab" * 32}
    foreign.send_raw([entry], prev=foreign.previous)
    foreign.seq = 1
    assign(foreign)
    assert foreign.verdict() == ("flagged", f"{BOOKED_LATER}; hash_does_not_match")


def test_a_later_meal_of_the_same_boot_corrects_the_time_of_an_unset_clock(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(clock="unset", at="1970-01-01T00:00:01.000Z", day="1970-01-01"))
    assert true_times(foreign) == [(None, None)]
    foreign.send(meal(at="2026-11-23T11:05:00.000Z", mono_ms=60_001, account="a-2"))
    assert true_times(foreign)[0] == ("2026-11-23T11:04:00.000Z", "2026-11-23")
    (body,) = foreign.central.books.rows("SELECT body FROM entry WHERE seq = 1")[0]
    assert json.loads(body)["at"] == "1970-01-01T00:00:01.000Z"


def test_another_boot_corrects_nothing(foreign: ForeignTerminal) -> None:
    foreign.send(meal(clock="unset"), meal(boot="other", account="a-2"))
    assert true_times(foreign)[0] == (None, None)


def test_a_meal_typed_in_for_an_earlier_day_keeps_that_day(foreign: ForeignTerminal) -> None:
    foreign.send(meal(clock="unset", how="late", day="2026-11-20"), meal(mono_ms=2, account="a-2"))
    assert true_times(foreign)[0][1] == "2026-11-20"


def test_an_unknown_cards_meal_is_priced_again_by_its_true_day(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    with books.transaction():
        new_price = Price(service="lunch", from_day="2026-11-23", cents=400)
        accounts.set_price(books, "a-1", new_price)
    assign(foreign)
    foreign.send(unknown_meal(clock="unset", day="2026-11-20"))
    assert foreign.central.balance("a-1") == -366
    foreign.send(meal(mono_ms=2, account="a-2"))
    assert foreign.central.balance("a-1") == -400
    the_books_are_consistent(books)
