"""Prices, rules and services have a day."""

from zoneinfo import ZoneInfo

import pytest

from agent.domain.canteen import DEFAULT_POLICY, PolicyRecord, Price, ServiceRecord, policy_on, price_on, service_now

ROME = ZoneInfo("Europe/Rome")
LUNCH = ServiceRecord(id="lunch", p=1, name="Pranzo", opens="12:00", closes="14:15", closed_days=["2026-12-08"])


def test_a_price_counts_from_its_day() -> None:
    prices = [Price(from_day="2027-01-01", service="lunch", cents=380), Price(from_day="2026-09-01", service="lunch", cents=366)]
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
    assert [service_now([second, first], f"2026-11-23T{at}:00.000Z", ROME).service for at in ("11:54", "12:01")] == ["first", "second"]  # type: ignore[union-attr]
