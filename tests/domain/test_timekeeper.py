"""Which clock a terminal believes: time server, own clock, and the staff's day."""

from datetime import timedelta

import pytest

from agent.domain.clock import (
    OLDEST_PLAUSIBLE_YEAR,
    ClockTrust,
    TimeSource,
    format_instant,
)
from agent.domain.timekeeper import (
    DOUBT_ENDS_MS,
    STAFF_DAY_MS,
    STEP,
    Belief,
    gap_words,
)
from agent.errors import AgentError
from tests.domain.clocks import DAY, HOUR_MS, MS, NOON, YEARS, Town, seen


@pytest.fixture
def town() -> Town:
    return Town()


# A time server


def test_a_time_server_is_believed_at_once(town: Town) -> None:
    town.error = timedelta()
    assert seen(town.moment()) == (ClockTrust.SYNCED, TimeSource.TIME_SERVER)
    assert town.is_right()


@pytest.mark.parametrize("error", [2 * DAY, -2 * DAY, YEARS, -YEARS])
def test_a_time_server_that_was_wrong_for_a_minute_leaves_nothing(
    town: Town, error: timedelta
) -> None:
    for town.error in (timedelta(), error, timedelta()):
        town.moment()
        town.mono_ms += 60_000
    assert town.is_right()
    assert town.answer().trust is ClockTrust.SYNCED


def test_a_time_server_that_jumps_is_followed_and_not_trusted(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    town.error = 2 * DAY
    moment = town.moment()
    assert moment.at == format_instant(NOON + 2 * DAY + town.mono_ms * MS)
    assert moment.trust is ClockTrust.HELD
    assert town.time.fault == ("the time server moved this clock by 2 d 0 h; check the time server")


def test_a_right_clock_that_drifts_is_no_jump(town: Town) -> None:
    town.error = timedelta()
    for _ in range(10):
        town.moment()
        town.error += STEP
    assert town.moment().trust is ClockTrust.SYNCED
    town.error += STEP + MS
    assert town.moment().trust is ClockTrust.HELD
    assert timedelta(minutes=5) == STEP


def test_a_jump_is_trusted_when_the_central_agrees(town: Town) -> None:
    town.error = 2 * DAY
    town.moment()
    town.error = timedelta()
    town.moment()
    assert town.answer().trust is ClockTrust.SYNCED
    assert town.time.belief is not None and town.time.belief.is_witnessed
    assert town.time.fault == ""


def test_a_jump_is_trusted_after_a_day(town: Town) -> None:
    town.error = 2 * DAY
    town.moment()
    town.error = timedelta()
    town.moment()
    assert DOUBT_ENDS_MS == 24 * HOUR_MS
    town.mono_ms += DOUBT_ENDS_MS - 1
    assert town.moment().trust is ClockTrust.HELD
    town.mono_ms += 1
    assert town.moment().trust is ClockTrust.SYNCED


def test_age_ends_no_doubt_against_the_central(town: Town) -> None:
    town.error = 2 * DAY
    for _ in range(3):
        town.mono_ms += DOUBT_ENDS_MS
        assert town.answer().trust is ClockTrust.HELD
    town.error = timedelta()
    assert town.answer().trust is ClockTrust.SYNCED


def test_without_its_time_server_a_clock_goes_on(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    town.error = None
    town.mono_ms = 9 * HOUR_MS
    assert town.is_right() and town.moment().trust is ClockTrust.SYNCED


def test_a_time_before_that_of_an_earlier_boot_is_used_and_not_trusted(town: Town) -> None:
    town.time.take_recorded(format_instant(NOON + DAY + town.mono_ms * MS), "b", None)
    town.error = timedelta()
    assert town.is_right() and town.moment().trust is ClockTrust.HELD
    assert "1 d 0 h behind the newest entry" in town.time.fault
    assert town.answer().trust is ClockTrust.SYNCED  # two sources against one old entry


def test_a_time_server_and_a_central_that_differ_are_not_trusted(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    assert town.answer(3 * DAY).trust is ClockTrust.HELD
    assert town.is_right()
    assert "differ by 3 d 0 h" in town.time.fault
    assert town.answer().trust is ClockTrust.SYNCED


def test_a_central_that_becomes_wrong_is_reported_and_not_believed(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    town.answer()
    for _ in range(5):
        assert town.answer(-3 * DAY).trust is ClockTrust.SYNCED
    assert town.is_right()
    assert town.time.fault == (
        "the central's clock is 3 d 0 h behind this terminal's; check the central's clock"
    )
    town.answer()
    assert town.time.fault == ""


def test_a_process_that_starts_again_in_a_boot_knows_the_time_and_the_doubt(town: Town) -> None:
    town.error = 2 * DAY
    town.moment()
    town.error = timedelta()
    town.moment()
    belief = town.time.belief
    assert isinstance(belief, Belief)
    for boot, is_known in (("b", True), ("c", False)):
        again = Town()
        again.boot, again.mono_ms = boot, HOUR_MS
        again.time.take_recorded(None, "b", belief)
        assert again.is_right() is is_known
        assert ("moved this clock" in again.time.fault) is is_known


@pytest.mark.parametrize(
    ("behind", "trust"), [(STEP, ClockTrust.SYNCED), (STEP + MS, ClockTrust.HELD)]
)
def test_a_time_server_may_be_five_minutes_behind_an_earlier_boot(
    town: Town, behind: timedelta, trust: ClockTrust
) -> None:
    town.time.take_recorded(format_instant(NOON + town.mono_ms * MS + behind), "b", None)
    town.error = timedelta()
    assert town.moment().trust is trust


def test_a_doubt_lasts_a_day_of_the_process_that_knows_what_the_central_answers(
    town: Town,
) -> None:
    """The process before may have ended a minute after the central contradicted its time."""
    town.error = timedelta()
    town.moment()
    town.error = 2 * DAY
    town.moment()
    town.mono_ms = DOUBT_ENDS_MS
    assert town.answer().trust is ClockTrust.HELD
    assert town.answer(after_ms=DOUBT_ENDS_MS).trust is ClockTrust.HELD
    again = Town()
    again.error, again.mono_ms = 2 * DAY, town.mono_ms
    again.time.take_recorded(None, "b", town.time.belief)
    assert again.moment().trust is ClockTrust.HELD
    again.mono_ms += DOUBT_ENDS_MS - 1
    assert again.moment().trust is ClockTrust.HELD
    again.mono_ms += 1
    assert again.moment().trust is ClockTrust.SYNCED


# The central


def test_what_the_file_has_does_not_replace_what_this_process_knows(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    belief = town.time.belief
    town.time.take_recorded(None, "a", Belief(TimeSource.CENTRAL, NOON + DAY))
    assert town.time.belief == belief
    town.error = None
    assert town.is_right()


# The own clock


@pytest.mark.parametrize(
    ("year", "trust"),
    [
        (OLDEST_PLAUSIBLE_YEAR - 1, ClockTrust.UNSET),
        (OLDEST_PLAUSIBLE_YEAR, ClockTrust.HELD),
    ],
)
def test_a_clock_before_the_oldest_plausible_year_is_unset(
    town: Town, year: int, trust: ClockTrust
) -> None:
    assert OLDEST_PLAUSIBLE_YEAR == 2020
    town.wall = NOON.replace(year=year)
    assert town.moment().trust is trust


def test_an_own_clock_is_not_before_an_earlier_boot(town: Town) -> None:
    town.time.take_recorded(format_instant(NOON), "b", None)
    town.wall, town.mono_ms = NOON - DAY, 5_000
    assert town.moment().trust is ClockTrust.UNSET
    assert town.is_right()  # it counts on from the newest entry


@pytest.mark.parametrize(
    ("behind", "trust"), [(STEP, ClockTrust.HELD), (STEP + MS, ClockTrust.UNSET)]
)
def test_an_own_clock_may_be_five_minutes_behind_an_earlier_boot(
    town: Town, behind: timedelta, trust: ClockTrust
) -> None:
    town.time.take_recorded(format_instant(NOON), "b", None)
    town.wall = NOON - behind
    assert town.moment().trust is trust


def test_another_boot_begins_without_a_confirmed_time(town: Town) -> None:
    town.error = timedelta()
    town.moment()
    town.boot, town.error = "c", None
    assert town.moment().trust is ClockTrust.UNSET


# The staff's day


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-24", "2030-01-07"])
def test_the_staff_can_always_say_what_day_it_is(town: Town, day: str) -> None:
    town.time.take_recorded(format_instant(NOON + YEARS), "b", None)
    assert town.time.day(town.moment()) is None
    town.time.take_staff_day("2026-11-22", town.moment())
    town.time.take_staff_day(day, town.moment())  # the newest word wins
    moment = town.moment()
    assert (moment.day, town.time.day(moment), moment.at[:10]) == (day,) * 3
    assert moment.is_day_sure


def test_the_staffs_day_ends_before_the_next_serving(town: Town) -> None:
    town.time.take_staff_day("2026-11-24", town.moment())
    assert STAFF_DAY_MS == 12 * HOUR_MS
    town.mono_ms += STAFF_DAY_MS - 1
    assert town.moment().day == "2026-11-24"
    town.mono_ms += 1
    assert town.moment().day is None


def test_the_staffs_day_contradicts_one_source_and_not_two(town: Town) -> None:
    town.error = 2 * DAY  # wrong since the boot, and no other source is in reach
    assert town.moment().trust is ClockTrust.SYNCED
    town.time.take_staff_day("2026-11-23", town.moment())
    moment = town.moment()
    assert (moment.trust, moment.day) == (ClockTrust.HELD, "2026-11-23")
    assert (
        town.time.fault
        == "the staff say 2026-11-23, the time server says 2026-11-25; check the time server"
    )
    town.error = timedelta()
    town.answer()
    town.time.take_staff_day("2026-11-24", town.moment())
    assert (town.moment().day, town.moment().trust) == (None, ClockTrust.SYNCED)


def test_the_staffs_day_is_the_day_and_no_hour(town: Town) -> None:
    """The clock may be an hour wrong on the right day."""
    town.error = timedelta()
    town.moment()
    town.error = timedelta(hours=1)
    for _ in range(2):
        town.time.take_staff_day("2026-11-23", town.moment())
        assert (town.moment().trust, town.moment().is_day_sure) == (ClockTrust.HELD, True)


@pytest.mark.parametrize("day", ["2026-11-31", "2019-12-31", "2200-01-01"])
def test_a_day_that_cannot_be_is_refused(town: Town, day: str) -> None:
    with pytest.raises(AgentError, match=f"{day} is not a possible day"):
        town.time.take_staff_day(day, town.moment())


@pytest.mark.parametrize("day", ["2020-01-01", "2199-12-31"])
def test_the_first_and_the_last_possible_day_are_taken(town: Town, day: str) -> None:
    town.time.take_staff_day(day, town.moment())
    assert town.moment().day == day


# The age of the data


def test_within_a_boot_the_age_of_the_data_is_monotonic(town: Town) -> None:
    assert town.time.data_age_ms(town.moment(), format_instant(NOON)) is None
    town.time.take_contact(town.mono_ms)
    town.mono_ms += 5_000
    assert town.time.data_age_ms(town.moment(), None) == 5_000


def test_a_contact_of_an_earlier_boot_has_an_age_under_a_trusted_time(town: Town) -> None:
    day_ago = format_instant(NOON - DAY)
    town.wall = NOON
    assert town.time.data_age_ms(town.moment(), day_ago) is None  # plausible, not confirmed
    town.error = timedelta()
    moment = town.moment()
    assert town.time.data_age_ms(moment, day_ago) == 24 * HOUR_MS + town.mono_ms
    assert town.time.data_age_ms(moment, moment.at) == 0
    assert town.time.data_age_ms(moment, format_instant(NOON + DAY)) is None
    assert town.time.data_age_ms(moment, None) is None


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (timedelta(), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h 0 min"),
        (timedelta(hours=-1, minutes=-30), "1 h 30 min"),
        (timedelta(hours=23, minutes=59), "23 h 59 min"),
        (timedelta(days=2, hours=1, minutes=30), "2 d 1 h"),
    ],
)
def test_a_difference_is_written_in_two_units(gap: timedelta, words: str) -> None:
    assert gap_words(gap) == words
