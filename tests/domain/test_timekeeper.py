"""The clocks of one terminal over time: entries, the central's time, the day set by the staff."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.domain.clock import Anchor, ClockTrust, Moment, Reading, format_instant
from agent.domain.timekeeper import CENTRAL_BEHIND, STAFF_DAY_AHEAD, STAFF_DAY_MS, Timekeeper
from agent.errors import AgentError

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
IN_1970 = datetime(1970, 1, 1, tzinfo=UTC)
LAST_ENTRY = Anchor(when=NOON, boot="before", mono_ms=9)
LAST_CONTACT = Anchor(when=NOON, boot=None, mono_ms=0)


def wrong(mono_ms: int = 0) -> Reading:
    """Return a reading of a clock of 1970, without a time server."""
    wall = IN_1970 + timedelta(milliseconds=mono_ms)
    return Reading(wall=wall, mono_ms=mono_ms, boot="b", synced=False)


def right(wall: datetime, mono_ms: int = 0) -> Reading:
    """Return a reading of a clock that a time server keeps."""
    return Reading(wall=wall, mono_ms=mono_ms, boot="b", synced=True)


@pytest.fixture
def time() -> Timekeeper:
    """Return the clocks of a terminal that has an entry of noon in an earlier boot."""
    clocks = Timekeeper(ROME)
    clocks.add_anchor(LAST_ENTRY)
    return clocks


def test_after_an_entry_no_time_is_before_it(time: Timekeeper) -> None:
    moment = time.moment(right(NOON + timedelta(hours=2)))
    time.take_entry_time(moment.at, moment)
    later = time.moment(wrong(1_000))
    assert (later.at, later.trust) == ("2026-11-23T13:00:01.000Z", ClockTrust.UNSET)


def test_the_last_contact_is_a_floor_until_a_time_server_answers() -> None:
    time = Timekeeper(ROME)
    time.add_anchor(LAST_CONTACT)
    assert time.moment(wrong()).at == "2026-11-23T11:00:00.000Z"
    day_before = NOON - timedelta(days=1)
    assert time.moment(right(day_before)).at == "2026-11-22T11:00:00.000Z"
    assert time.moment(wrong()).at == "1970-01-01T00:00:00.000Z"


def test_an_entry_stays_a_floor_when_a_time_server_answers(time: Timekeeper) -> None:
    assert time.moment(right(NOON - timedelta(days=1))).at == "2026-11-23T11:00:00.000Z"


def test_the_centrals_time_sets_a_wrong_clock(time: Timekeeper) -> None:
    time.take_central_time("2026-11-24T11:00:00.000Z", time.moment(wrong()))
    moment = time.moment(wrong(2_000))
    assert (moment.at, moment.trust) == ("2026-11-24T11:00:02.000Z", ClockTrust.SYNCED)


def test_the_centrals_time_does_not_change_a_clock_of_a_time_server(time: Timekeeper) -> None:
    moment = time.moment(right(NOON))
    time.take_central_time("2026-11-26T11:00:00.000Z", moment)
    later = time.moment(right(NOON + timedelta(seconds=1), 1_000))
    assert later.at == "2026-11-23T11:00:01.000Z"


@pytest.mark.parametrize(
    ("behind", "trust"),
    [
        (CENTRAL_BEHIND, ClockTrust.HELD),
        (CENTRAL_BEHIND + timedelta(milliseconds=1), ClockTrust.UNSET),
    ],
)
def test_a_central_time_that_waited_in_a_queue_does_not_count(
    time: Timekeeper, behind: timedelta, trust: ClockTrust
) -> None:
    time.take_central_time(format_instant(NOON - behind), time.moment(wrong()))
    assert time.moment(wrong()).trust is trust


def test_an_older_time_of_the_central_does_not_replace_a_newer_one(time: Timekeeper) -> None:
    for at in ("2026-11-23T11:10:00.000Z", "2026-11-23T11:09:30.000Z"):
        time.take_central_time(at, time.moment(wrong()))
    assert time.moment(wrong()).at == "2026-11-23T11:10:00.000Z"


def test_the_staff_set_the_day_while_the_clock_is_wrong(time: Timekeeper) -> None:
    moment = time.moment(wrong())
    assert time.day(moment) is None
    time.take_staff_day("2026-11-24", moment)
    moment = time.moment(wrong(1))
    assert (moment.day, time.day(moment), moment.trust) == ("2026-11-24",) * 2 + (ClockTrust.UNSET,)


def test_the_staffs_day_ends_before_the_next_serving(time: Timekeeper) -> None:
    time.take_staff_day("2026-11-24", time.moment(wrong()))
    assert time.moment(wrong(STAFF_DAY_MS - 1)).day == "2026-11-24"
    assert time.moment(wrong(STAFF_DAY_MS)).day is None


def test_a_right_clock_replaces_the_staffs_day(time: Timekeeper) -> None:
    time.take_staff_day("2026-11-24", time.moment(wrong()))
    moment = time.moment(right(NOON + timedelta(days=2)))
    assert (moment.day, time.day(moment)) == (None, "2026-11-25")


def set_day(time: Timekeeper, day: str, moment: Moment) -> str:
    with pytest.raises(AgentError) as raised:
        time.take_staff_day(day, moment)
    return str(raised.value)


def test_an_earlier_day_than_the_newest_entrys_is_refused(time: Timekeeper) -> None:
    time.take_staff_day("2026-11-23", time.moment(wrong()))
    refusal = set_day(time, "2026-11-22", time.moment(wrong()))
    assert refusal == "Cannot set an earlier day than 2026-11-23: entries exist for it"


def test_a_day_more_than_a_year_ahead_is_refused(time: Timekeeper) -> None:
    last = (NOON + STAFF_DAY_AHEAD).date()
    time.take_staff_day(last.isoformat(), time.moment(wrong()))
    after = (last + timedelta(days=1)).isoformat()
    assert "check the year" in set_day(time, after, time.moment(wrong()))


def test_a_day_that_is_in_no_calendar_is_refused(time: Timekeeper) -> None:
    assert "is not a day" in set_day(time, "2026-11-31", time.moment(wrong()))


def test_no_day_is_set_while_the_clock_is_right(time: Timekeeper) -> None:
    refusal = set_day(time, "2026-11-23", time.moment(right(NOON)))
    assert refusal.startswith("The clock says 2026-11-23")
