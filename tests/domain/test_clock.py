"""Order is seq; a time only says how far it can be trusted."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.clock import (
    Anchor,
    ClockTrust,
    Reading,
    age_ms,
    highest,
    latest_contact,
    parse_instant,
    read_moment,
)

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


def reading(
    wall: datetime, mono_ms: int = 5_000, boot: str = "b", *, synced: bool = False
) -> Reading:
    return Reading(wall=wall, mono_ms=mono_ms, boot=boot, synced=synced)


def test_a_time_server_makes_a_time_synced() -> None:
    moment = read_moment(reading(NOON, synced=True), floor=None, central=None)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:00.000Z", ClockTrust.SYNCED)


def test_a_plausible_clock_is_held() -> None:
    floor = Anchor(when=NOON - timedelta(hours=1), boot="before", mono_ms=9)
    assert read_moment(reading(NOON), floor=floor, central=None).trust is ClockTrust.HELD


def test_1970_is_unset_and_never_below_the_newest_entry() -> None:
    floor = Anchor(when=NOON, boot="before", mono_ms=99_000_000)
    moment = read_moment(reading(datetime(1970, 1, 1, tzinfo=UTC)), floor=floor, central=None)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:05.000Z", ClockTrust.UNSET)


def test_a_new_box_in_1970_is_unset() -> None:
    assert (
        read_moment(reading(datetime(1970, 1, 1, tzinfo=UTC)), floor=None, central=None).trust
        is ClockTrust.UNSET
    )


def test_the_centrals_time_heard_in_this_boot_counts_as_synced() -> None:
    heard = Anchor(when=NOON, boot="b", mono_ms=4_000)
    moment = read_moment(reading(datetime(1970, 1, 1, tzinfo=UTC)), floor=heard, central=heard)
    assert (moment.at, moment.trust) == ("2026-11-23T11:00:01.000Z", ClockTrust.SYNCED)


@pytest.mark.parametrize("synced", [True, False])
def test_a_central_that_is_ahead_leads_no_clock_that_a_time_server_keeps(synced: bool) -> None:
    now, ahead, behind = (
        "2026-11-23T11:00:00.000Z",
        "2026-11-26T11:00:00.000Z",
        "2026-11-20T11:00:00.000Z",
    )
    moment = read_moment(
        reading(NOON, synced=synced),
        floor=Anchor(when=NOON + timedelta(days=1), boot="b", mono_ms=1),
        central=None,
    )
    assert latest_contact(behind, ahead, moment) == (now if synced else ahead)
    assert latest_contact(ahead, behind, moment) == (now if synced else ahead)
    assert latest_contact(None, behind, moment) == behind


def test_where_an_entry_was_made_ahead_of_time_that_time_comes() -> None:
    """And until then none stands still: each is later than the one before."""
    ahead = Anchor(when=NOON + timedelta(hours=6), boot="b", mono_ms=0)
    moments = [
        read_moment(
            reading(NOON + timedelta(hours=n), n * 3_600_000, synced=True), floor=ahead, central=None
        )
        for n in range(14)
    ]
    assert [moment.trust for moment in moments] == [ClockTrust.UNSET] * 11 + [ClockTrust.HELD] + [
        ClockTrust.SYNCED
    ] * 2
    assert (
        moments[2].at == "2026-11-23T18:00:00.000Z" and moments[13].at == "2026-11-24T00:00:00.000Z"
    )
    assert all(before.at < after.at for before, after in itertools.pairwise(moments))


def test_the_centrals_time_of_an_earlier_boot_does_not_count() -> None:
    heard = Anchor(when=NOON, boot="before", mono_ms=4_000)
    assert (
        read_moment(reading(NOON + timedelta(days=1)), floor=None, central=heard).trust
        is ClockTrust.HELD
    )


def test_time_never_steps_back_within_a_boot() -> None:
    floor = Anchor(when=NOON, boot="b", mono_ms=4_000)
    moment = read_moment(reading(NOON - timedelta(minutes=5), synced=True), floor=floor, central=None)
    assert moment.at == "2026-11-23T11:00:00.500Z"
    assert moment.trust is ClockTrust.HELD


def test_a_right_clock_that_says_another_day_than_was_recorded_makes_the_day_a_guess() -> None:
    """The box was five days ahead once: its time stays, so that order is kept, and the central corrects it by what comes later."""
    floor = Anchor(when=NOON, boot="b", mono_ms=4_000)
    moment = read_moment(reading(NOON - timedelta(days=5), synced=True), floor=floor, central=None)
    assert moment.at == "2026-11-23T11:00:00.500Z"
    assert moment.trust is ClockTrust.UNSET


def test_an_anchor_of_unknown_age_is_not_carried_on() -> None:
    old = Anchor(when=NOON, boot=None, mono_ms=0)
    own = Anchor(when=NOON, boot="b", mono_ms=4_000)
    assert highest([old, own], reading(NOON)) == own


def test_instants_keep_milliseconds_and_sort_as_text() -> None:
    assert parse_instant("2026-11-23T11:00:00.005Z") - NOON == timedelta(milliseconds=5)
    assert age_ms("2026-11-23T11:00:00.000Z", "2026-11-23T11:00:01.500Z") == 1_500
    assert age_ms("2026-11-23T11:00:01.000Z", "2026-11-23T11:00:00.000Z") == 0
