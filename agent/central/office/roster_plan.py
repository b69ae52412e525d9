"""What a roster would change, before it changes it. Pure: compares lines with the books' standing.

A plan names every new account, every change field by field, and what a person must allow: cards
that move to another account, accounts that differ only by zeros, prices changed for days past.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.cards import Card
from agent.central.office.roster import Complaints, Line
from agent.central.office.roster_text import shown
from agent.domain.canteen import PRICES_MAX, Price, price_on
from agent.domain.clock import Day
from agent.domain.money import format_euro
from agent.errors import AgentError
from agent.spelling import did_you_mean

MOVE_CARDS = "move-cards"
LEADING_ZEROS = "leading-zeros"
PAST_PRICES = "past-prices"

# a column of the file -> the field of an account
FIELDS = {
    "site": "site",
    "category": "category",
    "status": "status",
    "class": "group",
    "label": "label",
    "dish": "dish",
    "family": "family",
}
NAMES_LISTED_MAX = 10
"""Sites in an error: a city has hundreds, and the error may have two hundred lines."""
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the books have of a roster's accounts and cards, and of the cards' present accounts.

    `ids` are those of all accounts. `services` are those of each site. `version` is the file's.
    """

    version: int = field(compare=False)

    accounts: Mapping[str, Account]
    prices: Mapping[str, Sequence[Price]]
    cards: Mapping[str, Card]
    ids: Sequence[str]
    services: Mapping[str, Sequence[str]]


class Change(Struct, frozen=True, kw_only=True):
    """One field of a known account, before and after. A price's field is `lunch 2026-09-01`."""

    account: str
    place: str
    field: str
    before: str | None
    after: str | None


class CardMove(Struct, frozen=True, kw_only=True):
    """A card that moves. `card` is the beginning of its token."""

    card: str
    place: str
    before: str
    after: str


class Likeness(Struct, frozen=True, kw_only=True):
    """A new account that differs from another one only by zeros."""

    account: str
    place: str
    like: str


@dataclass(slots=True)
class Plan:
    """What an import would write, and what of it people should look at.

    `changed` are known accounts as they will be, without those that only get a card. `changes` has
    those too. `without_price` are active accounts for whose meals no price is known today.
    """

    read: int
    new: list[Account] = field(default_factory=list)
    changed: list[Account] = field(default_factory=list)
    prices: list[AccountPrice] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    card_moves: list[CardMove] = field(default_factory=list)
    likenesses: list[Likeness] = field(default_factory=list)
    past_prices: list[Change] = field(default_factory=list)
    without_price: list[str] = field(default_factory=list)

    @property
    def changed_count(self) -> int:
        """Return how many known accounts change."""
        return len({change.account for change in self.changes})

    def risks(self) -> dict[str, str]:
        """Return what must be allowed, each with its sentence."""
        risks = {
            MOVE_CARDS: (
                len(self.card_moves),
                "cards would move to another account: {}. If that is right, add --move-cards",
            ),
            LEADING_ZEROS: (
                len(self.likenesses),
                "new accounts differ from another account only by zeros, as Excel drops them: {}."
                f" If they are other children, add --allow {LEADING_ZEROS}",
            ),
            PAST_PRICES: (
                len(self.past_prices),
                "prices change for days that are past, and meals of those days keep theirs: {}."
                f" If that is right, add --allow {PAST_PRICES}",
            ),
        }
        return {name: why.format(count) for name, (count, why) in risks.items() if count}


def make_plan(
    lines: Sequence[Line], standing: Standing, today: Day, complaints: Complaints
) -> Plan:
    """Return what the lines would change; add to `complaints` the lines that cannot be."""
    planner = _Planner(standing, today, Plan(len(lines)))
    for line in lines:
        try:
            planner.take(line)
        except AgentError as error:
            complaints.add(line.place, error)
    return planner.plan


class _Planner:
    """Compares one line after the other, and fills the plan."""

    def __init__(self, standing: Standing, today: Day, plan: Plan) -> None:
        self.plan = plan
        self._standing = standing
        self._today = today
        self._by_number = {_ZEROS.sub("", account): account for account in standing.ids}

    def take(self, line: Line) -> None:
        """Add a line to the plan. Raise `AgentError` if the books cannot have it."""
        before = self._standing.accounts.get(line.account)
        account = _new_account(line) if before is None else _changed_account(before, line)
        if before is None or before.site != account.site:
            self._require_site(account.site)
        held = self._standing.prices.get(line.account, ())
        new = [price for price in line.prices or () if price not in held]
        if line.prices == () and held:
            raise AgentError("prices says none, but the account has prices; write them")
        self._require_services(account.site, new)
        after = {(price.service, price.from_day): price for price in (*held, *new)}
        if len(after) > PRICES_MAX:
            raise AgentError(f"the account would have more than {PRICES_MAX} prices")
        self._take_cards(line)
        if before is None:
            self._compare_number(line)
            self.plan.new.append(account)
        elif account != before or new:
            self.plan.changed.append(account)
            self._note_fields(line, before, account)
            self._note_prices(line, held, new)
        self.plan.prices += [AccountPrice(line.account, price) for price in new]
        if (account != before or new) and self._lacks_price(account, after.values()):
            self.plan.without_price.append(line.account)

    def _require_site(self, site: str) -> None:
        sites = self._standing.services
        if site not in sites:
            raise AgentError(
                f"site {shown(site)} does not exist{did_you_mean(site, sites)}"
                f"{_listed('sites are', sorted(sites))};"
                " a site is made with: canteen-central service"
            )

    def _require_services(self, site: str, prices: Sequence[Price]) -> None:
        services = self._standing.services.get(site, ())
        for service in sorted({price.service for price in prices} - set(services)):
            raise AgentError(
                f"site {shown(site)} has no service {shown(service)}"
                f"{did_you_mean(service, services)}{_listed('its services are', services)};"
                " a service is made with: canteen-central service"
            )

    def _compare_number(self, line: Line) -> None:
        number = _ZEROS.sub("", line.account)
        like = self._by_number.setdefault(number, line.account)
        if like != line.account:
            likeness = Likeness(account=line.account, place=line.place, like=like)
            self.plan.likenesses.append(likeness)

    def _take_cards(self, line: Line) -> None:
        for token in line.tokens:
            known = self._standing.cards.get(token)
            if known is not None and known.account == line.account:
                continue  # a blocked card stays blocked
            if known is not None and known.status != "active":
                raise AgentError(
                    f"a card is {known.status} and belonged to account {known.account};"
                    " give this account another card"
                )
            self.plan.cards.append(Card(token, line.account, "active"))
            name = f"{token[:8]}…"
            if line.account in self._standing.accounts:
                self.plan.changes.append(_change(line, "card", None, name))
            if known is not None:
                move = CardMove(
                    card=name, place=line.place, before=known.account, after=line.account
                )
                self.plan.card_moves.append(move)

    def _note_fields(self, line: Line, before: Account, after: Account) -> None:
        for column, name in FIELDS.items():
            old, new = getattr(before, name), getattr(after, name)
            if old != new:
                self.plan.changes.append(_change(line, column, old, new))

    def _note_prices(self, line: Line, held: Sequence[Price], new: Sequence[Price]) -> None:
        cents = {(price.service, price.from_day): price.cents for price in held}
        for price in new:
            before = cents.get((price.service, price.from_day))
            old = None if before is None else format_euro(before)
            name = f"{price.service} {price.from_day}"
            change = _change(line, name, old, format_euro(price.cents))
            self.plan.changes.append(change)
            present = price_on(held, price.service, price.from_day)
            if price.from_day < self._today and present not in (None, price.cents):
                self.plan.past_prices.append(change)

    def _lacks_price(self, account: Account, prices: Iterable[Price]) -> bool:
        services = self._standing.services.get(account.site, ())
        return account.status == "active" and not any(
            price.service in services and price.from_day <= self._today for price in prices
        )


def _listed(words: str, names: Sequence[str]) -> str:
    """Return the first names as a part of a sentence, nothing if there are none."""
    more = ", …" * (len(names) > NAMES_LISTED_MAX)
    return f"; {words} {', '.join(names[:NAMES_LISTED_MAX])}{more}" if names else ""


def _new_account(line: Line) -> Account:
    missing = [name for name in ("site",) if name not in line.given]
    missing += ["prices"] * (line.prices is None)
    if missing:
        raise AgentError(
            f"this account is new, but the file has no column {' and no '.join(missing)}"
        )
    return Account(**{"id": line.account, "category": "pupil", "status": "active", **_given(line)})


def _changed_account(before: Account, line: Line) -> Account:
    return before._replace(**_given(line))


def _given(line: Line) -> dict[str, Any]:
    return {FIELDS[column]: value for column, value in line.given.items()}


def _change(line: Line, name: str, before: str | None, after: str | None) -> Change:
    return Change(account=line.account, place=line.place, field=name, before=before, after=after)
