"""Prices, policies and services have a day of effect; every record has limits."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.domain.canteen import (
    CENTS_MAX,
    DEFAULT_POLICY,
    ID_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    OUTSIDE_HOURS_GRACE_MIN,
    POSITION_MAX,
    PRICE_CENTS_MAX,
    PRICES_MAX,
    AccountRecord,
    PolicyRecord,
    Price,
    ServiceNow,
    ServiceRecord,
    any_service,
    policy_on,
    price_on,
    service_now,
)
from agent.domain.clock import age_ms, day_of, format_instant, parse_instant

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


def test_the_newest_policy_in_effect_counts_and_without_one_nobody_is_refused() -> None:
    old, new = PolicyRecord(from_day="2026-09-01", p=1), PolicyRecord(from_day="2027-01-01", p=2)
    assert policy_on([new, old], "2026-12-31") is old
    assert policy_on([new, old], "2027-01-01") is new
    assert policy_on([], "2027-01-01") is DEFAULT_POLICY
    assert (DEFAULT_POLICY.shortage, DEFAULT_POLICY.unknown_card) == ("serve", "serve")


@pytest.mark.parametrize(
    ("at", "outside_hours"),
    [
        ("2026-11-23T11:00:00.000Z", False),  # noon in winter
        ("2026-11-23T13:15:00.999Z", False),
        ("2026-11-23T13:15:01.000Z", True),
        ("2026-11-23T10:30:00.000Z", True),
        ("2026-11-23T10:29:59.999Z", None),
        ("2026-11-23T13:45:10.000Z", None),  # ten seconds after the grace
        ("2026-11-22T11:00:00.000Z", None),  # a Sunday
        ("2026-12-08T11:00:00.000Z", None),  # a holiday
        ("2026-06-15T10:00:00.000Z", False),  # noon in summer
    ],
)
def test_a_service_is_open_by_the_towns_clock(at: str, outside_hours: bool | None) -> None:
    service = service_now([LUNCH], at, ROME)
    assert (service.outside_hours if service else None) == outside_hours


def test_a_service_serves_until_the_end_of_the_grace() -> None:
    end = parse_instant("2026-11-23T13:15:00.000Z") + timedelta(minutes=OUTSIDE_HOURS_GRACE_MIN)
    last = service_now([LUNCH], format_instant(end), ROME)
    assert last == ServiceNow(service="lunch", day="2026-11-23", outside_hours=True)
    assert service_now([LUNCH], format_instant(end + timedelta(seconds=1)), ROME) is None


def test_of_two_turns_the_open_or_nearest_one_counts() -> None:
    second = ServiceRecord(id="second", p=2, name="Secondo turno", opens="13:00", closes="14:15")
    first = ServiceRecord(id="first", p=1, name="Primo turno", opens="12:00", closes="12:55")
    times = ("11:54", "11:57", "11:58", "12:01")
    open_at = [service_now([second, first], f"2026-11-23T{at}:00.000Z", ROME) for at in times]
    services = [service.service for service in open_at if service]
    assert services == ["first", "first", "second", "second"]


def test_a_service_that_is_closed_on_that_day_hides_no_other() -> None:
    sunday = ServiceRecord(
        id="a", p=1, name="Domenica", opens="12:00", closes="14:00", weekdays=[7]
    )
    service = service_now([sunday, LUNCH], "2026-11-23T11:00:00.000Z", ROME)
    assert service == ServiceNow(service="lunch", day="2026-11-23", outside_hours=False)


def test_of_two_open_services_the_first_by_id_counts_from_the_second_in_which_it_opens() -> None:
    early = ServiceRecord(id="b", p=1, name="Presto", opens="11:00", closes="13:00")
    late = ServiceRecord(id="a", p=2, name="Tardi", opens="12:00", closes="14:00")
    times = ("10:59:59", "11:00:00")
    open_at = [service_now([early, late], f"2026-11-23T{at}.000Z", ROME) for at in times]
    assert [service.service for service in open_at if service] == ["b", "a"]


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2036, 12, 31)),
    zone=st.sampled_from([ROME, ZoneInfo("America/St_Johns"), ZoneInfo("Asia/Kathmandu")]),
)
def test_local_time_by_the_minute_equals_local_time_by_the_second(
    at: datetime, zone: ZoneInfo
) -> None:
    instant = f"{at.isoformat(timespec='milliseconds')}Z"
    local = parse_instant(instant).astimezone(zone)
    opens, closes = timedelta(hours=12), timedelta(hours=14, minutes=15)
    now = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    distance = max(opens - now, now - closes, timedelta(0))
    is_open = distance <= timedelta(minutes=OUTSIDE_HOURS_GRACE_MIN)
    expected = ServiceNow(
        service="lunch", day=local.date().isoformat(), outside_hours=distance > timedelta(0)
    )
    assert service_now([LUNCH_EVERY_DAY], instant, zone) == (expected if is_open else None)
    assert day_of(instant, zone) == local.date().isoformat()


@pytest.mark.parametrize(
    ("at", "day", "is_open"),
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
def test_a_day_is_the_towns_at_clock_changes_year_ends_and_leap_days(
    at: str, day: str, is_open: bool
) -> None:
    service = service_now([LUNCH_EVERY_DAY], at, ROME)
    assert (day_of(at, ROME), service.day if service else None) == (day, day if is_open else None)


def test_both_hours_of_an_hour_that_comes_twice_are_in_order() -> None:
    # half past two by the town's clock, both times
    twice = ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]
    snack = ServiceRecord(
        id="night", p=1, name="Notte", opens="02:00", closes="03:00", weekdays=[7]
    )
    night = ServiceNow(service="night", day="2026-10-25", outside_hours=False)
    assert [service_now([snack], at, ROME) for at in twice] == [night, night]
    assert age_ms(*twice) == 3_600_000


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-23T21:59:59.999Z", ("night", "2026-11-23", False)),  # the last of 22:59
        ("2026-11-23T22:59:00.000Z", ("night", "2026-11-23", False)),  # it closes
        ("2026-11-23T22:59:59.999Z", ("night", "2026-11-23", True)),  # a millisecond to midnight
        ("2026-11-23T23:00:00.000Z", ("early", "2026-11-24", False)),  # midnight in the town
        ("2026-11-23T23:59:59.999Z", ("early", "2026-11-24", True)),
        ("2026-11-24T00:00:59.999Z", None),  # the grace of half an hour is over
    ],
)
def test_around_midnight_a_meal_has_the_day_of_its_service(
    at: str, expected: tuple[str, str, bool] | None
) -> None:
    """A service belongs to one day: its grace ends with that day."""
    every_day = [1, 2, 3, 4, 5, 6, 7]
    night = ServiceRecord(
        id="night", p=1, name="Notte", opens="21:00", closes="23:59", weekdays=every_day
    )
    early = ServiceRecord(
        id="early", p=2, name="Alba", opens="00:00", closes="00:30", weekdays=every_day
    )
    now = service_now([night, early], at, ROME)
    assert (now and (now.service, now.day, now.outside_hours)) == expected


def test_under_a_wrong_clock_the_first_service_by_id_counts_at_any_hour() -> None:
    second = ServiceRecord(id="second", p=2, name="Secondo turno", opens="13:00", closes="14:15")
    service = any_service([second, LUNCH], "1970-01-01")
    assert service == ServiceNow(service="lunch", day="1970-01-01", outside_hours=False)
    assert any_service([], "1970-01-01") is None


def account(**members: object) -> AccountRecord:
    return msgspec.convert(
        {"k": "account", "id": "a-1", "p": 1, "balance": 0} | members, AccountRecord
    )


def price(cents: int) -> dict[str, object]:
    return {"from": "2026-09-01", "service": "lunch", "cents": cents}


# C5 C6
@pytest.mark.parametrize(
    ("largest", "too_large"),
    [
        ({"id": "a" * ID_CHARACTERS_MAX}, {"id": "a" * (ID_CHARACTERS_MAX + 1)}),
        ({"label": "a" * NAME_CHARACTERS_MAX}, {"label": "a" * (NAME_CHARACTERS_MAX + 1)}),
        ({"group": "a" * NAME_CHARACTERS_MAX}, {"group": "a" * (NAME_CHARACTERS_MAX + 1)}),
        ({"dish": "a" * NAME_CHARACTERS_MAX}, {"dish": "a" * (NAME_CHARACTERS_MAX + 1)}),
        ({"balance": CENTS_MAX}, {"balance": CENTS_MAX + 1}),
        ({"balance": -CENTS_MAX}, {"balance": -CENTS_MAX - 1}),
        ({"p": POSITION_MAX}, {"p": POSITION_MAX + 1}),
        ({"prices": [price(PRICE_CENTS_MAX)]}, {"prices": [price(PRICE_CENTS_MAX + 1)]}),
        ({"prices": [price(0)]}, {"prices": [price(-1)]}),
        ({"prices": [price(1)] * PRICES_MAX}, {"prices": [price(1)] * (PRICES_MAX + 1)}),
    ],
)
def test_an_account_is_refused_beyond_a_limit(
    largest: dict[str, object], too_large: dict[str, object]
) -> None:
    account(**largest)
    with pytest.raises(msgspec.ValidationError):
        account(**too_large)


@pytest.mark.parametrize(
    ("member", "lowest", "highest"),
    [
        ("stale_after_h", 1, 10_000),
        ("undo_min", 0, 1_440),
        ("keep_days", 1, 3_660),
        ("floor", -CENTS_MAX, CENTS_MAX),
    ],
)
def test_a_policy_is_refused_beyond_a_limit(member: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        msgspec.convert({"k": "policy", "from": "2026-09-01", "p": 1, member: value}, PolicyRecord)
    for value in (lowest - 1, highest + 1):
        with pytest.raises(msgspec.ValidationError, match=member):
            msgspec.convert(
                {"k": "policy", "from": "2026-09-01", "p": 1, member: value}, PolicyRecord
            )


def test_a_record_without_its_optional_fields_has_the_values_of_the_contract() -> None:
    """Another vendor's central leaves out what it does not use."""
    policy = msgspec.convert({"k": "policy", "from": "2026-09-01", "p": 1}, PolicyRecord)
    assert (policy.floor, policy.stale_after_h, policy.undo_min, policy.keep_days) == (
        0,
        24,
        120,
        60,
    )
    hours = {"opens": "12:00", "closes": "14:15"}
    service = msgspec.convert(
        {"k": "service", "id": "lunch", "p": 1, "name": "Pranzo", **hours}, ServiceRecord
    )
    assert (service.weekdays, service.closed_days) == ([1, 2, 3, 4, 5], [])


@pytest.mark.parametrize(("weekday", "is_one"), [(0, False), (1, True), (7, True), (8, False)])
def test_a_weekday_is_1_to_7(weekday: int, is_one: bool) -> None:
    members = {"k": "service", "id": "lunch", "p": 1, "name": "", "weekdays": [weekday]}
    hours = {"opens": "12:00", "closes": "14:15"}
    if is_one:
        assert msgspec.convert({**members, **hours}, ServiceRecord).weekdays == [weekday]
    else:
        with pytest.raises(msgspec.ValidationError, match="weekdays"):
            msgspec.convert({**members, **hours}, ServiceRecord)


@pytest.mark.parametrize("hour", ["24:00", "12:60", "9:00", "12:00\n"])
def test_an_hour_is_hh_mm(hour: str) -> None:
    members = {"k": "service", "id": "lunch", "p": 1, "name": "", "opens": hour, "closes": "14:00"}
    with pytest.raises(msgspec.ValidationError, match="opens"):
        msgspec.convert(members, ServiceRecord)
