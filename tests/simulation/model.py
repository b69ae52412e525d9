"""What is true, by a reckoning of its own: every entry any disk ever made, every payment, and what an account must hold.

Nothing here is taken from the code under test but the entries themselves. A balance is summed anew each time: payments, less
every standing meal, plus what the town gives back for a meal eaten twice. No order of arrival, no marks, no chains.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.domain.ledger import Entry


@dataclass(slots=True, eq=False)
class Made:
    """One entry as a disk made it. `undoes` is the meal that a storno undoes, on that very disk."""

    disk: int
    terminal: str
    epoch: str
    seq: int
    entry: Entry
    undoes: "Made | None"

    @property
    def hash(self) -> str:
        return self.entry.hash


class Seen(NamedTuple):
    """What the central had booked at a moment: everything up to `serial` of one of its lives."""

    life: int
    serial: int


class View(NamedTuple):
    """An account as a terminal was told of it last."""

    balance_cents: int
    seen: Seen


@dataclass(slots=True)
class Disk:
    """What a terminal's file holds. An older image put back, or a copy, is another disk.

    `of_account` has meals of unknown cards under the card. `tainted` are accounts damaged on purpose.
    """

    number: int
    line: dict[tuple[str, int], Made] = field(default_factory=dict)
    of_account: dict[str, list[Made]] = field(default_factory=lambda: defaultdict(list))
    views: dict[str, View] = field(default_factory=dict)
    greens: list[Made] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    tainted: set[str] = field(default_factory=set)
    newest_at: str = ""
    is_ahead: bool = False  # the newest entry was made ahead of time
    tail: tuple[int, int] = (0, 0)
    place: tuple[str | None, int, int] = (None, 0, 0)  # generation, resync, position
    mark: tuple[int, int] = (1, 0)  # epoch number, seq
    lives: set[str] = field(default_factory=set)  # generations of the central that it has followed
    resync_to: int | None = (
        None  # where the central stood when it began to tell everything, while it does
    )
    epochs: int = 1
    generations: int = 0  # lives of the central that followed one it knew

    def copy(self, number: int) -> "Disk":
        own = defaultdict(list, {account: list(made) for account, made in self.of_account.items()})
        return Disk(
            number,
            dict(self.line),
            own,
            dict(self.views),
            list(self.greens),
            set(self.undone),
            set(self.tainted),
            self.newest_at,
            self.is_ahead,
            self.tail,
            self.place,
            self.mark,
            set(self.lives),
            self.resync_to,
            self.epochs,
            self.generations,
        )


class Rule(NamedTuple):
    from_day: str
    gives_back: bool


@dataclass(slots=True)
class Facts:
    """What the office knows on paper: it survives the central's disk. Prices are (account, service) -> [(from day, cents)]."""

    zone: ZoneInfo
    prices: dict[tuple[str, str], list[tuple[str, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    rules: list[Rule] = field(default_factory=list)

    def price(self, account: str, service: str, day: str) -> int:
        valid = [
            (since, n) for n, (since, _) in enumerate(self.prices[account, service]) if since <= day
        ]
        return self.prices[account, service][max(valid)[1]][1] if valid else 0

    def gives_back(self, day: str) -> bool:
        valid = [(rule.from_day, n) for n, rule in enumerate(self.rules) if rule.from_day <= day]
        return self.rules[max(valid)[1]].gives_back if valid else True


@dataclass(slots=True)
class Eaten:
    """A booked meal: whose, for how much, and when as far as anybody knows."""

    made: Made
    cents: int
    at: str | None
    day: str | None
    owner: str | None = None  # of a card that was unknown: who pays


class Books:
    """What the central must hold, from the entries it has and the payments it was told of."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.serial = 0
        self.booked: dict[str, int] = {}
        self.undone: set[str] = set()
        self.paid: dict[str, int] = defaultdict(int)
        self.payments: set[str] = set()
        self.cards: dict[str, str] = {}
        self.meals: dict[str, list[Eaten]] = defaultdict(list)
        self.nobodys: dict[str, list[Eaten]] = defaultdict(list)
        self.unset: dict[tuple[str, str], list[Eaten]] = defaultdict(list)

    def copy(self) -> "Books":
        """Return books as a backup has them: meals are shared values no more."""
        twin = Books(self.facts)
        twin.serial, twin.booked, twin.undone = self.serial, dict(self.booked), set(self.undone)
        twin.paid, twin.payments, twin.cards = (
            defaultdict(int, self.paid),
            set(self.payments),
            dict(self.cards),
        )
        anew = {
            id(meal): Eaten(meal.made, meal.cents, meal.at, meal.day, meal.owner)
            for meals in self._all()
            for meal in meals
        }
        for mine, its in (
            (self.meals, twin.meals),
            (self.nobodys, twin.nobodys),
            (self.unset, twin.unset),
        ):
            for name, meals in mine.items():
                its[name] = [anew[id(meal)] for meal in meals]  # type: ignore[index]
        return twin

    def book(self, made: Made) -> None:
        """Take in an entry that the central has now."""
        self.serial += 1
        self.booked[made.hash] = self.serial
        entry = made.entry
        unset = entry.clock == "unset"
        if entry.kind in ("meal", "unknown_meal"):
            meal = Eaten(
                made, entry.cents, None if unset else entry.at, None if unset else entry.day
            )
            if unset:
                self.unset[made.terminal, entry.boot].append(meal)
            if entry.kind == "meal":
                assert entry.account is not None
                self.meals[entry.account].append(meal)
            else:
                assert entry.card is not None
                self.nobodys[entry.card].append(meal)
                if entry.card in self.cards:
                    self.find(entry.card, self.cards[entry.card])
        elif entry.kind == "storno" and made.undoes is not None:
            self.undone.add(made.undoes.hash)
        if not unset:
            self._correct(made)

    def find(self, card: str, account: str) -> None:
        """A card is this account's: it pays for what the card has eaten as nobody's."""
        self.cards[card] = account
        for meal in self.nobodys.pop(card, []):
            entry = meal.made.entry
            assert entry.service is not None and entry.day is not None
            meal.owner = account
            meal.cents = -self.facts.price(account, entry.service, meal.day or entry.day)
            self.meals[account].append(meal)

    def pay(self, account: str, cents: int, payment: str) -> None:
        if payment not in self.payments:
            self.payments.add(payment)
            self.paid[account] += cents

    def balance(self, account: str) -> int:
        """Return the cents an account must hold: paid, less what stands, plus what is given back."""
        total = self.paid[account]
        served: dict[tuple[str, str], list[tuple[str, str, int, str, int]]] = defaultdict(list)
        for meal in self.meals[account]:
            if meal.made.hash in self.undone:
                continue
            total += meal.cents
            if meal.at is not None and meal.day is not None and meal.made.entry.service is not None:
                served[meal.day, meal.made.entry.service].append(
                    (meal.at, meal.made.terminal, meal.made.seq, meal.made.hash, meal.cents)
                )
        for (day, _), meals in served.items():
            if len(meals) > 1 and self.facts.gives_back(day):
                total -= sum(cents for *_, cents in sorted(meals)[1:])
        return total

    def _correct(self, made: Made) -> None:
        """A clock that is right now tells what it was before, within its boot."""
        waiting = self.unset.pop((made.terminal, made.entry.boot), [])
        now = datetime.fromisoformat(made.entry.at)
        for meal in waiting:
            at = now - timedelta(milliseconds=made.entry.mono_ms - meal.made.entry.mono_ms)
            meal.at = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
            late = meal.made.entry.how == "late"
            meal.day = (
                meal.made.entry.day if late else at.astimezone(self.facts.zone).strftime("%Y-%m-%d")
            )
            if (
                meal.owner is not None
                and meal.made.entry.service is not None
                and meal.day is not None
            ):
                meal.cents = -self.facts.price(meal.owner, meal.made.entry.service, meal.day)

    def _all(self) -> list[list[Eaten]]:
        return [*self.meals.values(), *self.nobodys.values(), *self.unset.values()]
