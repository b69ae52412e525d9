"""Which clock a terminal believes: time server, central, own clock, and the staff's day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.domain.clock import (
    OLDEST_PLAUSIBLE_YEAR,
    ClockTrust,
    Moment,
    Reading,
    TimeSource,
    format_instant,
)
from agent.domain.timekeeper import (
    ANSWERS_SPAN_MS,
    DOUBT_ENDS_MS,
    ROUND_TRIP_MAX_MS,
    STAFF_DAY_MS,
    STEP,
    Answer,
    Belief,
    Timekeeper,
)
from agent.errors import AgentError

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
IN_1970 = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
YEARS = timedelta(days=3653)
HOUR_MS = 3_600_000


class Town:
    """A terminal's clocks beside the true time, which is noon at monotonic 0."""

    def __init__(self) -> None:
        self.time = Timekeeper(ROME)
        self.boot = "b"
        self.mono_ms = 0
        self.error: timedelta | None = None  # of the time server; None: there is none
        self.wall = IN_1970  # the own clock at monotonic 0

    def moment(self) -> Moment:
        passed = timedelta(milliseconds=self.mono_ms)
        wall = self.wall if self.error is None else NOON + self.error
        is_synced = self.error is not None
        return self.time.moment(
            Reading(wall=wall + passed, mono_ms=self.mono_ms, boot=self.boot, synced=is_synced)
        )

    def answer(self, error: timedelta = timedelta(), *, after_ms: int = 60_000) -> Moment:
        """Let the central answer after some time, with an error of its clock."""
        self.mono_ms += after_ms
        moment = self.moment()
        at = format_instant(NOON + error + timedelta(milliseconds=self.mono_ms))
        self.time.take_answer(Answer(at, self.mono_ms, self.mono_ms), moment)
        return self.moment()

    def is_right(self) -> bool:
        expected = format_instant(NOON + timedelta(milliseconds=self.mono_ms))
        return self.moment().at == expected


@pytest.fixture
def town() -> Town:
    return Town()


def seen(moment: Moment) -> tuple[ClockTrust, TimeSource]:
    return moment.trust, moment.source


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
    assert moment.at == format_instant(NOON + 2 * DAY)
    assert moment.trust is ClockTrust.HELD
    assert town.time.fault == ("the time server moved this clock by 2 d 0 h; check the time server")


def test_a_right_clock_that_drifts_is_no_jump(town: Town) -> None:
    town.error = timedelta()
    for _ in range(10):
        town.moment()
        town.error += STEP - timedelta(seconds=1)
    assert town.moment().trust is ClockTrust.SYNCED


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
    town.mono_ms = DOUBT_ENDS_MS - 1
    assert town.moment().trust is ClockTrust.HELD
    town.mono_ms += 1
    assert town.moment().trust is ClockTrust.SYNCED


def test_age_ends_no_doubt_against_the_central(town: Town) -> None:
    town.error = 2 * DAY
    for days in range(3):
        town.mono_ms = days * DOUBT_ENDS_MS
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
    town.time.take_recorded(format_instant(NOON + DAY), "b", None)
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
    again = Town()
    again.error, again.mono_ms = 2 * DAY, town.mono_ms
    again.time.take_recorded(None, "b", town.time.belief)
    assert again.moment().trust is ClockTrust.HELD
    again.mono_ms += DOUBT_ENDS_MS - 1
    assert again.moment().trust is ClockTrust.HELD
    again.mono_ms += 1
    assert again.moment().trust is ClockTrust.SYNCED


# The central


def test_three_answers_over_two_minutes_set_an_unset_clock(town: Town) -> None:
    assert seen(town.moment()) == (ClockTrust.UNSET, TimeSource.NEWEST_ENTRY)
    for _ in range(2):
        assert seen(town.answer()) == (ClockTrust.HELD, TimeSource.CENTRAL_ONCE)
        assert town.is_right()
    assert seen(town.answer()) == (ClockTrust.SYNCED, TimeSource.CENTRAL)
    assert town.is_right()


def test_answers_that_come_within_two_minutes_set_no_clock(town: Town) -> None:
    for _ in range(0, ANSWERS_SPAN_MS, 10_000):
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
    town.time.take_answer(Answer(at, 0, ROUND_TRIP_MAX_MS + 1), moment)
    assert town.moment().trust is ClockTrust.UNSET
    town.time.take_answer(Answer(at, 0, ROUND_TRIP_MAX_MS), moment)
    assert town.moment().source is TimeSource.CENTRAL_ONCE


def test_the_time_is_within_the_round_trip(town: Town) -> None:
    town.mono_ms = 10_000
    moment = town.moment()
    town.time.take_answer(Answer(format_instant(NOON), 0, 10_000), moment)
    assert town.moment().at == format_instant(NOON + timedelta(seconds=5))


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
    town.wall = NOON.replace(year=year)
    assert town.moment().trust is trust


def test_an_own_clock_is_not_before_an_earlier_boot(town: Town) -> None:
    town.time.take_recorded(format_instant(NOON), "b", None)
    town.wall, town.mono_ms = NOON - DAY, 5_000
    assert town.moment().trust is ClockTrust.UNSET
    assert town.is_right()  # it counts on from the newest entry


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
    town.mono_ms = STAFF_DAY_MS - 1
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


@pytest.mark.parametrize("day", ["2026-11-31", "2019-11-23", "2200-01-01"])
def test_a_day_that_cannot_be_is_refused(town: Town, day: str) -> None:
    with pytest.raises(AgentError, match=f"{day} is not a possible day"):
        town.time.take_staff_day(day, town.moment())


# The age of the data


def test_within_a_boot_the_age_of_the_data_is_monotonic(town: Town) -> None:
    assert town.time.data_age_ms(town.moment(), format_instant(NOON)) is None
    town.time.take_contact(0)
    town.mono_ms = 5_000
    assert town.time.data_age_ms(town.moment(), None) == 5_000


def test_a_contact_of_an_earlier_boot_has_an_age_under_a_trusted_time(town: Town) -> None:
    town.error = timedelta()
    assert town.time.data_age_ms(town.moment(), format_instant(NOON - DAY)) == 24 * HOUR_MS
    assert town.time.data_age_ms(town.moment(), format_instant(NOON + DAY)) is None
    assert town.time.data_age_ms(town.moment(), None) is None
