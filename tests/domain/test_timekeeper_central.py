"""When a terminal believes the time in the central's answers."""

from datetime import timedelta

import pytest

from agent.domain.clock import (
    ClockTrust,
    TimeSource,
    format_instant,
)
from agent.domain.timekeeper import (
    ANSWER_EVERY_MS,
    ANSWERS,
    DOUBT_ENDS_MS,
    ROUND_TRIP_MAX_MS,
    STEP,
    Answer,
)
from tests.domain.clocks import DAY, MS, NOON, YEARS, Town, seen


@pytest.fixture
def town() -> Town:
    return Town()


def test_three_answers_over_two_minutes_set_an_unset_clock(town: Town) -> None:
    assert seen(town.moment()) == (ClockTrust.UNSET, TimeSource.NEWEST_ENTRY)
    for _ in range(2):
        assert seen(town.answer()) == (ClockTrust.HELD, TimeSource.CENTRAL_ONCE)
        assert town.is_right()
    assert seen(town.answer()) == (ClockTrust.SYNCED, TimeSource.CENTRAL)
    assert town.is_right()


def test_answers_that_come_within_two_minutes_set_no_clock(town: Town) -> None:
    assert (ANSWERS - 1) * ANSWER_EVERY_MS == 120_000
    for _ in range(12):
        assert town.answer(after_ms=10_000).trust is ClockTrust.HELD
    assert town.answer(after_ms=10_000).trust is ClockTrust.SYNCED


def test_a_link_that_is_made_again_every_45_s_confirms_the_time(town: Town) -> None:
    for _ in range(4):
        assert town.answer(after_ms=45_000).trust is ClockTrust.HELD
    assert town.answer(after_ms=45_000).trust is ClockTrust.SYNCED


@pytest.mark.parametrize("error", [-2 * DAY, 2 * DAY, YEARS])
def test_a_single_answer_moves_no_plausible_clock(town: Town, error: timedelta) -> None:
    town.wall = NOON
    for _ in range(2):
        town.answer(error)
        assert town.is_right() and town.moment().trust is ClockTrust.HELD
    assert town.answer().trust is ClockTrust.SYNCED  # one that agrees with the own clock


def test_a_later_agreement_undoes_an_earlier_one(town: Town) -> None:
    for _ in range(3):
        town.answer(2 * DAY)
    assert not town.is_right()
    for _ in range(3):
        town.answer()
    assert town.is_right() and town.moment().trust is ClockTrust.HELD
    town.mono_ms += DOUBT_ENDS_MS
    assert town.moment().trust is ClockTrust.SYNCED


def test_one_wrong_answer_moves_no_confirmed_clock(town: Town) -> None:
    for _ in range(3):
        town.answer()
    for error in (YEARS, timedelta(), -YEARS, timedelta()):
        trust = town.answer(error).trust
        assert town.is_right()
        assert trust is (ClockTrust.HELD if error else ClockTrust.SYNCED)


def test_a_slow_answer_says_nothing(town: Town) -> None:
    moment = town.moment()
    at = format_instant(NOON)
    assert ROUND_TRIP_MAX_MS == 60_000  # C25
    for sent_ms, received_ms in ((0, ROUND_TRIP_MAX_MS + 1), (1, 0)):
        town.time.take_answer(Answer(at, sent_ms, received_ms), moment)
        assert town.moment().trust is ClockTrust.UNSET
    town.time.take_answer(Answer(at, 0, ROUND_TRIP_MAX_MS), moment)
    assert town.moment().source is TimeSource.CENTRAL_ONCE


def test_the_time_is_within_the_round_trip(town: Town) -> None:
    town.mono_ms = 10_000
    moment = town.moment()
    town.time.take_answer(Answer(format_instant(NOON), 0, 10_000), moment)
    assert town.moment().at == format_instant(NOON + timedelta(seconds=5))


@pytest.mark.parametrize("trip_ms", [0, 10_000])
def test_three_answers_set_the_clock_to_the_middle_of_what_they_allow(
    town: Town, trip_ms: int
) -> None:
    for _ in range(3):
        town.answer(trip_ms=trip_ms)
    assert town.moment().trust is ClockTrust.SYNCED and town.is_right()


@pytest.mark.parametrize(
    ("error", "trust"),
    [(timedelta(seconds=4), ClockTrust.SYNCED), (timedelta(seconds=4) + MS, ClockTrust.HELD)],
)
def test_answers_agree_within_two_seconds_on_each_side(
    town: Town, error: timedelta, trust: ClockTrust
) -> None:
    for error_then in (timedelta(), error, timedelta()):
        town.answer(error_then)
    moment = town.moment()
    assert moment.trust is trust
    if trust is ClockTrust.SYNCED:
        assert moment.at == format_instant(NOON + error / 2 + town.mono_ms * MS)


def test_answers_less_than_a_minute_apart_count_once(town: Town) -> None:
    trusts = [town.answer(after_ms=ANSWER_EVERY_MS - 1).trust for _ in range(5)]
    assert trusts == [ClockTrust.HELD] * 4 + [ClockTrust.SYNCED]


@pytest.mark.parametrize("side", [1, -1])
def test_an_answer_agrees_within_five_minutes(town: Town, side: int) -> None:
    town.error = timedelta()
    town.moment()
    assert town.answer(side * STEP).trust is ClockTrust.SYNCED
    other = Town()
    other.error = timedelta()
    other.moment()
    assert other.answer(side * (STEP + MS)).trust is ClockTrust.HELD


@pytest.mark.parametrize("error", [timedelta(), 3 * DAY])
def test_a_time_server_that_comes_after_an_answer_is_compared_with_it(
    town: Town, error: timedelta
) -> None:
    town.answer(error)
    town.error = timedelta()
    assert town.moment().trust is (ClockTrust.HELD if error else ClockTrust.SYNCED)
    assert ("time server and central differ" in town.time.fault) is bool(error)
    assert town.time.belief is not None and town.time.belief.is_witnessed is not bool(error)


def test_an_answer_that_agrees_with_the_own_clock_is_two_sources(town: Town) -> None:
    town.wall = NOON
    assert seen(town.answer()) == (ClockTrust.SYNCED, TimeSource.CENTRAL)
    assert town.answer(2 * DAY).trust is ClockTrust.SYNCED
    assert town.time.fault == (
        "the central's clock is 2 d 0 h ahead of this terminal's; check the central's clock"
    )


def test_corrections_count_each_change_of_what_is_believed(town: Town) -> None:
    """The owner looks for entries with a wrong time when the count has grown."""
    counts = [town.time.corrections]

    def note() -> None:
        town.moment()
        counts.append(town.time.corrections)

    town.error = timedelta()
    note()  # a confirmed time
    note()
    town.error = 2 * DAY
    note()  # a jump
    town.mono_ms += DOUBT_ENDS_MS
    note()  # the doubt ends with age
    town.answer()
    note()  # the central contradicts
    town.error = timedelta()
    note()  # a jump back, to which the central's last answer agrees
    town.answer()
    note()
    assert counts == [0, 1, 1, 2, 3, 4, 6, 6]
