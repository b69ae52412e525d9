"""Prices, rules and services have a day."""

from zoneinfo import ZoneInfo

import pytest

from agent.domain.canteen import (
    DEFAULT_POLICY,
    PolicyRecord,
    Price,
    ServiceNow,
    ServiceRecord,
    policy_on,
    price_on,
    service_now,
)
from agent.domain.clock import age_ms, day_of

ROME = ZoneInfo("Europe/Rome")
LUNCH_EVERY_DAY = ServiceRecord(
    id="lunch", p=1, name="Pranzo", opens="12:00", closes="14:15", weekdays=[1, 2, 3, 4, 5, 6, 7]
)
LUNCH = ServiceRecord(
    id="lunch", p=1, name="Pranzo", opens="12:00", closes="14:15", closed_days=["2026-12-08"]
)


def test_a_price_counts_from_its_day() -> None:
    prices = [
        Price(from_day="2027-01-01", service="lunch", cents=380),
        Price(from_day="2026-09-01", service="lunch", cents=366),
    ]
    assert price_on(prices, "lunch", "2026-12-31") == 366
    assert price_on(prices, "lunch", "2027-01-01") == 380
    assert price_on(prices, "lunch", "2026-08-31") is None
    assert price_on(prices, "snack", "2027-01-01") is None


def test_the_newest_rules_in_effect_hold_and_none_refuses_by_default() -> None:
    old, new = PolicyRecord(from_day="2026-09-01", p=1), PolicyRecord(from_day="2027-01-01", p=2)
    assert policy_on([new, old], "2026-12-31") is old
    assert policy_on([new, old], "2027-01-01") is new
    assert policy_on([], "2027-01-01") is DEFAULT_POLICY


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-11-23T11:00:00.000Z", False),  # noon in winter
        ("2026-11-23T13:15:00.000Z", False),
        ("2026-11-23T13:44:00.000Z", True),  # the queue is long
        ("2026-11-23T10:30:00.000Z", True),
        ("2026-11-23T13:46:00.000Z", None),
        ("2026-11-22T11:00:00.000Z", None),  # a Sunday
        ("2026-12-08T11:00:00.000Z", None),  # a holiday
        ("2026-06-15T10:00:00.000Z", False),  # noon in summer
    ],
)
def test_a_service_is_found_by_the_towns_own_clock(at: str, found: bool | None) -> None:
    service = service_now([LUNCH], at, ROME)
    assert (service.outside_hours if service else None) == found


def test_of_two_turns_the_one_that_is_open_counts() -> None:
    second = ServiceRecord(id="second", p=2, name="Secondo turno", opens="13:00", closes="14:15")
    first = ServiceRecord(id="first", p=1, name="Primo turno", opens="12:00", closes="12:55")
    open_at = [
        service_now([second, first], f"2026-11-23T{at}:00.000Z", ROME) for at in ("11:54", "12:01")
    ]
    assert [service.service for service in open_at if service] == ["first", "second"]


@pytest.mark.parametrize(
    ("at", "day", "found"),
    [
        ("2026-03-28T11:00:00.000Z", "2026-03-28", True),  # noon; the night after loses an hour
        ("2026-03-29T10:00:00.000Z", "2026-03-29", True),  # noon by the new time
        ("2026-03-29T09:29:00.000Z", "2026-03-29", False),
        ("2026-03-29T12:15:00.000Z", "2026-03-29", True),
        ("2026-10-24T10:00:00.000Z", "2026-10-24", True),  # noon; the night after has an hour twice
        ("2026-10-25T11:00:00.000Z", "2026-10-25", True),
        ("2026-10-25T10:29:00.000Z", "2026-10-25", False),
        ("2026-10-24T21:59:59.999Z", "2026-10-24", False),
        ("2026-10-24T22:00:00.000Z", "2026-10-25", False),
        ("2026-10-25T22:59:59.999Z", "2026-10-25", False),  # a day of 25 hours
        ("2026-12-31T11:00:00.000Z", "2026-12-31", True),
        ("2026-12-31T23:00:00.000Z", "2027-01-01", False),
        ("2028-02-29T11:00:00.000Z", "2028-02-29", True),
        ("2028-02-29T23:00:00.000Z", "2028-03-01", False),
    ],
)
def test_nights_of_the_clock_change_the_years_end_and_a_leap_day(
    at: str, day: str, found: bool
) -> None:
    service = service_now([LUNCH_EVERY_DAY], at, ROME)
    assert (day_of(at, ROME), service.day if service else None) == (day, day if found else None)


def test_both_hours_of_the_night_that_has_one_twice_are_in_order() -> None:
    twice = [
        "2026-10-25T00:30:00.000Z",
        "2026-10-25T01:30:00.000Z",
    ]  # half past two, by the town's clock, both times
    snack = ServiceRecord(
        id="night", p=1, name="Notte", opens="02:00", closes="03:00", weekdays=[7]
    )
    assert [service_now([snack], at, ROME) for at in twice] == [
        ServiceNow(service="night", day="2026-10-25", outside_hours=False)
    ] * 2
    assert age_ms(*twice) == 3_600_000
