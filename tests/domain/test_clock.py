"""Instants and days as text."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.domain.clock import (
    ClockTrust,
    LocalMinute,
    Moment,
    age_ms,
    day_of,
    format_instant,
    is_day,
    is_instant,
    local_minute,
    parse_instant,
    shifted_to_day,
)

NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trust", "day", "is_sure"),
    [
        (ClockTrust.SYNCED, None, True),
        (ClockTrust.HELD, None, False),
        (ClockTrust.UNSET, None, False),
        (ClockTrust.UNSET, "2026-11-23", True),
    ],
)
def test_a_day_is_sure_if_it_is_confirmed_or_from_the_staff(
    trust: ClockTrust, day: str | None, is_sure: bool
) -> None:
    moment = Moment(at="2026-11-23T11:00:00.000Z", trust=trust, boot="b", mono_ms=1, day=day)
    assert moment.is_day_sure is is_sure


def test_a_time_moves_to_another_day_with_its_local_hour() -> None:
    rome = ZoneInfo("Europe/Rome")
    at = shifted_to_day("1970-01-01T11:05:00.000Z", "2026-07-01", rome)
    assert at == "2026-07-01T10:05:00.000Z"  # 12:05 in the town, in winter and in summer


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
    minute = LocalMinute(day="2026-11-23", weekday=1, seconds=(12 * 60 + 34) * 60)
    assert local_minute("2026-11-23T11:34:59.999Z", rome) == minute
