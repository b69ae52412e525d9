"""The records of a terminal, and which price takes effect on which day (`price_on`).

The records are accounts, cards, services and policies.

A record has one form on the wire, on disk and in memory (PROTOCOL.md, "Down: changes"). Each record
is whole and carries `p`, the central's position when it last changed. Prices and policies have a
day of effect: `price_on` and `policy_on` return what is in effect on a day. So a terminal that is
offline on the day of a price change already has the new price.
"""

from collections.abc import Iterable
from datetime import time
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from agent.domain.clock import Day, Instant, local_minute

ID_CHARACTERS_MAX = 64
"""An id is part of MQTT topics and of lines on a screen."""
CENTS_MAX = 100_000_000_000
"""1,000 million euro: the sum of any number of payments of one account."""
POSITION_MAX = 2**53
"""The largest integer that every JSON reader keeps exact (RFC 7493)."""

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ID_CHARACTERS_MAX,
        pattern=r"^[A-Za-z0-9._-]+(?!\n)$",
        description="id: letters, digits, . _ -",
    ),
]
Cents = Annotated[int, Meta(ge=-CENTS_MAX, le=CENTS_MAX, description="integer cents, signed")]
Position = Annotated[int, Meta(ge=0, le=POSITION_MAX, description="the central's change counter")]
TokenText = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$", description="a card's token")]
_HOUR = r"^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$"
Hour = Annotated[str, Meta(pattern=_HOUR, description="HH:MM in the town's time zone")]

NAME_CHARACTERS_MAX = 64
"""A label is a first name and an initial; the longest must fit a screen's line."""
Name = Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX, description="a short text for people")]

OUTSIDE_HOURS_GRACE_MIN = 30
"""A queue does not end with the service: served this long before and after it, with a flag."""
PRICE_CENTS_MAX = 100_000
"""1,000 euro: no meal costs more, so a larger number is a mistake."""
PRICES_MAX = 64
"""Prices of one account: some years of price changes for several services, in a small record."""


class AccountStatus(StrEnum):
    """Whether an account may eat."""

    ACTIVE = "active"
    CLOSED = "closed"


class Category(StrEnum):
    """Who eats."""

    PUPIL = "pupil"
    STAFF = "staff"
    GUEST = "guest"


class CardStatus(StrEnum):
    """Whether a card may buy a meal. A replaced one was lost or worn out and has a successor."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    REPLACED = "replaced"


class Shortage(StrEnum):
    """What a town does when the credit does not cover the meal."""

    SERVE = "serve"
    REFUSE = "refuse"


class UnknownCard(StrEnum):
    """What a town does with a card that the terminal does not know."""

    SERVE = "serve"
    REFUSE = "refuse"


class Price(Struct, frozen=True, kw_only=True):
    """The price of one meal of a service for an account from a day on; 0 if exempt."""

    from_day: Day = field(name="from")
    service: Id
    cents: Annotated[int, Meta(ge=0, le=PRICE_CENTS_MAX)]


class LastMeal(Struct, frozen=True, kw_only=True):
    """The account's newest meal in the town that no storno has undone."""

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
    """An account: the money of one eater.

    `balance` contains this terminal's entries up to the `acked` of the message that brought it.
    """

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
    """A card's token and its account."""

    id: TokenText
    p: Position
    account: Id
    status: CardStatus = CardStatus.ACTIVE


class PolicyRecord(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="k", tag="policy"
):
    """The town's rules from a day on.

    `floor` is the lowest balance in cents after a debit, where `shortage` is refuse.
    """

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
    """A tombstone: the terminal deletes that record."""

    of: str
    id: str
    p: Position


Record = AccountRecord | CardRecord | PolicyRecord | ServiceRecord | GoneRecord

DEFAULT_POLICY = PolicyRecord(from_day="1970-01-01", p=0)
"""In effect until the central's first policy arrives: nobody is refused (story 3)."""


def price_on(prices: Iterable[Price], service: str, day: Day) -> int | None:
    """Return the cents a meal costs on a day, None before the first price (story 6)."""
    newest: Price | None = None
    for price in prices:
        if price.service != service or price.from_day > day:
            continue
        if newest is None or price.from_day > newest.from_day:
            newest = price
    return None if newest is None else newest.cents


def policy_on(policies: Iterable[PolicyRecord], day: Day) -> PolicyRecord:
    """Return the policy in effect on a day."""
    newest: PolicyRecord | None = None
    for policy in policies:
        if policy.from_day <= day and (newest is None or policy.from_day > newest.from_day):
            newest = policy
    return DEFAULT_POLICY if newest is None else newest


class ServiceNow(Struct, frozen=True, kw_only=True):
    """The service a tap belongs to. With the day it is the unit of *already served*."""

    service: Id
    day: Day
    outside_hours: bool


def service_now(
    services: Iterable[ServiceRecord], at: Instant, zone: ZoneInfo
) -> ServiceNow | None:
    """Return the service that is open at an instant, else the nearest within the grace, else None.

    On every tap's path: the town's local time is computed once a minute.
    """
    local = local_minute(at, zone)
    now_s = local.seconds + int(at[17:19])
    nearest: tuple[int, str] | None = None
    for service in services:
        if local.weekday not in service.weekdays or local.day in service.closed_days:
            continue
        opens_s, closes_s = _since_midnight_s(service.opens), _since_midnight_s(service.closes)
        candidate = max(opens_s - now_s, now_s - closes_s, 0), service.id
        nearest = candidate if nearest is None else min(nearest, candidate)
    if nearest is None or nearest[0] > OUTSIDE_HOURS_GRACE_MIN * 60:
        return None
    return ServiceNow(service=nearest[1], day=local.day, outside_hours=nearest[0] > 0)


def any_service(
    services: Iterable[ServiceRecord], day: Day, *, outside_hours: bool = False
) -> ServiceNow | None:
    """Return a service for a tap whose hour is not known: the first service by id (story 16)."""
    ids = sorted(service.id for service in services)
    return ServiceNow(service=ids[0], day=day, outside_hours=outside_hours) if ids else None


@lru_cache(maxsize=64)
def _since_midnight_s(hour: Hour) -> int:
    clock = time.fromisoformat(hour)
    return (clock.hour * 60 + clock.minute) * 60
