"""Accounts, cards, prices, services and rules: the records a terminal holds, and what they mean on a day.

A record is the same thing on the wire, on disk and here (PROTOCOL.md, "Down: changes"). Every record is whole and
carries `p`, the central's generation position at which it last changed. Prices and policies have a day of effect, so that
a fare change on a day without network has already arrived.
"""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from agent.domain.clock import Day, Instant, parse_instant

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+(?!\n)$",
        description="id: letters, digits, . _ -",
    ),
]
Cents = Annotated[
    int, Meta(ge=-100_000_000_000, le=100_000_000_000, description="integer cents, signed")
]
Position = Annotated[int, Meta(ge=0, le=2**53, description="the central's generation position")]
TokenText = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="a card's token")]
Hour = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$",
        description="HH:MM in the town's time zone",
    ),
]

OUTSIDE_HOURS_GRACE_MIN = (
    30  # a queue does not end when the clock strikes: served up to here, and flagged
)


Name = Annotated[str, Meta(max_length=64, description="a short text for people")]

PRICE_CENTS_MAX = 100_000
PRICES_MAX = 64


class AccountStatus(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


class Category(StrEnum):
    PUPIL = "pupil"
    STAFF = "staff"
    GUEST = "guest"


class CardStatus(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    REPLACED = "replaced"


class Shortage(StrEnum):
    """What a town does when the credit does not cover the meal."""

    SERVE = "serve"
    REFUSE = "refuse"


class UnknownCard(StrEnum):
    SERVE = "serve"
    REFUSE = "refuse"


class Price(Struct, frozen=True, kw_only=True):
    """What one meal of a service costs an account from a day on; 0 for the exempt."""

    from_day: Day = field(name="from")
    service: Id
    cents: Annotated[int, Meta(ge=0, le=PRICE_CENTS_MAX)]


class LastMeal(Struct, frozen=True, kw_only=True):
    """The account's newest standing meal anywhere in the town."""

    day: Day
    service: Id
    terminal: Id


class LastCredit(Struct, frozen=True, kw_only=True):
    """The account's newest top-up."""

    cents: Cents
    at: Instant
    channel: str


class AccountRecord(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k", tag="account"
):
    """Where the money is. `balance` contains this terminal's entries up to the `acked` that came with the record."""

    id: Id
    p: Position
    balance: Cents
    prices: Annotated[list[Price], Meta(max_length=PRICES_MAX)] = []
    status: AccountStatus = AccountStatus.ACTIVE
    category: Category = Category.PUPIL
    group: Name | None = None
    label: Name | None = None
    dish: Name | None = None
    last_meal: LastMeal | None = None
    last_credit: LastCredit | None = None


class CardRecord(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k", tag="card"):
    """A token that points at an account."""

    id: TokenText
    p: Position
    account: Id
    status: CardStatus = CardStatus.ACTIVE


class PolicyRecord(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k", tag="policy"
):
    """The town's rules from a day on. `floor` is the lowest balance, in cents, allowed after a debit where shortage refuses."""

    from_day: Day = field(name="from")
    p: Position
    shortage: Shortage = Shortage.SERVE
    floor: Cents = 0
    unknown_card: UnknownCard = UnknownCard.SERVE
    stale_after_h: Annotated[int, Meta(ge=1, le=10_000)] = 24
    serve_all_until: Instant | None = None
    undo_min: Annotated[int, Meta(ge=0, le=1_440)] = 120
    keep_days: Annotated[int, Meta(ge=1, le=3_660)] = 60
    labels: Literal["none", "short"] = "none"


class ServiceRecord(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k", tag="service"
):
    """A serving time of a site. `weekdays`: 1 is Monday. `closed_days`: holidays."""

    id: Id
    p: Position
    name: Name
    opens: Hour
    closes: Hour
    weekdays: list[Annotated[int, Meta(ge=1, le=7)]] = field(
        default_factory=lambda: [1, 2, 3, 4, 5]
    )
    closed_days: list[Day] = []


class GoneRecord(Struct, frozen=True, kw_only=True, tag_field="k", tag="gone"):
    """A tombstone: this terminal may no longer see that record."""

    of: str
    id: str
    p: Position


Record = AccountRecord | CardRecord | PolicyRecord | ServiceRecord | GoneRecord

DEFAULT_POLICY = PolicyRecord(from_day="1970-01-01", p=0)
"""What holds until the central's first policy arrives: nobody is refused (docs/STORIES.md, 3)."""


def price_on(prices: Iterable[Price], service: str, day: Day) -> int | None:
    """Return the cents a meal costs on a day, or None when no price has taken effect yet (story 6: fares not fixed)."""
    valid = [price for price in prices if price.service == service and price.from_day <= day]
    return max(valid, key=lambda price: price.from_day).cents if valid else None


def policy_on(policies: Iterable[PolicyRecord], day: Day) -> PolicyRecord:
    """Return the policy in effect on a day."""
    valid = [policy for policy in policies if policy.from_day <= day]
    return max(valid, key=lambda policy: policy.from_day) if valid else DEFAULT_POLICY


class ServiceNow(Struct, frozen=True, kw_only=True):
    """The service a tap belongs to. With the day it is the unit of *already served*."""

    service: Id
    day: Day
    outside_hours: bool


def service_now(
    services: Iterable[ServiceRecord], at: Instant, zone: ZoneInfo
) -> ServiceNow | None:
    """Return the service that is open at an instant, else the nearest within the grace, else None."""
    local = parse_instant(at).astimezone(zone)
    day = local.date().isoformat()
    candidates: list[tuple[timedelta, str]] = []
    for service in services:
        if local.isoweekday() not in service.weekdays or day in service.closed_days:
            continue
        candidates.append((_distance(local, service), service.id))
    if not candidates:
        return None
    distance, nearest = min(candidates)
    if distance > timedelta(minutes=OUTSIDE_HOURS_GRACE_MIN):
        return None
    return ServiceNow(service=nearest, day=day, outside_hours=distance > timedelta(0))


def any_service(services: Iterable[ServiceRecord], day: Day) -> ServiceNow | None:
    """Return a service for a tap under a clock that is known to be wrong: hours mean nothing then (story 16)."""
    ids = sorted(service.id for service in services)
    return ServiceNow(service=ids[0], day=day, outside_hours=False) if ids else None


def _distance(local: datetime, service: ServiceRecord) -> timedelta:
    now = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    opens, closes = _since_midnight(service.opens), _since_midnight(service.closes)
    return max(opens - now, now - closes, timedelta(0))


@lru_cache(maxsize=64)
def _since_midnight(hour: Hour) -> timedelta:
    clock = time.fromisoformat(hour)
    return timedelta(hours=clock.hour, minutes=clock.minute)
