"""An independent model: every entry of every disk, every payment, and each account's balance.

It uses nothing of the code under test but the entries themselves. A balance is computed from the
beginning each time: payments, less each meal that stands, plus what the town gives back for a
second meal. The order of arrival, chain marks and hashes play no part.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.domain.ledger import Entry, Place
from tests.simulation.payment_paper import PaymentPaper


@dataclass(slots=True, eq=False)
class DiskEntry:
    """An entry as a disk has it. `undoes` is the meal on that disk that a storno undoes."""

    disk: int
    terminal: str
    epoch: str
    seq: int
    entry: Entry
    undoes: "DiskEntry | None"
    true_at: datetime

    @property
    def hash(self) -> str:
        return self.entry.hash


class BookedUpTo(NamedTuple):
    """What the central had booked at a moment: the first `entries` entries of a timeline.

    A restored backup begins a new timeline.
    """

    timeline: int
    entries: int


class View(NamedTuple):
    """An account as its terminal received it last, and the credit in its balance."""

    balance_cents: int
    booked: BookedUpTo
    credit_cents: int


class FeedPosition(NamedTuple):
    """How far a terminal has followed the central."""

    generation: str | None = None
    resync: int = 0
    position: int = 0


class Contact(NamedTuple):
    """When a terminal last took, for sure and possibly, a message of the central: true times."""

    sure_at: datetime | None = None
    possible_at: datetime | None = None


AHEAD_MAX = timedelta(hours=1)
REDATE = timedelta(minutes=1)
NO_ENTRY = Place(0, 0)
NOTHING_ACKED = Place(1, 0)
NOT_FED = FeedPosition()
NO_CONTACT = Contact()


@dataclass(slots=True)
class Disk:
    """What a terminal's file holds. A restored image, or a copy, is another disk.

    `by_eater` has meals of unknown cards under the card. `damaged` are accounts whose record the
    simulator has damaged.
    """

    number: int
    entries: dict[tuple[str, int], DiskEntry] = field(default_factory=dict)
    by_eater: dict[str, list[DiskEntry]] = field(default_factory=lambda: defaultdict(list))
    views: dict[str, View] = field(default_factory=dict)
    green_meals: list[DiskEntry] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    end: Place = NO_ENTRY
    acked: Place = NOTHING_ACKED
    feed: FeedPosition = NOT_FED
    contact: Contact = NO_CONTACT
    was_damaged: bool = False
    was_wiped: bool = False
    was_wrong: bool = False  # a clock was ever wrong, or without a time server
    # While everything is sent again: the central's position when that began.
    resync_to: int | None = None
    epochs: int = 1
    # Generations that the terminal has followed, and how many of them replaced another.
    generations: set[str] = field(default_factory=set)
    replaced_generations: int = 0

    def copy(self, number: int) -> "Disk":
        entries = {eater: list(made) for eater, made in self.by_eater.items()}
        return Disk(
            number,
            entries=dict(self.entries),
            by_eater=defaultdict(list, entries),
            views=dict(self.views),
            green_meals=list(self.green_meals),
            undone=set(self.undone),
            damaged=set(self.damaged),
            end=self.end,
            acked=self.acked,
            feed=self.feed,
            contact=self.contact,
            was_damaged=self.was_damaged,
            was_wiped=self.was_wiped,
            was_wrong=self.was_wrong,
            resync_to=self.resync_to,
            epochs=self.epochs,
            generations=set(self.generations),
            replaced_generations=self.replaced_generations,
        )


class Rule(NamedTuple):
    """Whether the town gives back second meals, from a day on."""

    from_day: str
    gives_back: bool


class DatedPrice(NamedTuple):
    from_day: str
    cents: int


@dataclass(slots=True)
class OfficeFacts:
    """What the office has on paper. It survives the loss of the central's disk."""

    zone: ZoneInfo
    rules: list[Rule] = field(default_factory=list)

    def gives_back(self, day: str) -> bool:
        valid = [(rule.from_day, n) for n, rule in enumerate(self.rules) if rule.from_day <= day]
        return self.rules[max(valid)[1]].gives_back if valid else True


@dataclass(slots=True)
class BookedMeal:
    """A booked meal: its price, and its time as far as it is known.

    `owner` pays for a meal of a card that was unknown when it was served. `dated`: its time was
    confirmed, by itself or by another entry of its boot. `waits`: its price is not known yet.
    """

    made: DiskEntry
    cents: int
    at: str | None
    day: str | None
    owner: str | None = None
    dated: bool = False
    waits: bool = False
    priced_day: str | None = None


class BootTime(NamedTuple):
    """The newest confirmed time of a boot."""

    at: datetime
    mono_ms: int

    def at_ms(self, mono_ms: int) -> datetime:
        return self.at + timedelta(milliseconds=mono_ms - self.mono_ms)


class ExpectedBooks:
    """What the central must hold, given the entries and payments that it has received.

    `meals` are by account, `unassigned` by unknown card. `by_boot` are all meals by (terminal,
    boot), and `times` the newest confirmed time of each boot. `prices` are all prices set so far,
    by (account, service); of one day the last one counts.
    """

    def __init__(self, facts: OfficeFacts) -> None:
        self.facts = facts
        self.count = 0
        self.booked: dict[str, int] = {}
        self.undone: set[str] = set()
        self.paid: dict[str, int] = defaultdict(int)
        self.payments: set[str] = set()
        self.reported = PaymentPaper()
        self.cards: dict[str, str] = {}
        self.meals: dict[str, list[BookedMeal]] = defaultdict(list)
        self.unassigned: dict[str, list[BookedMeal]] = defaultdict(list)
        self.by_boot: dict[tuple[str, str], list[BookedMeal]] = defaultdict(list)
        self.times: dict[tuple[str, str], BootTime] = {}
        self.prices: dict[tuple[str, str], list[DatedPrice]] = defaultdict(list)

    def copy(self) -> "ExpectedBooks":
        """Return the books as a backup has them. They share no meal with these."""
        twin = ExpectedBooks(self.facts)
        twin.count, twin.booked, twin.undone = self.count, dict(self.booked), set(self.undone)
        twin.paid, twin.payments = defaultdict(int, self.paid), set(self.payments)
        twin.reported = self.reported.copy()
        twin.cards, twin.times = dict(self.cards), dict(self.times)
        for key, prices in self.prices.items():
            twin.prices[key] = list(prices)
        copies = {id(meal): replace(meal) for meals in self._all() for meal in meals}
        for mine, its in (
            (self.meals, twin.meals),
            (self.unassigned, twin.unassigned),
            (self.by_boot, twin.by_boot),
        ):
            for name, meals in mine.items():
                its[name] = [copies[id(meal)] for meal in meals]  # type: ignore[index]
        return twin

    def book(self, made: DiskEntry, received_at: str) -> None:
        """Add an entry that the central has booked."""
        self.count += 1
        self.booked[made.hash] = self.count
        entry = made.entry
        is_early = is_ahead(entry.at, received_at)
        is_confirmed = entry.clock == "synced" and not is_early
        meal = None
        if entry.kind in ("meal", "unknown_meal"):
            is_unknown = entry.clock == "unset" or is_early
            at, day = (None, None) if is_unknown else (entry.at, entry.day)
            meal = BookedMeal(made, entry.cents, at, day, dated=is_confirmed)
            self._add_meal(made, meal)
            self._price_again(meal)
        elif entry.kind == "storno" and made.undoes is not None:
            self.undone.add(made.undoes.hash)
        known = self.times.get((made.terminal, entry.boot))
        is_newest = known is None or entry.mono_ms >= known.mono_ms
        if is_confirmed and is_newest:
            self.confirm((made.terminal, entry.boot), entry.at, entry.mono_ms, received_at)
        elif (
            meal is not None
            and known is not None
            and (entry.clock == "unset" or entry.mono_ms < known.mono_ms)
        ):
            self._date(meal, known)

    def confirm(self, boot: tuple[str, str], at: str, mono_ms: int, received_at: str) -> None:
        """Take a confirmed time of a boot: it dates the boot's other meals."""
        known, new = self.times.get(boot), BootTime(_instant(at), mono_ms)
        self.times[boot] = new
        differs = known is not None and abs(known.at_ms(mono_ms) - new.at) > REDATE
        if known is not None and not differs:
            for meal in self.by_boot[boot]:
                if not meal.dated and meal.made.entry.mono_ms <= mono_ms:
                    self._date(meal, new)
            return
        for meal in self.by_boot[boot]:
            self._date(meal, new)
        latest = new.at + AHEAD_MAX
        for (terminal, other), meals in self.by_boot.items():
            if terminal == boot[0] and other != boot[1]:
                for meal in meals:
                    self._judge_again(meal, min(latest, _instant(received_at) + AHEAD_MAX), latest)

    def _judge_again(self, meal: BookedMeal, latest_own: datetime, latest: datetime) -> None:
        """Give a meal of another boot its own time, or none if it would not have come yet."""
        entry = meal.made.entry
        if meal.at is None and entry.clock == "unset":
            return
        if meal.at is not None and _instant(meal.at) <= latest:
            return
        is_possible = entry.clock != "unset" and _instant(entry.at) <= latest_own
        at = entry.at if is_possible else None
        if at == meal.at:
            return
        meal.at, meal.day = (entry.at, entry.day) if is_possible else (None, None)
        meal.dated = is_possible and entry.clock == "synced"
        self._price_again(meal)

    def _add_meal(self, made: DiskEntry, meal: BookedMeal) -> None:
        entry = made.entry
        self.by_boot[made.terminal, entry.boot].append(meal)
        if entry.kind == "meal":
            assert entry.account is not None
            self.meals[entry.account].append(meal)
            return
        assert entry.card is not None
        self.unassigned[entry.card].append(meal)
        if entry.card in self.cards:
            self.assign_card(entry.card, self.cards[entry.card])

    def assign_card(self, card: str, account: str) -> None:
        """Give a card to an account, which then pays for the card's unassigned meals."""
        self.cards[card] = account
        for meal in self.unassigned.pop(card, []):
            entry = meal.made.entry
            assert entry.service is not None and entry.day is not None
            meal.owner = account
            self._price_again(meal)
            self.meals[account].append(meal)

    def set_price(self, account: str, service: str, price: DatedPrice) -> None:
        """Take a price: it charges the meals that waited for it, and no other."""
        self.prices[account, service].append(price)
        for meal in self.meals[account]:
            if meal.waits:
                self._price_again(meal)

    def _price(self, account: str, service: str, day: str) -> int | None:
        prices = self.prices[account, service]
        valid = [(price.from_day, n) for n, price in enumerate(prices) if price.from_day <= day]
        return prices[max(valid)[1]].cents if valid else None

    def pay(self, account: str, cents: int, payment: str) -> None:
        if payment not in self.payments:
            self.payments.add(payment)
            self.paid[account] += cents

    def credit(self, account: str) -> int:
        """Return the payments of an account that were accepted, less what was taken back."""
        return self.paid[account] + self.reported.credit[account]

    def balance(self, account: str) -> int:
        """Return an account's cents: payments, less standing meals, plus what is given back."""
        total = self.credit(account)
        served: dict[tuple[str, str], list[BookedMeal]] = defaultdict(list)
        for meal in self.meals[account]:
            if meal.made.hash in self.undone:
                continue
            total += meal.cents
            service = meal.made.entry.service
            if meal.at is not None and meal.day is not None and service is not None:
                served[meal.day, service].append(meal)
        for (day, _), meals in served.items():
            if len(meals) > 1 and self.facts.gives_back(day):
                total -= sum(meal.cents for meal in sorted(meals, key=_order)[1:])
        return total

    def _date(self, meal: BookedMeal, time: BootTime) -> None:
        """Compute a meal's time from its boot's, and its price of the right day."""
        entry = meal.made.entry
        at = time.at_ms(entry.mono_ms)
        if meal.at is not None and abs(_instant(meal.at) - at) <= REDATE:
            if meal.dated:
                return
            at = _instant(meal.at)
        meal.dated = True
        meal.at = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        local = at.astimezone(self.facts.zone).strftime("%Y-%m-%d")
        meal.day = entry.day if entry.how == "late" else local
        self._price_again(meal)

    def _price_again(self, meal: BookedMeal) -> None:
        entry = meal.made.entry
        day = meal.day or entry.day
        account = meal.owner or entry.account
        if entry.service is None or day is None or account is None:
            return
        if meal.made.hash in self.undone:
            return
        if day == meal.priced_day and not meal.waits:
            return  # a later price of that day charges no meal again
        meal.priced_day = day
        price = self._price(account, entry.service, day)
        is_priced_here = entry.kind == "unknown_meal" or "no_price" in entry.flags
        meal.waits = is_priced_here and price is None
        if is_priced_here:
            meal.cents = -(price or 0)
        else:
            is_same = day == entry.day or price is None
            meal.cents = entry.cents if is_same else -(price or 0)

    def _all(self) -> list[list[BookedMeal]]:
        return [*self.meals.values(), *self.unassigned.values(), *self.by_boot.values()]


def is_ahead(at: str, received_at: str) -> bool:
    """Return whether a time has not come yet where it is received."""
    return _instant(at) > _instant(received_at) + AHEAD_MAX


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


class _Order(NamedTuple):
    """Meals of one service and day in this order: the first one is paid."""

    at: str
    terminal: str
    seq: int
    hash: str


def _order(meal: BookedMeal) -> _Order:
    assert meal.at is not None
    return _Order(meal.at, meal.made.terminal, meal.made.seq, meal.made.hash)
