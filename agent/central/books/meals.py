"""Meals by account, service and day, and the stornos that undo them.

A meal stands unless a storno names it by its hash.
"""

from typing import NamedTuple

from sqlalchemy import and_, cast, exists, func, not_, select
from sqlalchemy.sql.elements import ColumnElement

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import ONE, Query, contains, value
from agent.central.books.tables import INTEGER
from agent.domain.clock import Day
from agent.domain.ledger import EntryKey

MEAL_KINDS = ("meal", "unknown_meal")

MEAL = tables.entry.alias("m")
"""The entry that the conditions below are about."""
_M = MEAL.c
_STORNO = tables.entry.alias("s")
_S = _STORNO.c
_P = tables.posting.c

UNDONE: ColumnElement[bool] = exists(ONE).where(
    _S.terminal == _M.terminal,
    _S.undoes_epoch == _M.epoch,
    _S.undoes_seq == _M.seq,
    _S.undoes_hash == _M.hash,
)
"""Whether a storno names it."""
STANDS = not_(UNDONE)
IS_MEAL = _M.kind.in_(MEAL_KINDS)

_GIVEN_BACK = and_(
    _P.terminal == _M.terminal,
    _P.epoch == _M.epoch,
    _P.seq == _M.seq,
    _P.hash == _M.hash,
    _P.kind == "double_meal",
)
GIVEN_BACK = (
    select(cast(func.coalesce(func.sum(_P.cents), 0), INTEGER)).where(_GIVEN_BACK).scalar_subquery()
)
"""The sum that was given back for it as a second meal."""

LACKS_PRICE = and_(contains(_M.reason, "no_price"), IS_MEAL, _M.cents.is_not(None), STANDS)
"""Whether it stands, and is booked with 0 cents until its price is known."""

_KEY = (_M.terminal, _M.epoch, _M.seq, _M.hash)
_CHARGED = Query(
    select(
        *_KEY,
        *(_M.account, _M.service, _M.true_day, _M.cents),
        and_(STANDS, not_(exists(ONE).where(_GIVEN_BACK))),
    )
    .where(
        _M.true_day >= value("since"),
        _M.account.is_not(None),
        _M.service.is_not(None),
        IS_MEAL,
        _M.cents.is_not(None),
        not_(contains(_M.reason, "no_price")),
    )
    .order_by(_M.account, _M.true_day)
)
_SERVING = (_M.account, _M.service, _M.true_day)
_SEVERAL = Query(
    select(*_SERVING)
    .where(_M.true_day >= value("since"), _M.account.is_not(None), IS_MEAL)
    .group_by(*_SERVING)
    .having(func.count() > 1)
    .order_by(*_SERVING)
)
_WITHOUT_PRICE = Query(select(*_KEY).where(_M.account == value("account"), LACKS_PRICE))
_ACCOUNTS_WITHOUT = Query(select(_M.account).where(LACKS_PRICE).distinct().order_by(_M.account))


class Serving(NamedTuple):
    """What an account may eat once for money: one service of one day."""

    account: str
    service: str
    day: Day


class ChargedMeal(NamedTuple):
    """A booked meal with a day. `counts` is false for one that was undone or given back."""

    key: EntryKey
    account: str
    service: str
    day: Day
    cents: int
    counts: bool


def charged_since(books: Books, since: Day) -> list[ChargedMeal]:
    """Return the booked meals of a day and later that do not wait for a price."""
    return [
        ChargedMeal(EntryKey(*row[:4]), row[4], row[5], row[6], row[7], bool(row[8]))
        for row in books.all(_CHARGED, since=since)
    ]


def servings_with_several(books: Books, from_day: Day) -> list[Serving]:
    """Return the servings of a day and later that have more than one meal, standing or not."""
    return [Serving(*row) for row in books.all(_SEVERAL, since=from_day)]


def without_price(books: Books, account: str) -> list[EntryKey]:
    """Return an account's standing meals that wait for a price."""
    return [EntryKey(*row) for row in books.all(_WITHOUT_PRICE, account=account)]


def accounts_without_price(books: Books) -> list[str]:
    """Return the accounts that have such meals."""
    return [row[0] for row in books.all(_ACCOUNTS_WITHOUT)]
