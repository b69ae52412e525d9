"""Checks each entry of the counter against the model of a tap, and against the true time."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import NamedTuple, TypeVar

import msgspec

from agent.domain.canteen import policy_on
from agent.domain.clock import day_of, format_instant
from agent.domain.ledger import Entry, RefusalReason
from agent.domain.timekeeper import ROUND_TRIP_MAX_MS, STEP
from agent.ops.control_messages import SetDay, Tapped
from agent.readers.events import CardPresented, CardUnreadable, Show, Signal
from agent.store import reads
from agent.sync.events import Arrived
from agent.terminal.control import Request
from tests import counter_invariants, counter_model, invariants
from tests.counter_model import (
    Held,
    HeldAccount,
    HeldCard,
    HeldPolicy,
    HeldService,
    OwnMeal,
    Tap,
    gets,
)
from tests.invariants import MealElsewhere
from tests.parts.page_outcomes import page_outcomes
from tests.parts.wire import ZONE
from tests.simulation.model import Disk, DiskEntry, ExpectedBooks
from tests.simulation.observe_central import CentralObserver, Proof
from tests.simulation.parts import Box

DAY_MS = 24 * 3_600_000
HOUR_MS = 3_600_000
UNREADABLE = "{"  # the body of a damaged record

_Record = TypeVar("_Record")


class DebtBound(NamedTuple):
    """What the last meal within the bound stood on: the floor, and what its terminal knew.

    `elsewhere_cents` are the meals of other disks that it did not know.
    """

    floor_cents: int
    elsewhere_cents: int
    credit_cents: int


@dataclass(slots=True)
class BoxTurn:
    """One turn of a terminal: event, lights, whether it wrote, whether it ended without a kill."""

    event: object
    shown: list[Show] = field(default_factory=list)
    wrote: bool = False
    finished: bool = False

    @property
    def is_tap(self) -> bool:
        return isinstance(self.event, CardPresented | CardUnreadable)

    @property
    def is_green(self) -> bool:
        return bool(self.shown) and self.shown[0].signal is Signal.SERVED


class CounterObserver(CentralObserver):
    """Observes the counters.

    `standing_meals` has every meal that no storno has undone, by account and hash. `bounded` are
    the hashes of the meals that the bound on debt covers, `bounds` has the last one's by account.
    """

    def __init__(self, books: ExpectedBooks) -> None:
        super().__init__(books)
        self.standing_meals: dict[str, dict[str, DiskEntry]] = {}
        self.bounds: dict[str, DebtBound] = {}
        self.bounded: set[str] = set()

    def _check_counter(self, box: Box, turn: BoxTurn, made: DiskEntry) -> None:
        """Check a new entry of a tap or of the staff."""
        disk, entry = box.disk, made.entry
        standing = self._standing_meals_of_eater(disk, made)
        if turn.is_tap and entry.how == "card" and entry.reason is not RefusalReason.OUT_OF_ORDER:
            self._check_due(box, turn, made)
        if entry.kind in invariants.MEALS:
            sure = [meal for meal in standing if not self._is_doubted(box, meal)]
            counter_invariants.nobody_is_charged_twice_at_one_terminal(made, sure)
            self._check_debt(box, made)
        elif turn.is_tap:
            self._check_no(box, made, standing)
        if entry.kind == "meal" and entry.account not in disk.damaged:
            self._check_price(box, entry)

    def _check_due(self, box: Box, turn: BoxTurn, made: DiskEntry) -> None:
        """Check that a tap got what the model says, in its entry and in its light."""
        entry = made.entry
        if entry.account in box.disk.damaged:
            return
        held = _held(box, entry)
        account = held.account.id if held.account else None
        shown = reads.balance_cents(box.db, account) if account else None
        meals = [
            OwnMeal(
                meal.entry,
                is_undone=meal.hash in box.disk.undone,
                is_dated=meal.entry.clock == "synced" and not self._is_doubted(box, meal),
            )
            for eater in {account or "", entry.card or ""}
            for meal in box.disk.by_eater[eater]
            if meal.entry.kind in invariants.MEALS and meal is not made
        ]
        possible = [
            counter_model.due(
                Tap(entry, ZONE, held, meals, (shown or 0) - entry.cents, is_day_sure, age_ms)
            )
            for is_day_sure, age_ms in product(
                _may_be_sure(box, entry), _possible_ages_ms(box, entry)
            )
        ]
        light = turn.shown[-1].signal if turn.shown else None
        counter_invariants.a_child_gets_what_is_due(entry, light, possible)

    def _check_page(self, box: Box, made: list[DiskEntry]) -> None:
        """Check what the staff's page shows of new entries by card."""
        got = {(new.epoch, new.seq): gets(new.entry) for new in made if new.entry.how == "card"}
        for news in box.watching.news(box.core.moment(box.reading())):
            if isinstance(news, Tapped) and (due := got.get((news.tap.epoch, news.tap.seq))):
                shown = page_outcomes()[news.tap.word]
                counter_invariants.a_tap_looks_and_sounds_as_is_due(due, shown)

    def _standing_meals_of_eater(self, disk: Disk, made: DiskEntry) -> list[DiskEntry]:
        """Return the standing meals of a meal's account and of its card, on this disk."""
        entry = made.entry
        own = [*disk.by_eater[entry.account or ""], *disk.by_eater[entry.card or ""]]
        undone = {id(storno.undoes) for storno in own if storno.undoes is not None}
        return [
            meal for meal in own if meal.entry.kind in invariants.MEALS and id(meal) not in undone
        ]

    def _note_sources(self, box: Box, event: object) -> None:
        """Note whether the terminal had a right time, or two sources that were wrong alike."""
        now, now_ms = box.environment.now, box.environment.mono_ms
        if box.synced and abs(box.error()) <= STEP:
            box.right_ms = now_ms
        box.disk.was_wrong |= not box.is_right()
        if isinstance(event, Request) and isinstance(event.ask, SetDay):
            box.staff_day_boot = box.reading().boot
        if not isinstance(event, Arrived) or not event.topic.endswith("/changes"):
            return
        assert isinstance(event.receipt, tuple)
        proof = event.receipt[1].proof
        if not isinstance(proof, Proof) or proof.message.nonce is None:
            return
        boot, sent_ms, _ = proof.message.nonce.rsplit("-", 2)
        reading = box.reading()
        is_late = reading.mono_ms - int(sent_ms) > ROUND_TRIP_MAX_MS
        if boot != reading.boot or is_late or proof.message.nonce not in box.hellos:
            return
        error = datetime.fromisoformat(proof.message.at) - now
        if abs(error) <= STEP:
            box.right_ms = now_ms
        elif abs(error - box.error()) <= 2 * STEP:
            box.misled_alike = True

    def _is_doubted(self, box: Box, made: DiskEntry) -> bool:
        """Return whether the terminal believes that an entry carries a wrong time."""
        query = (
            "SELECT 1 FROM wrong_time, entry e JOIN epoch ON epoch.n = e.epoch"
            " WHERE epoch.id = ? AND e.seq = ? AND e.n BETWEEN first AND last"
        )
        return box.db.sql.execute(query, (made.epoch, made.seq)).fetchone() is not None

    def _check_no(self, box: Box, made: DiskEntry, standing: list[DiskEntry]) -> None:
        """Check that a child who got no meal would get none under the right time either."""
        entry, now = made.entry, box.environment.now
        if entry.reason not in counter_invariants.REASONS_OF_TIME or self._is_misled(box, entry):
            return
        if entry.account in box.disk.damaged:
            return
        account = reads.account(box.db, entry.account) if entry.account is not None else None
        view = counter_invariants.CounterView(
            now=now,
            services=reads.services(box.db),
            policy=policy_on(reads.policies(box.db), day_of(format_instant(now), ZONE)),
            account=account,
            shown_cents=reads.balance_cents(box.db, account.id) if account else None,
        )
        counter_invariants.no_child_is_refused_because_of_a_wrong_clock(entry, view, standing)

    def _is_misled(self, box: Box, entry: Entry) -> bool:
        """Return whether every source of the terminal's time was wrong for a day, or two alike.

        Nothing within its reach tells a terminal that the time is wrong then.
        """
        if entry.clock != "synced":
            return False
        now_ms = box.environment.mono_ms
        had_right = box.right_ms is not None and now_ms - box.right_ms < DAY_MS
        return not had_right or box.misled_alike

    def _check_price(self, box: Box, entry: Entry) -> None:
        """Check a meal's price against the records that the terminal holds now."""
        query = "SELECT body FROM record WHERE kind = ? AND id = ?"
        (body,) = box.db.sql.execute(query, ("account", entry.account)).fetchone()
        prices = msgspec.json.decode(body, type=HeldAccount).prices
        row = box.db.sql.execute(query, ("card", entry.card)).fetchone()
        status = msgspec.json.decode(row[0], type=HeldCard).status if row is not None else None
        invariants.a_meal_costs_its_accounts_price(entry, prices, status)

    def _check_debt(self, box: Box, made: DiskEntry) -> None:
        """Check the bound on debt after a meal for money in a town that refuses."""
        entry, account = made.entry, made.entry.account
        if entry.how != "card" or account is None or entry.cents == 0 or entry.clock != "synced":
            return
        policy = policy_on(reads.policies(box.db), entry.day or "")
        is_exempt = policy.shortage != "refuse" or {"stale", "serve_all"} & set(entry.flags)
        if is_exempt or account in box.disk.damaged:
            return
        view = box.disk.views[account]
        shown = reads.balance_cents(box.db, account)
        assert shown is not None
        unknown = [
            meal
            for meal in self.standing_meals.get(account, {}).values()
            if meal.entry.clock == "synced"
            and (meal.epoch, meal.seq) not in box.disk.entries
            and not self._contains(view.booked, meal)
        ]
        elsewhere = [
            MealElsewhere(meal.disk, meal.entry.service, meal.entry.day) for meal in unknown
        ]
        invariants.debt_is_bounded(shown, policy.floor, elsewhere)
        elsewhere_cents = sum(meal.entry.cents for meal in unknown)
        self.bounds[account] = DebtBound(policy.floor, elsewhere_cents, view.credit_cents)
        self.bounded.add(made.hash)

    def lowest_cents(self, account: str) -> int | None:
        """Return the lowest balance that an account may have at the central, None without a bound.

        What the bound does not cover counts whole: other meals, meals priced again, and all meals
        of a service and day with more than one. A restored central may have lost stornos.
        """
        bound, books = self.bounds.get(account), self.books
        if bound is None or len(self.timelines) > 1:
            return None
        meals = books.meals[account]
        number = Counter((meal.day, meal.made.entry.service) for meal in meals)
        uncovered = [
            meal.cents
            for meal in meals
            if meal.made.hash not in self.bounded
            or meal.cents != meal.made.entry.cents
            or number[meal.day, meal.made.entry.service] > 1
        ]
        unknown_cents = bound.elsewhere_cents + books.credit(account) - bound.credit_cents
        return bound.floor_cents + unknown_cents + sum(uncovered)


def _held(box: Box, entry: Entry) -> Held:
    """Return what a terminal holds about the card of an entry."""
    card = _record(box, "card", entry.card, HeldCard)
    account = _record(box, "account", card.account, HeldAccount) if card else None
    bodies = "SELECT body FROM record WHERE kind = ?"
    policies, services = (
        [body for (body,) in box.db.sql.execute(bodies, (kind,))] for kind in ("policy", "service")
    )
    return Held(
        card,
        account,
        [msgspec.json.decode(body, type=HeldPolicy) for body in policies],
        [msgspec.json.decode(body, type=HeldService) for body in services],
    )


def _record(box: Box, kind: str, name: str | None, form: type[_Record]) -> _Record | None:
    query = "SELECT body FROM record WHERE kind = ? AND id = ?"
    row = box.db.sql.execute(query, (kind, name)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=form)


def _may_be_sure(box: Box, entry: Entry) -> set[bool]:
    """Return whether the day of an entry was confirmed; both where the staff had set a day."""
    if entry.clock == "synced":
        return {True}
    return {True, False} if box.staff_day_boot == entry.boot else {False}


def _possible_ages_ms(box: Box, entry: Entry) -> list[int | None]:
    """Return the least and the most that a terminal may take for the age of its data.

    None: it does not know the age. Within a process the contact is exact. Across processes a right
    time gives it to the hour, and a time that was ever wrong gives anything.
    """
    disk, now = box.disk, box.environment.now
    newest_ms, oldest_ms = (
        (now - at) // timedelta(milliseconds=1) if at else None
        for at in (disk.contact.possible_at, disk.contact.sure_at)
    )
    if newest_ms is None:
        return [None]
    if box.contacted:
        return [newest_ms, oldest_ms]
    if disk.was_wrong or entry.clock != "synced":
        return [0, None]
    return [max(0, newest_ms - HOUR_MS), None if oldest_ms is None else oldest_ms + HOUR_MS]
