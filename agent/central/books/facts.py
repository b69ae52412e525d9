"""Facts: what a rule must know of the books, read in a few queries for all of a batch.

A rule computes on facts and reaches no database (`page.py`). Where it needs a fact that was not
read, it raises `NotRead` with all that it lacks there. `agent.central.paging` reads that, and calls
the rule again from the start.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, cast, or_, select

from agent.central.books import accounts, boots, cards, rules
from agent.central.books.accounts import Account
from agent.central.books.boots import Boot, BootTime
from agent.central.books.cards import Card
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.books.meals import GIVEN_BACK, IS_MEAL, MEAL, UNDONE, Serving
from agent.central.books.query import Query, part, rows_of, tuples, unindexed, value
from agent.central.books.tables import INTEGER
from agent.domain.canteen import Price
from agent.domain.clock import Day, Instant
from agent.domain.ledger import EntryKey


class Kept(NamedTuple):
    """A booked entry and what stands beside it.

    `is_undone`: a storno names it. `given_back_cents`: the sum of its `double_meal` postings.
    """

    entry: BookedEntry
    is_undone: bool
    given_back_cents: int


class Later(NamedTuple):
    """Entries of a terminal's other boots that are later than a time, or have none of their own."""

    boot: Boot
    at: Instant


@dataclass(slots=True)
class Wanted:
    """Names of facts: accounts, cards by token, accounts whose prices, and so on."""

    accounts: set[str] = field(default_factory=set)
    cards: set[str] = field(default_factory=set)
    priced: set[str] = field(default_factory=set)
    boots: set[Boot] = field(default_factory=set)
    entries: set[EntryKey] = field(default_factory=set)
    servings: set[Serving] = field(default_factory=set)
    undated: set[Boot] = field(default_factory=set)
    whole_boots: set[Boot] = field(default_factory=set)
    later: set[Later] = field(default_factory=set)

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


class NotRead(Exception):
    """A rule needs facts that were not read."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.wanted = wanted


@dataclass(slots=True)
class Facts:
    """What was read. Each name that was wanted is a key; None: the books do not have it.

    `rules` are the rules for double meals with the day from which each holds, the newest first.
    """

    accounts: dict[str, Account | None] = field(default_factory=dict)
    cards: dict[str, Card | None] = field(default_factory=dict)
    priced: dict[str, list[Price]] = field(default_factory=dict)
    boots: dict[Boot, BootTime | None] = field(default_factory=dict)
    entries: dict[EntryKey, Kept | None] = field(default_factory=dict)
    servings: dict[Serving, list[EntryKey]] = field(default_factory=dict)
    undated: dict[Boot, list[EntryKey]] = field(default_factory=dict)
    whole_boots: dict[Boot, list[EntryKey]] = field(default_factory=dict)
    later: dict[Later, list[EntryKey]] = field(default_factory=dict)
    rules: list[tuple[Day, str]] = field(default_factory=list)


def read(books: Books, facts: Facts, wanted: Wanted) -> None:
    """Add what is wanted to the facts."""
    if wanted.accounts:
        facts.accounts |= dict.fromkeys(wanted.accounts)
        facts.accounts |= accounts.find_all(books, wanted.accounts)
    if wanted.cards:
        facts.cards |= dict.fromkeys(wanted.cards)
        facts.cards |= cards.find_all(books, wanted.cards)
    if wanted.priced:
        known = accounts.prices_of(books, wanted.priced)
        facts.priced |= {account: known.get(account, []) for account in wanted.priced}
    for boot in wanted.boots:
        facts.boots[boot] = boots.find(books, boot)
    if wanted.entries:
        facts.entries |= dict.fromkeys(wanted.entries)
        _read_entries(books, facts, wanted.entries)
    if wanted.servings:
        facts.servings |= {serving: [] for serving in wanted.servings}
        _read_servings(books, facts, wanted.servings)
    _read_boots(books, facts, wanted)


def _read_entries(books: Books, facts: Facts, keys: Iterable[EntryKey]) -> None:
    list(_keep(books, facts, _BY_KEY, keys=tuples(keys)))


def _read_servings(books: Books, facts: Facts, servings: Iterable[Serving]) -> None:
    facts.rules = rules.double_meal_rules(books)
    for kept in _keep(books, facts, _BY_SERVING, servings=tuples(servings)):
        assert kept.account is not None and kept.service is not None and kept.true_day is not None
        facts.servings[Serving(kept.account, kept.service, kept.true_day)].append(kept.key)


def _read_boots(books: Books, facts: Facts, wanted: Wanted) -> None:
    for boot in wanted.undated:
        entries = _keep(books, facts, _UNDATED, **boot._asdict())
        facts.undated[boot] = [entry.key for entry in entries]
    for boot in wanted.whole_boots:
        entries = _keep(books, facts, _OF_BOOT, **boot._asdict())
        facts.whole_boots[boot] = [entry.key for entry in entries]
    for later in wanted.later:
        entries = _keep(books, facts, _LATER, **later.boot._asdict(), at=later.at)
        facts.later[later] = [entry.key for entry in entries]


def _keep(books: Books, facts: Facts, query: Query, **values: str) -> Iterator[BookedEntry]:
    """Read entries with what stands beside them."""
    for *columns, is_undone, given_back_cents in books.all(query, **values):
        entry = BookedEntry(*columns)
        facts.entries[entry.key] = Kept(entry, bool(is_undone), given_back_cents)
        yield entry


_M = MEAL.c


def _kept() -> Select[Any]:
    return select(MEAL, UNDONE, GIVEN_BACK)


def _by_key() -> Query:
    keys = rows_of("keys")
    is_key = and_(
        _M.terminal == part(keys, 0),
        _M.epoch == part(keys, 1),
        _M.seq == cast(part(keys, 2), INTEGER),
        _M.hash == part(keys, 3),
    )
    return Query(_kept().select_from(keys).join(MEAL, is_key))


def _by_serving() -> Query:
    servings = rows_of("servings")
    is_served = and_(
        _M.account == part(servings, 0),
        _M.service == part(servings, 1),
        _M.true_day == part(servings, 2),
    )
    kept = _kept().select_from(servings).join(MEAL, is_served)
    return Query(kept.where(IS_MEAL, _M.cents.is_not(None)))


_OF = _M.terminal == value("terminal")
_IS_BOOT = _M.boot == value("boot")
_BY_KEY = _by_key()
_BY_SERVING = _by_serving()
_UNDATED = Query(
    _kept().where(unindexed(_M.terminal) == value("terminal"), _IS_BOOT, _M.dated == 0)
)
_OF_BOOT = Query(_kept().where(_OF, _IS_BOOT))  # reads all of a terminal's
_LATER = Query(
    _kept().where(
        _OF,
        _M.boot != value("boot"),
        _M.at.is_not(None),
        or_(_M.true_at > value("at"), and_(_M.true_at.is_(None), _M.clock != "unset")),
    )
)
