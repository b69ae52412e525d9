"""What must always be true at the counter: who gets a meal, who does not, and who pays once.

The functions of tests/invariants.py say the rest. These know the true time, which no terminal does.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.domain.canteen import AccountRecord, PolicyRecord, ServiceRecord
from agent.domain.ledger import Entry
from agent.ops.control_messages import Ask, Meal
from agent.readers.events import Signal
from tests.counter_model import Due, gets
from tests.parts.page_outcomes import PageOutcome, page_outcomes
from tests.parts.wire import ZONE
from tests.simulation.model import DiskEntry

SAME_MEAL_MS = 3 * 3_600_000
# A staff card unlocks for 3 minutes. One that lay there at a restart was tapped up to 30 s before.
STAFF = frozenset(f"a-{n}" for n in range(10, 1_000, 11))  # as the simulated office has them
STAFF_MS_MAX = 180_000 + 30_000

# Each child gets what is due, and the light agrees with the entry.


def a_child_gets_what_is_due(entry: Entry, light: Signal | None, possible: Sequence[Due]) -> None:
    """`possible` is what the model says; more than one outcome where a terminal may not know."""
    got = gets(entry)
    assert got in possible, f"a tap got {got}, due was {' or '.join(map(str, {*possible}))}"
    assert light in (None, got.light), f"the light {light} was shown for {got}"


def a_tap_looks_and_sounds_as_is_due(got: Due, shown: PageOutcome) -> None:
    """The staff read the outcome. *Served* and *already served* have a sound that nothing else has.

    Paid, exempt and on credit are one word and one sound: a child is not shamed.
    """
    assert shown.words == got.words, f"the page shows {shown.words!r} for {got}"
    alike = {other.words for other in page_outcomes().values() if other.tones == shown.tones}
    is_distinct = got.reason in (None, "already_served")
    assert shown.tones and (alike == {got.words} or not is_distinct), f"{alike} sound alike"


def debt_at_the_central_is_bounded(account: str, balance: int, lowest: int) -> None:
    """`lowest` is the floor less what the last terminal that served could not know.

    A terminal that is connected could know all: `lowest` is the floor.
    """
    assert balance >= lowest, f"account {account}: owes {-balance} cents, the bound is {-lowest}"


# No account is charged twice for one service and day at one terminal.


def nobody_is_charged_twice_at_one_terminal(made: DiskEntry, standing: Iterable[DiskEntry]) -> None:
    """Of one eater and service at most one meal stands, as far as the clocks can know.

    `standing` are the eater's standing meals on that disk. Two meals of one boot are hours apart.
    They are not of one day, where both days were confirmed and right.
    """
    for meal in standing:
        if meal is made or meal.entry.service != made.entry.service:
            continue
        before, now = meal.entry, made.entry
        if "late" in (before.how, now.how):
            is_twice = before.how == now.how == "late" and before.day == now.day
        else:
            is_near = 0 <= now.mono_ms - before.mono_ms < SAME_MEAL_MS
            is_sure = _has_right_day(meal) and _has_right_day(made)
            is_twice = before.boot == now.boot and is_near
            is_twice |= is_sure and before.day == now.day
        assert not is_twice, (
            f"{made.terminal}: {now.account or now.card} was charged twice for {now.service} of"
            f" {now.day}"
        )


def _has_right_day(made: DiskEntry) -> bool:
    true_day = f"{made.true_at.astimezone(ZONE):%Y-%m-%d}"
    return made.entry.clock == "synced" and made.entry.day == true_day


REASONS_OF_TIME = ("no_service", "unknown_card", "already_served", "no_credit")
"""A refusal for one of these depends on the day or the hour."""


@dataclass(frozen=True, slots=True)
class CounterView:
    """What a terminal holds about a tap at the true time: `policy` is that of the true day."""

    now: datetime
    services: Sequence[ServiceRecord]
    policy: PolicyRecord
    account: AccountRecord | None
    shown_cents: int | None

    @property
    def day(self) -> str:
        return f"{self.now.astimezone(ZONE):%Y-%m-%d}"


def no_child_is_refused_because_of_a_wrong_clock(
    entry: Entry, view: CounterView, standing: Iterable[DiskEntry]
) -> None:
    """A child who got no meal would have got none if every clock had been right."""
    match entry.reason:
        case "no_service":
            is_right = not any(_is_open(service, view.now) for service in view.services)
        case "already_served":
            is_right = any(_is_meal_of_now(meal, entry, view) for meal in standing)
            last = view.account.last_meal if view.account else None
            is_right |= last is not None and (last.day, last.service) == (view.day, entry.service)
        case "unknown_card":
            is_right = view.policy.unknown_card == "refuse"
        case "no_credit" if view.account is not None and view.shown_cents is not None:
            valid = [
                (price.from_day, price.cents)
                for price in view.account.prices
                if price.service == entry.service and price.from_day <= view.day
            ]
            after_cents = view.shown_cents - max(valid, default=("", 0))[1]
            is_short = bool(valid) and after_cents < view.policy.floor
            is_right = view.policy.shortage == "refuse" and is_short
        case _:
            is_right = True
    assert is_right, (
        f"{entry.account or entry.card} got {entry.reason} at {entry.at} ({entry.clock}),"
        f" which is wrong at {view.now}"
    )


def _is_open(service: ServiceRecord, now: datetime) -> bool:
    local = now.astimezone(ZONE)
    day, minute = f"{local:%Y-%m-%d}", local.hour * 60 + local.minute
    opens, closes = (int(hour[:2]) * 60 + int(hour[3:]) for hour in (service.opens, service.closes))
    is_day = local.isoweekday() in service.weekdays and day not in service.closed_days
    return is_day and opens - 29 <= minute <= closes + 29


def _is_meal_of_now(meal: DiskEntry, entry: Entry, view: CounterView) -> bool:
    if meal.entry.service != entry.service:
        return False
    if meal.entry.how == "late":
        return meal.entry.day == view.day
    is_near = view.now - meal.true_at < timedelta(milliseconds=SAME_MEAL_MS)
    return is_near or f"{meal.true_at.astimezone(ZONE):%Y-%m-%d}" == view.day


def a_meal_is_undone_at_most_once(storno: DiskEntry, undone: Container[str]) -> None:
    assert storno.undoes is None or storno.undoes.hash not in undone, (
        f"{storno.terminal}: {storno.undoes} is undone twice"
    )


def what_the_staff_do_has_their_card(
    entry: Entry, staff_taps: dict[str, int], *, is_needed: bool
) -> None:
    """`staff_taps` has when a staff card was tapped last in each boot; it is kept up here."""
    if entry.how == "card":
        assert entry.by is None, f"a tap by card names a person: {entry.by}"
        if entry.account in STAFF and entry.reason != "blocked":
            staff_taps[entry.boot] = entry.mono_ms
        return
    assert (entry.by is not None) == is_needed, f"{entry.kind} by {entry.by}"
    if is_needed:
        tapped_ms = staff_taps.get(entry.boot)
        assert entry.by in STAFF, f"{entry.by} is not of the staff"
        assert tapped_ms is not None and entry.mono_ms - tapped_ms <= STAFF_MS_MAX, (
            f"the staff card was tapped at {tapped_ms}, its entry is of {entry.mono_ms}"
        )


def a_meal_has_the_day_that_the_staff_entered(entry: Entry, ask: Ask) -> None:
    if isinstance(ask, Meal) and ask.day is not None:
        assert entry.day == ask.day, f"a meal of {ask.day} was recorded for {entry.day}"
