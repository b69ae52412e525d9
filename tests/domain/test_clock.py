"""`read_moment`: the time of an entry and its trust; instants and days as text."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.domain.clock import (
    NEARLY_RIGHT,
    OLDEST_PLAUSIBLE_YEAR,
    STEP_TOLERANCE,
    Anchor,
    ClockTrust,
    LocalMinute,
    Reading,
    age_ms,
    day_of,
    format_instant,
    highest,
    is_day,
    is_instant,
    latest_contact,
    local_minute,
    parse_instant,
    read_moment,
)

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
IN_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def reading(
    wall: datetime, mono_ms: int = 5_000, boot: str = "b", *, synced: bool = False
) -> Reading:
    return Reading(wall=wall, mono_ms=mono_ms, boot=boot, synced=synced)


def test_a_time_server_makes_a_time_synced() -> None:
    moment = read_moment(reading(NOON, synced=True), floor=None, central=None)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:00.000Z", ClockTrust.SYNCED)
    assert moment.ntp_at == moment.at


def test_without_a_time_server_there_is_no_ntp_time() -> None:
    assert read_moment(reading(NOON), floor=None, central=None).ntp_at is None


def test_the_ntp_time_is_the_machines_where_the_floor_is_ahead_of_it() -> None:
    floor = Anchor(when=NOON + timedelta(days=1), boot="b", mono_ms=5_000)
    moment = read_moment(reading(NOON, synced=True), floor=floor, central=None)
    assert (moment.at, moment.ntp_at) == ("2026-11-24T11:00:00.000Z", "2026-11-23T11:00:00.000Z")


def test_a_plausible_clock_is_held() -> None:
    floor = Anchor(when=NOON - timedelta(hours=1), boot="before", mono_ms=9)
    assert read_moment(reading(NOON), floor=floor, central=None).trust is ClockTrust.HELD


def test_a_clock_of_1970_is_unset_and_the_time_is_never_before_the_newest_entry() -> None:
    floor = Anchor(when=NOON, boot="before", mono_ms=99_000_000)
    moment = read_moment(reading(IN_1970), floor=floor, central=None)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:05.000Z", ClockTrust.UNSET)


@pytest.mark.parametrize(
    ("year", "trust"),
    [(OLDEST_PLAUSIBLE_YEAR, ClockTrust.HELD), (OLDEST_PLAUSIBLE_YEAR - 1, ClockTrust.UNSET)],
)
def test_without_entries_a_clock_before_2020_is_unset(year: int, trust: ClockTrust) -> None:
    wall = datetime(year, 6, 1, tzinfo=UTC)
    assert read_moment(reading(wall), floor=None, central=None).trust is trust


def test_the_centrals_time_of_this_boot_counts_as_synced() -> None:
    central = Anchor(when=NOON, boot="b", mono_ms=4_000)
    moment = read_moment(reading(IN_1970), floor=central, central=central)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:01.000Z", ClockTrust.SYNCED)


def test_the_centrals_time_of_an_earlier_boot_does_not_count() -> None:
    central = Anchor(when=NOON, boot="before", mono_ms=4_000)
    moment = read_moment(reading(NOON + timedelta(days=1)), floor=None, central=central)
    assert moment.trust is ClockTrust.HELD


@pytest.mark.parametrize("synced", [True, False])
def test_a_contact_ahead_of_our_ntp_time_counts_as_now(synced: bool) -> None:
    now, ahead, behind = (f"2026-11-{day}T11:00:00.000Z" for day in (23, 26, 20))
    floor = Anchor(when=NOON + timedelta(days=1), boot="b", mono_ms=1)
    moment = read_moment(reading(NOON, synced=synced), floor=floor, central=None)
    assert latest_contact(behind, ahead, moment) == (now if synced else ahead)
    assert latest_contact(ahead, behind, moment) == (now if synced else ahead)
    assert latest_contact(None, behind, moment) == behind


def test_the_right_time_overtakes_an_entry_that_was_ahead_of_it() -> None:
    """Until then each time is later than the one before."""
    ahead = Anchor(when=NOON + timedelta(hours=6), boot="b", mono_ms=0)
    moments = [
        read_moment(
            reading(NOON + timedelta(hours=n), n * 3_600_000, synced=True),
            floor=ahead,
            central=None,
        )
        for n in range(14)
    ]
    trusts = [moment.trust for moment in moments]
    assert trusts == [ClockTrust.UNSET] * 11 + [ClockTrust.HELD] + [ClockTrust.SYNCED] * 2
    assert moments[2].at == "2026-11-23T18:00:00.000Z"
    assert moments[13].at == "2026-11-24T00:00:00.000Z"
    assert all(before.at < after.at for before, after in itertools.pairwise(moments))


@pytest.mark.parametrize(
    ("gap", "trust"),
    [
        (STEP_TOLERANCE, ClockTrust.SYNCED),
        (STEP_TOLERANCE + timedelta(milliseconds=1), ClockTrust.HELD),
        (NEARLY_RIGHT - timedelta(milliseconds=1), ClockTrust.HELD),
        (NEARLY_RIGHT, ClockTrust.UNSET),
    ],
)
def test_the_gap_to_the_newest_entry_decides_the_trust(gap: timedelta, trust: ClockTrust) -> None:
    floor = Anchor(when=NOON, boot="b", mono_ms=5_000)
    moment = read_moment(reading(NOON - gap, synced=True), floor=floor, central=None)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:00.000Z", trust)


def test_a_held_clock_behind_the_newest_entry_is_unset() -> None:
    floor = Anchor(when=NOON, boot="b", mono_ms=5_000)
    wall = NOON - STEP_TOLERANCE - timedelta(milliseconds=1)
    assert read_moment(reading(wall), floor=floor, central=None).trust is ClockTrust.UNSET


def test_time_never_goes_back_within_a_boot() -> None:
    floor = Anchor(when=NOON, boot="b", mono_ms=4_000)
    wall = NOON - timedelta(minutes=5)
    moment = read_moment(reading(wall, synced=True), floor=floor, central=None)
    assert moment.at == "2026-11-23T11:00:00.500Z"


def test_an_anchor_of_unknown_age_is_not_carried_on() -> None:
    old = Anchor(when=NOON, boot=None, mono_ms=0)
    own = Anchor(when=NOON, boot="b", mono_ms=4_000)
    assert highest([old, own], reading(NOON)) == own
    assert highest([], reading(NOON)) is None


def test_an_instant_keeps_milliseconds_and_is_cut_not_rounded() -> None:
    assert parse_instant("2026-11-23T11:00:00.005Z") - NOON == timedelta(milliseconds=5)
    rome = (NOON + timedelta(microseconds=5_999)).astimezone(ZoneInfo("Europe/Rome"))
    assert format_instant(rome) == "2026-11-23T11:00:00.005Z"


def test_an_age_is_never_below_zero() -> None:
    assert age_ms("2026-11-23T11:00:00.000Z", "2026-11-23T11:00:01.500Z") == 1_500
    assert age_ms("2026-11-23T11:00:01.000Z", "2026-11-23T11:00:00.000Z") == 0


# C7
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000Z", True),
        ("2199-12-31T23:59:59.999Z", True),
        ("1969-12-31T23:59:59.999Z", False),
        ("2200-01-01T00:00:00.000Z", False),
        ("2026-02-29T00:00:00.000Z", False),
    ],
)
def test_an_instant_is_a_real_time_of_1970_to_2199(text: str, expected: bool) -> None:
    assert is_instant(text) is expected


# C7
@pytest.mark.parametrize(("text", "expected"), [("2028-02-29", True), ("2026-02-29", False)])
def test_a_day_is_in_the_calendar(text: str, expected: bool) -> None:
    assert is_day(text) is expected


def test_a_local_minute_is_the_towns() -> None:
    rome = ZoneInfo("Europe/Rome")
    assert day_of("2026-11-22T23:30:00.000Z", rome) == "2026-11-23"
    minute = LocalMinute(day="2026-11-23", weekday=1, seconds=43_200)
    assert local_minute("2026-11-23T11:00:59.999Z", rome) == minute
