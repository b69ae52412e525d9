"""What the office reads of postings: an account's statement, a year's payments, low balances."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import and_, cast, func, or_, select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.meals import IS_MEAL, MEAL, STANDS
from agent.central.books.query import Query, value
from agent.central.books.tables import INTEGER
from agent.domain.clock import Day, Instant

_A, _P, _T = tables.account.c, tables.posting.c, tables.terminal.c
_PAYMENT, _MEAL = tables.payment.c, MEAL.c

_LINES = select(
    *(_P.n, _P.at, _P.account, _P.kind, _P.channel, _P.external, _P.cents),
    cast(func.sum(_P.cents).over(partition_by=_P.account, order_by=_P.n), INTEGER),
    _P.reason,
).order_by(_P.n)
_OF_ALL = Query(_LINES)
_OF_ACCOUNT = Query(_LINES.where(_P.account == value("account")))
_PAID = Query(
    select(_P.account, _P.cents, _P.at, _PAYMENT.paid_at, _P.channel, _P.external)
    .select_from(tables.posting)
    .outerjoin(
        tables.payment,
        and_(_PAYMENT.channel == _P.channel, _PAYMENT.external == _P.external),
    )
    .where(_P.kind.in_(("top_up", "refund")))
    .order_by(_P.account, _P.n)
)
_SITE = func.coalesce(_A.site, _T.site)
_GROUP = (_MEAL.true_day, _SITE, _MEAL.service, _A["class"], _A.dish)
_MEALS_OF_DAYS = Query(
    select(*_GROUP, func.count())
    .select_from(MEAL)
    .outerjoin(tables.account, _A.id == _MEAL.account)
    .outerjoin(tables.terminal, _T.id == _MEAL.terminal)
    .where(IS_MEAL, _MEAL.true_day >= value("first"), _MEAL.true_day <= value("last"), STANDS)
    .group_by(*_GROUP)
    .order_by(*(column.nulls_first() for column in _GROUP))
)
_COUNTED = select(tables.account).where(or_(_A.status == "active", _A.balance < 0)).cte("counted")
_C, _LOW = _COUNTED.c, _COUNTED.alias("low").c
_BELOW = Query(
    select(_C.id, _C.family, _C.site, _C["class"], _C.label, _C.balance)
    .where(
        or_(
            _C.balance < value("cents"),
            _C.family.in_(select(_LOW.family).where(_LOW.balance < value("cents"))),
        )
    )
    .order_by(_C.id)
)


class StatementLine(NamedTuple):
    """A movement of an account and the balance after it."""

    n: int
    at: Instant
    account: str
    kind: str
    channel: str | None
    external: str | None
    cents: int
    balance_cents: int
    reason: str


class PaidLine(NamedTuple):
    """A payment or a refund of an account. `paid_at` is as the channel states it."""

    account: str
    cents: int
    at: Instant
    paid_at: str | None
    channel: str | None
    external: str | None


class MealCount(NamedTuple):
    """The meals of a day at a site by service, class and dish; of unknown cards without class."""

    day: Day
    site: str | None
    service: str | None
    group: str | None
    dish: str | None
    meals: int


class FamilyBalance(NamedTuple):
    """An account of a family with a low balance, with what a letter needs."""

    account: str
    family: str | None
    site: str
    group: str | None
    label: str | None
    balance_cents: int


def of_account(books: Books, account: str) -> list[StatementLine]:
    """Return the movements of an account, the oldest first."""
    return [StatementLine(*row) for row in books.all(_OF_ACCOUNT, account=account)]


def of_all(books: Books) -> Iterator[StatementLine]:
    """Yield every movement, in the order of booking."""
    for row in books.each(_OF_ALL):
        yield StatementLine(*row)


def paid(books: Books) -> list[PaidLine]:
    """Return payments and refunds, without vouchers, transfers and adjustments."""
    return [PaidLine(*row) for row in books.all(_PAID)]


def meals_of_days(books: Books, first: Day, last: Day) -> list[MealCount]:
    """Return the standing meals of days, for the caterer's invoice; a second one is a meal too."""
    return [MealCount(*row) for row in books.all(_MEALS_OF_DAYS, first=first, last=last)]


def below(books: Books, cents: int) -> list[FamilyBalance]:
    """Return the accounts below an amount, and all others of their families, by account.

    Of closed accounts only those that owe.
    """
    return [FamilyBalance(*row) for row in books.all(_BELOW, cents=cents)]
