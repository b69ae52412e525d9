"""The records that terminals must hold, from what the office wrote: a model of the feed.

It uses nothing of the central: the office notes each action on paper, and the expected books know
the meals. A restored backup brings the paper of its time back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from tests.simulation.model import BookedMeal, ExpectedBooks

Members = dict[str, object]
NOT_COMPARED = ("p", "last_credit", "last_meal")  # a position, and what has checks of its own


class PaperCard(NamedTuple):
    """A card's account, and whether it is active, blocked or replaced."""

    account: str
    status: str


class RecordKey(NamedTuple):
    """A record's kind and id; a policy's id is its day."""

    kind: str
    id: str


@dataclass(slots=True)
class Paper:
    """What the office wrote. `accounts` and `policies` are by id and day, `services` by site."""

    sites: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Members] = field(default_factory=dict)
    cards: dict[str, PaperCard] = field(default_factory=dict)
    policies: dict[str, Members] = field(default_factory=dict)
    services: dict[str, list[Members]] = field(default_factory=dict)

    def copy(self) -> "Paper":
        return Paper(
            dict(self.sites),
            dict(self.accounts),
            dict(self.cards),
            dict(self.policies),
            dict(self.services),
        )

    def replace_card(self, old: str, new: str) -> None:
        account = self.cards[old].account
        self.cards[old], self.cards[new] = (
            PaperCard(account, "replaced"),
            PaperCard(account, "active"),
        )


def members_of(record: PolicyRecord | ServiceRecord) -> Members:
    """Return a rule as the office wrote it, without its position."""
    members: Members = msgspec.to_builtins(record)
    return {name: value for name, value in members.items() if name not in NOT_COMPARED}


def records_of(books: ExpectedBooks, paper: Paper, site: str) -> dict[RecordKey, Members]:
    """Return the records of a site, without their positions."""
    records: dict[RecordKey, Members] = {}
    for account, members in paper.accounts.items():
        if paper.sites[account] == site:
            money = {"balance": books.balance(account), "prices": _prices(books, account)}
            records[RecordKey("account", account)] = {**members, **money}
    for token, card in paper.cards.items():
        if paper.sites[card.account] == site:
            members = {"k": "card", "id": token, "account": card.account, "status": card.status}
            records[RecordKey("card", token)] = members
    for day, members in paper.policies.items():
        records[RecordKey("policy", day)] = members
    for members in paper.services[site]:
        records[RecordKey("service", str(members["id"]))] = members
    return {key: _without_defaults(members) for key, members in records.items()}


def held_records(rows: Iterable[tuple[str, str, str]]) -> dict[RecordKey, Members]:
    """Return a terminal's records, from rows of kind, id and body."""
    records = {}
    for kind, name, body in rows:
        members: Members = msgspec.json.decode(body)
        kept = {name: value for name, value in members.items() if name not in NOT_COMPARED}
        records[RecordKey(kind, name)] = _without_defaults(kept)
    return records


def last_meals(books: ExpectedBooks, account: str) -> list[Members | None]:
    """Return the newest meal of an account that stands and has a confirmed day; more in a tie."""
    standing = [
        meal
        for meal in books.meals[account]
        if meal.made.hash not in books.undone and meal.dated and meal.day is not None
    ]
    newest = max(map(_when, standing), default=None)
    return [_last_meal(meal) for meal in standing if _when(meal) == newest] or [None]


def _when(meal: BookedMeal) -> tuple[str, str]:
    return meal.day or "", meal.at or ""


def _last_meal(meal: BookedMeal) -> Members:
    service, terminal = meal.made.entry.service, meal.made.terminal
    return {"day": meal.day, "service": service, "terminal": terminal}


def _prices(books: ExpectedBooks, account: str) -> list[Members]:
    newest = {
        (service, price.from_day): price.cents
        for (owner, service), prices in books.prices.items()
        if owner == account
        for price in prices
    }
    return [
        {"from": day, "service": service, "cents": cents}
        for (service, day), cents in sorted(newest.items())
    ]


def _without_defaults(members: Members) -> Members:
    """Leave out what a record need not name."""
    defaults = {"status": "active", "category": "pupil", "prices": []}
    return {name: value for name, value in members.items() if defaults.get(name) != value}
