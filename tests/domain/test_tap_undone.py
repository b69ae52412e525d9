"""What follows a tap: the storno of its meal, and the end of the service."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from agent.domain.canteen import ServiceNow
from agent.domain.clock import ClockTrust, Moment, format_instant, parse_instant
from agent.domain.ledger import Entry, How, Kind, RefusalReason, Reversed, entry_fault
from agent.domain.tap import (
    AlreadyServed,
    Outcome,
    Refused,
    Served,
    UndoRefusal,
    closing,
    is_further_look,
    out_of_order_refusal,
    undo,
)
from tests.domain.test_tap import BEFORE, DAY, EPOCH, FACTS, MEAL, MOMENT, STRICT, own

LUNCH = ServiceNow(service="lunch", day=DAY, outside_hours=False)


def undone(
    meal: Entry = MEAL, *, already: bool = False, moment: Moment = MOMENT
) -> Entry | UndoRefusal:
    return undo(own(meal, is_undone=already), epoch=EPOCH, policy=STRICT, moment=moment)


def test_a_storno_gives_the_price_back_and_names_the_meal() -> None:
    storno = undone()
    assert isinstance(storno, Entry) and entry_fault(storno) is None
    assert (storno.kind, storno.cents, storno.account) == (Kind.STORNO, 366, "a-1")
    assert storno.reverses == Reversed(epoch=EPOCH, seq=7, hash=MEAL.hash)


def test_a_meal_is_undone_once_and_only_a_meal() -> None:
    assert undone(already=True) is UndoRefusal.ALREADY_UNDONE
    assert undone(out_of_order_refusal(FACTS)) is UndoRefusal.NOT_A_MEAL


def test_a_meal_can_be_undone_until_the_end_of_undo_min() -> None:
    """Within a boot by the monotonic clock, across boots by a confirmed time."""
    last_ms = STRICT.undo_min * 60_000
    assert isinstance(undone(moment=replace(MOMENT, mono_ms=1 + last_ms)), Entry)
    late = undone(moment=replace(MOMENT, mono_ms=2 + last_ms, at="2026-11-20T11:00:00.000Z"))
    assert late is UndoRefusal.TOO_LATE
    assert isinstance(undone(BEFORE, moment=replace(MOMENT, at="2026-11-23T13:02:05.331Z")), Entry)
    too_late = replace(MOMENT, at="2026-11-23T13:02:05.332Z")
    assert undone(BEFORE, moment=too_late) is UndoRefusal.TOO_LATE
    assert isinstance(undone(BEFORE, moment=replace(too_late, trust=ClockTrust.HELD)), Entry)


@pytest.mark.parametrize("days_wrong", [-3_650, -1, 1, 3_650])
@pytest.mark.parametrize("is_dated", [True, False])
def test_across_boots_a_wrong_time_of_the_meal_says_nothing_of_its_age(
    days_wrong: int, *, is_dated: bool
) -> None:
    """A meal recorded under a wrong clock may be a minute old."""
    at = format_instant(parse_instant(MOMENT.at) + timedelta(days=days_wrong))
    wrong = replace(BEFORE, at=at)
    storno = undo(own(wrong, is_dated=is_dated), epoch=EPOCH, policy=STRICT, moment=MOMENT)
    assert (storno is UndoRefusal.TOO_LATE) == (is_dated and days_wrong < 0)


def test_a_meal_of_unknown_age_can_be_undone_where_the_town_gives_no_time() -> None:
    at_once = replace(STRICT, undo_min=0)
    unsure = replace(MOMENT, trust=ClockTrust.HELD)
    assert isinstance(undo(own(BEFORE), epoch=EPOCH, policy=at_once, moment=unsure), Entry)


def test_a_closing_holds_both_counts() -> None:
    entry = closing(moment=MOMENT, service=LUNCH, trays=21, served=22)
    assert entry_fault(entry) is None
    assert (entry.kind, entry.trays, entry.served) == (Kind.CLOSING, 21, 22)


REFUSAL = replace(MEAL, kind=Kind.REFUSAL, reason=RefusalReason.NO_CREDIT)
NO_CREDIT = Refused(entry=REFUSAL, reason=RefusalReason.NO_CREDIT)
AGAIN = replace(REFUSAL, reason=RefusalReason.ALREADY_SERVED)


@pytest.mark.parametrize(
    ("newest", "outcome", "is_same"),
    [
        (MEAL, AlreadyServed(entry=AGAIN, terminal=None), True),
        (replace(MEAL, kind=Kind.UNKNOWN_MEAL), AlreadyServed(entry=AGAIN, terminal=None), True),
        (AGAIN, AlreadyServed(entry=AGAIN, terminal=None), True),
        (REFUSAL, NO_CREDIT, True),
        (MEAL, AlreadyServed(entry=AGAIN, terminal="t-2"), False),
        (MEAL, NO_CREDIT, False),  # the office has taken the credit back: that is new
        (REFUSAL, Served(entry=MEAL, is_another=False), False),
        (replace(REFUSAL, reason=RefusalReason.OUT_OF_ORDER), NO_CREDIT, False),
        (replace(MEAL, card="f" * 32), AlreadyServed(entry=AGAIN, terminal=None), False),
        (replace(MEAL, boot="another"), AlreadyServed(entry=AGAIN, terminal=None), False),
        (replace(MEAL, how=How.MANUAL), AlreadyServed(entry=AGAIN, terminal=None), False),
        (replace(MEAL, mono_ms=MEAL.mono_ms + 1), AlreadyServed(entry=AGAIN, terminal=None), False),
        (replace(REFUSAL, card=None), replace(NO_CREDIT, entry=replace(REFUSAL, card=None)), False),
    ],
)
def test_a_further_look_is_the_card_of_the_newest_entry_with_the_same_outcome(
    newest: Entry, outcome: Outcome, is_same: bool
) -> None:
    assert is_further_look(newest, outcome, 30_000) is is_same


def test_a_further_look_is_near_in_time() -> None:
    for later_ms, is_same in ((30_000, True), (30_001, False)):
        draft = replace(AGAIN, mono_ms=MEAL.mono_ms + later_ms)
        outcome = AlreadyServed(entry=draft, terminal=None)
        assert is_further_look(MEAL, outcome, 30_000) is is_same
