"""What each tap should get: a second, independent statement of the counter's rules.

It is written from what a canteen promises its children, not from `agent.domain.tap`, and uses none
of that code. It reads the records as the terminal holds them, as plain JSON.

A child eats. The exceptions, in this order: nothing was read; no service is open; the card is
blocked; the town refuses unknown cards; the child had this meal; the town refuses without credit.
What is not known for sure takes no meal away: a guessed day, a guessed hour, old data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.domain.ledger import Entry
from agent.readers.events import Signal

SAME_MEAL_MS = 3 * 3_600_000
GRACE_S = 30 * 60
NO_PRICE, ON_CREDIT, SERVE_ALL = "no_price", "on_credit", "serve_all"
LIGHTS = {"meal": Signal.SERVED, "unknown_meal": Signal.SERVED}
WORDS = {
    None: "Servito",
    "already_served": "Già servito",
    "blocked": "Tessera bloccata",
    "unknown_card": "Tessera non riconosciuta",
    "no_credit": "Non servire",
    "no_service": "Nessun servizio ora",
    "unreadable": "Ripetere",
    "out_of_order": "Fuori servizio",
}
"""What the staff read. Nothing of it is about money."""


class HeldPrice(msgspec.Struct):
    """A price in an account's record."""

    service: str
    from_day: str = msgspec.field(name="from")
    cents: int


class HeldMeal(msgspec.Struct, frozen=True):
    """The newest meal of an account in the town."""

    day: str
    service: str
    terminal: str


class HeldAccount(msgspec.Struct):
    """An account's record."""

    id: str
    balance: int
    prices: list[HeldPrice] = []
    status: str = "active"
    last_meal: HeldMeal | None = None


class HeldCard(msgspec.Struct):
    """A card's record."""

    account: str
    status: str = "active"


class HeldPolicy(msgspec.Struct):
    """The town's rules from a day on."""

    from_day: str = msgspec.field(name="from")
    shortage: str = "serve"
    floor: int = 0
    unknown_card: str = "serve"
    stale_after_h: int = 24
    serve_all_until: str | None = None


class HeldService(msgspec.Struct):
    """A serving time."""

    id: str
    opens: str
    closes: str
    weekdays: list[int] = msgspec.field(default_factory=lambda: [1, 2, 3, 4, 5])
    closed_days: list[str] = []


@dataclass(frozen=True, slots=True)
class Held:
    """What a terminal holds about a tap."""

    card: HeldCard | None
    account: HeldAccount | None
    policies: Sequence[HeldPolicy]
    services: Sequence[HeldService]


class OwnMeal(NamedTuple):
    """A meal of the eater on this disk. `is_dated`: its day was confirmed, and still is."""

    entry: Entry
    is_undone: bool
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Tap:
    """A tap: `when` is its entry, of which only card and clocks count. `cents` is the balance.

    `is_day_sure`: a source confirms the day. `age_ms`: of the data, None if it is not known.
    """

    when: Entry
    zone: ZoneInfo
    held: Held
    meals: Sequence[OwnMeal]
    cents: int
    is_day_sure: bool
    age_ms: int | None


class Due(NamedTuple):
    """What a child should get: `kind` is that of the entry, `reason` of a refusal."""

    kind: str
    reason: str | None
    service: str | None
    day: str | None
    cents: int = 0
    flags: frozenset[str] = frozenset()

    @property
    def light(self) -> Signal:
        if self.reason == "already_served":
            return Signal.ALREADY_SERVED
        return LIGHTS.get(self.kind, Signal.REFUSED)

    @property
    def words(self) -> str:
        """Return what the staff's page shows."""
        return WORDS[self.reason]


class _Serving(NamedTuple):
    service: str
    day: str
    is_outside: bool


class _Meal(NamedTuple):
    kind: str
    cents: int
    flags: tuple[str, ...] = ()


def due(tap: Tap) -> Due:
    """Return what a tap should get."""
    held, serving = tap.held, _serving(tap)
    if tap.when.card is None:
        return _no("unreadable", serving)
    if serving is None:
        return _no("no_service", None)
    if held.card is not None and held.card.status != "active":
        return _no("blocked", serving)
    if held.account is not None and held.account.status == "closed":
        return _no("blocked", serving)
    policy = _policy(held.policies, serving.day)
    serves_all = policy.serve_all_until is not None and tap.when.at < policy.serve_all_until
    if held.account is None:
        if policy.unknown_card == "refuse" and tap.is_day_sure and not serves_all:
            return _no("unknown_card", serving)
        if _had(tap, serving):
            return _no("already_served", serving)
        return _yes(tap, policy, serving, _Meal("unknown_meal", 0))
    if _had(tap, serving) or _had_elsewhere(tap, held.account, serving):
        return _no("already_served", serving)
    price = _price(held.account, serving)
    if price is None:
        return _yes(tap, policy, serving, _Meal("meal", 0, (NO_PRICE,)))
    left = tap.cents - price
    flags = [ON_CREDIT] if price > 0 and left < 0 else []
    if price > 0 and left < policy.floor and policy.shortage == "refuse":
        if serves_all:
            flags.append(SERVE_ALL)
        elif tap.is_day_sure and not _is_stale(tap, policy):
            return _no("no_credit", serving)
    return _yes(tap, policy, serving, _Meal("meal", -price, tuple(flags)))


def gets(entry: Entry) -> Due:
    """Return what a tap got, by its entry."""
    is_no = entry.kind == "refusal"
    reason = str(entry.reason) if is_no else None
    flags = frozenset(map(str, entry.flags))
    return Due(str(entry.kind), reason, entry.service, entry.day, entry.cents, flags)


def _no(reason: str, serving: _Serving | None) -> Due:
    service, day = (serving.service, serving.day) if serving else (None, None)
    return Due("refusal", reason, service, day)


def _yes(tap: Tap, policy: HeldPolicy, serving: _Serving, meal: _Meal) -> Due:
    flags = {
        *meal.flags,
        *(["stale"] if _is_stale(tap, policy) else []),
        *(["outside_hours"] if serving.is_outside else []),
        *(["clock_unset"] if tap.when.clock == "unset" else []),
    }
    return Due(meal.kind, None, serving.service, serving.day, meal.cents, frozenset(flags))


def _policy(policies: Sequence[HeldPolicy], day: str) -> HeldPolicy:
    valid = [policy for policy in policies if policy.from_day <= day]
    return max(valid, key=lambda policy: policy.from_day, default=HeldPolicy("1970-01-01"))


def _price(account: HeldAccount, serving: _Serving) -> int | None:
    valid = [
        (price.from_day, price.cents)
        for price in account.prices
        if price.service == serving.service and price.from_day <= serving.day
    ]
    return max(valid)[1] if valid else None


def _is_stale(tap: Tap, policy: HeldPolicy) -> bool:
    return tap.age_ms is None or tap.age_ms > policy.stale_after_h * 3_600_000


def _serving(tap: Tap) -> _Serving | None:
    """Return the service of a tap: the open one, or the nearest within the grace.

    A clock that is not confirmed cannot say that none is open; an unset one knows no hour at all.
    """
    local = datetime.fromisoformat(tap.when.at).astimezone(tap.zone)
    day, now_s = f"{local:%Y-%m-%d}", (local.hour * 60 + local.minute) * 60 + local.second
    distances = {
        service.id: max(_seconds(service.opens) - now_s, now_s - _seconds(service.closes), 0)
        for service in tap.held.services
        if local.isoweekday() in service.weekdays and day not in service.closed_days
    }
    near = {name: distance for name, distance in distances.items() if distance <= GRACE_S}
    names = sorted(service.id for service in tap.held.services)
    if tap.when.clock == "unset":
        return _Serving(names[0], day, is_outside=False) if names else None
    if near:
        name = min(near, key=lambda name: (near[name], name))
        return _Serving(name, day, is_outside=near[name] > 0)
    is_guess = tap.when.clock != "synced" and names
    return _Serving(names[0], day, is_outside=True) if is_guess else None


def _seconds(hour: str) -> int:
    return (int(hour[:2]) * 60 + int(hour[3:])) * 60


def _is_this_meal(meal: Entry, tap: Tap, serving: _Serving, *, is_dated: bool) -> bool:
    if meal.service != serving.service:
        return False
    is_of_day = meal.day == serving.day and tap.is_day_sure
    if meal.how == "late":
        return is_of_day
    passed_ms = tap.when.mono_ms - meal.mono_ms
    is_near = meal.boot == tap.when.boot and 0 <= passed_ms < SAME_MEAL_MS
    return is_near or (is_of_day and is_dated)


def _these_meals(tap: Tap, serving: _Serving) -> list[OwnMeal]:
    return [
        meal
        for meal in tap.meals
        if _is_this_meal(meal.entry, tap, serving, is_dated=meal.is_dated)
    ]


def _had(tap: Tap, serving: _Serving) -> bool:
    return any(not meal.is_undone for meal in _these_meals(tap, serving))


def _had_elsewhere(tap: Tap, account: HeldAccount, serving: _Serving) -> bool:
    """Return whether another terminal served this meal. What this terminal did is newer."""
    last = account.last_meal
    if last is None or not tap.is_day_sure or _these_meals(tap, serving):
        return False
    return (last.day, last.service) == (serving.day, serving.service)
