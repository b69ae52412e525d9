"""A boot's newest confirmed time dates its entries, which never change themselves."""

import json

import pytest

from agent.central.books import accounts
from agent.central.dating import AHEAD_MAX, AHEAD_REASON, REDATE
from agent.central.office.cards import assign_card
from agent.domain.canteen import Price
from agent.domain.card import Token
from agent.domain.clock import format_instant, parse_instant
from agent.domain.timekeeper import gap_words
from tests.invariants import the_books_are_consistent
from tests.parts.foreign_terminal import NAME, ForeignTerminal, meal

NEW_CARD = Token("ab" * 16)
NOON = "2026-11-23T11:05:00.000Z"  # the central's time in these tests
TWO_DAYS_LATER = "2026-11-25T11:05:00.000Z"


def true_times(foreign: ForeignTerminal) -> list[tuple[str | None, str | None]]:
    rows = foreign.central.books.rows(
        "SELECT true_at, true_day FROM entry WHERE terminal = ? ORDER BY seq", (NAME,)
    )
    return [(at, day) for at, day in rows]


def unknown_meal(**changes: object) -> dict[str, object]:
    return meal(kind="unknown_meal", account=None, card=NEW_CARD, cents=0, **changes)


def set_price(foreign: ForeignTerminal, day: str, cents: int) -> None:
    books = foreign.central.books
    with books.transaction():
        accounts.set_price(books, "a-1", Price(service="lunch", from_day=day, cents=cents))


# C117
def test_a_later_meal_of_the_same_boot_corrects_the_time_of_an_unset_clock(
    foreign: ForeignTerminal,
) -> None:
    foreign.send(meal(clock="unset", at="1970-01-01T00:00:01.000Z", day="1970-01-01"))
    assert true_times(foreign) == [(None, None)]
    foreign.send(meal(at=NOON, mono_ms=60_001, account="a-2"))
    assert true_times(foreign)[0] == ("2026-11-23T11:04:00.000Z", "2026-11-23")
    (body,) = foreign.central.books.rows("SELECT body FROM entry WHERE seq = 1")[0]
    assert json.loads(body)["at"] == "1970-01-01T00:00:01.000Z"


def test_a_time_server_that_is_set_right_within_a_batch_corrects_what_came_before(
    foreign: ForeignTerminal,
) -> None:
    early = "2026-11-21T11:05:00.000Z"
    foreign.send(
        meal(at=early, day="2026-11-21", mono_ms=1), meal(at=NOON, mono_ms=60_001, account="a-2")
    )
    assert true_times(foreign)[0] == ("2026-11-23T11:04:00.000Z", "2026-11-23")


def test_a_corrected_time_has_the_day_of_the_towns_zone(foreign: ForeignTerminal) -> None:
    """Half past midnight in Rome is still the day before in UTC."""
    night = {"clock": "unset", "at": "1970-01-01T00:00:01.000Z", "day": "1970-01-01", "mono_ms": 1}
    foreign.send(meal(**night), meal(at="2026-11-23T00:00:00.000Z", mono_ms=1_800_001))
    assert true_times(foreign)[0] == ("2026-11-22T23:30:00.000Z", "2026-11-23")


def test_another_boot_corrects_nothing(foreign: ForeignTerminal) -> None:
    foreign.send(meal(clock="unset"), meal(boot="other", account="a-2"))
    assert true_times(foreign)[0] == (None, None)


# C117
def test_a_meal_typed_in_for_an_earlier_day_keeps_that_day(foreign: ForeignTerminal) -> None:
    foreign.send(meal(clock="unset", how="late", day="2026-11-20"), meal(mono_ms=2, account="a-2"))
    assert true_times(foreign)[0][1] == "2026-11-20"


# C116
def test_a_hello_dates_the_entries_of_its_boot(foreign: ForeignTerminal) -> None:
    foreign.send(meal(clock="held", at="2026-11-20T11:00:00.000Z", day="2026-11-20", mono_ms=1_000))
    assert true_times(foreign)[0][1] == "2026-11-20"
    foreign.hello(boot="b", mono_ms=61_000, at=NOON)
    assert true_times(foreign)[0] == ("2026-11-23T11:04:00.000Z", "2026-11-23")


# C116
@pytest.mark.parametrize("clock", ["held", "unset"])
def test_a_hello_without_a_confirmed_time_dates_nothing(
    foreign: ForeignTerminal, clock: str
) -> None:
    foreign.send(meal(clock="unset"))
    foreign.hello(boot="b", mono_ms=61_000, at=NOON, clock=clock)
    assert true_times(foreign)[0] == (None, None)


# C116
def test_of_a_boot_the_time_with_the_highest_monotonic_clock_counts(
    foreign: ForeignTerminal,
) -> None:
    """A hello of the wrong minute arrives late and twice."""
    yesterday = "2026-11-22T11:05:00.000Z"
    foreign.send(meal(at=yesterday, day="2026-11-22", mono_ms=1))
    foreign.hello(boot="b", mono_ms=120_001, at=NOON)
    assert true_times(foreign)[0] == ("2026-11-23T11:03:00.000Z", "2026-11-23")
    for _ in range(2):
        foreign.hello(boot="b", mono_ms=60_001, at=yesterday)
    foreign.send(meal(at=yesterday, day="2026-11-22", mono_ms=60_001, account="a-2"))
    assert [day for _, day in true_times(foreign)] == ["2026-11-23"] * 2


# C117
def test_a_time_that_differs_by_less_than_redate_stays(foreign: ForeignTerminal) -> None:
    just = format_instant(parse_instant(NOON) - REDATE)
    more = format_instant(parse_instant(NOON) - REDATE * 1.001)
    foreign.send(meal(at=just), meal(at=more, account="a-2"))
    foreign.hello(boot="b", mono_ms=1, at=NOON)
    assert [at for at, _ in true_times(foreign)] == [just, NOON]


# C119
def test_a_time_that_has_not_come_yet_confirms_nothing(foreign: ForeignTerminal) -> None:
    at = format_instant(parse_instant(foreign.central.clock.instant) + AHEAD_MAX)
    ahead = format_instant(parse_instant(at) + parse_instant(NOON).resolution * 1_000)
    foreign.send(meal(at=at), meal(at=ahead, boot="c", account="a-2"))
    assert [at for at, _ in true_times(foreign)] == [at, None]
    assert foreign.verdict() == ("flagged", AHEAD_REASON)
    foreign.hello(boot="c", mono_ms=2, at=ahead)
    assert true_times(foreign)[1] == (None, None)
    foreign.hello(boot="c", mono_ms=3, at=NOON)
    assert true_times(foreign)[1] == ("2026-11-23T11:04:59.998Z", "2026-11-23")


# C120
def test_the_newest_meal_that_terminals_see_has_a_confirmed_day(foreign: ForeignTerminal) -> None:
    """A clock that is two days ahead must not refuse the child elsewhere, two days later."""
    held = {"clock": "held", "at": TWO_DAYS_LATER, "day": "2026-11-25"}
    foreign.send(meal(), meal(**held, boot="c"))
    assert last_meal_day(foreign) == "2026-11-23"
    foreign.send(meal(at="2026-11-25T11:05:00.000Z", day="2026-11-25", boot="d"))
    assert last_meal_day(foreign) == "2026-11-23"


def last_meal_day(foreign: ForeignTerminal) -> object:
    answer = foreign.hello()
    (account,) = [r for r in answer["records"] if r["k"] == "account" and r["id"] == "a-1"]
    return account["last_meal"]["day"]


# C118
def test_a_meal_of_another_day_has_that_days_price(foreign: ForeignTerminal) -> None:
    set_price(foreign, "2026-11-25", 400)
    foreign.send(meal(at="2026-11-22T11:05:00.000Z", day="2026-11-22"))
    foreign.send(meal(at="2026-11-25T11:05:00.000Z", day="2026-11-25", cents=-400, boot="c"))
    foreign.send(meal(clock="unset", day="2026-11-25", cents=-400, boot="c", mono_ms=3))
    assert foreign.central.balance("a-1") == -366 - 2 * 400
    foreign.hello(boot="c", mono_ms=60_001, at=NOON)
    # Both are of the 23rd now: the price is that of the 23rd, and the second is given back.
    assert foreign.central.balance("a-1") == -2 * 366
    the_books_are_consistent(foreign.central.books)


# C118
def test_a_meal_without_a_price_on_the_right_day_keeps_its_own(foreign: ForeignTerminal) -> None:
    foreign.send(meal())
    foreign.hello(boot="b", mono_ms=60_001, at="2026-08-23T11:05:00.000Z")
    assert true_times(foreign)[0][1] == "2026-08-23"
    assert foreign.central.balance("a-1") == -366


# C118
def test_a_storno_gives_back_what_a_dated_meal_cost(foreign: ForeignTerminal) -> None:
    set_price(foreign, "2026-11-25", 400)
    foreign.send(meal(clock="held", at=TWO_DAYS_LATER, day="2026-11-25", cents=-400))
    foreign.hello(boot="b", mono_ms=60_001, at=NOON)
    assert foreign.central.balance("a-1") == -366
    foreign.send(foreign.storno(1, cents=400, mono_ms=70_000))
    assert (foreign.central.balance("a-1"), foreign.verdict()) == (0, ("applied", ""))
    foreign.hello(boot="b", mono_ms=80_000, at="2026-11-25T11:06:00.000Z")
    assert foreign.central.balance("a-1") == 0  # an undone meal is not priced again
    the_books_are_consistent(foreign.central.books)


# C118
def test_an_unknown_cards_meal_is_priced_again_by_its_true_day(foreign: ForeignTerminal) -> None:
    set_price(foreign, "2026-11-23", 400)
    assign_card(foreign.central.books, NEW_CARD, "a-1", at=foreign.central.clock.instant)
    foreign.send(unknown_meal(clock="unset", day="2026-11-20"))
    assert foreign.central.balance("a-1") == -366
    foreign.send(meal(mono_ms=2, account="a-2"))
    assert foreign.central.balance("a-1") == -400
    the_books_are_consistent(foreign.central.books)


def test_a_gap_is_written_as_people_say_it() -> None:
    noon = parse_instant(NOON)
    gaps = ("2026-11-23T11:01:00.000Z", "2026-11-23T09:00:00.000Z", "2026-11-21T10:00:00.000Z")
    words = [gap_words(parse_instant(at) - noon) for at in gaps]
    assert words == ["4 min", "2 h 5 min", "2 d 1 h"]


# C123
def test_an_entry_of_another_boot_that_cannot_have_been_yet_has_no_day(
    foreign: ForeignTerminal,
) -> None:
    """The time server put terminal and central two days ahead; then both were right again."""
    foreign.central.clock.pass_ms(2 * 24 * 3_600_000)
    foreign.send(meal(at=TWO_DAYS_LATER, day="2026-11-25", boot="wrong"))
    assert last_meal_day(foreign) == "2026-11-25"
    foreign.central.clock.pass_ms(-2 * 24 * 3_600_000)
    foreign.hello(boot="b", mono_ms=1, at=NOON)
    assert true_times(foreign) == [(None, None)]
    foreign.hello(boot="b", mono_ms=3, at="2026-11-25T11:10:00.000Z")
    assert true_times(foreign) == [(None, None)]  # ahead of the central's own clock
    foreign.central.clock.pass_ms(2 * 24 * 3_600_000)
    foreign.hello(boot="c", mono_ms=1, at="2026-11-25T11:10:00.000Z")
    assert true_times(foreign) == [(TWO_DAYS_LATER, "2026-11-25")]
    the_books_are_consistent(foreign.central.books)


def test_what_was_given_back_is_taken_back_when_a_meal_loses_its_day(
    foreign: ForeignTerminal,
) -> None:
    foreign.central.clock.pass_ms(2 * 24 * 3_600_000)
    for boot in ("wrong", "too"):
        foreign.send(meal(at=TWO_DAYS_LATER, day="2026-11-25", boot=boot))
    assert foreign.central.balance("a-1") == -366
    foreign.central.clock.pass_ms(-2 * 24 * 3_600_000)
    foreign.hello(boot="b", mono_ms=1, at=NOON)
    assert foreign.central.balance("a-1") == -2 * 366
    the_books_are_consistent(foreign.central.books)
