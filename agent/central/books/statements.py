"""What the office reads of postings: an account's statement, a year's payments, low balances."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.meals import STANDS
from agent.domain.clock import Day, Instant


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


_LINES = (
    "SELECT n, at, account, kind, channel, external, cents,"
    " sum(cents) OVER (PARTITION BY account ORDER BY n), reason FROM posting"
)


def of_account(books: Books, account: str) -> list[StatementLine]:
    """Return the movements of an account, the oldest first."""
    rows = books.rows(f"{_LINES} WHERE account = ? ORDER BY n", (account,))
    return [StatementLine(*row) for row in rows]


def of_all(books: Books) -> Iterator[StatementLine]:
    """Yield every movement, in the order of booking."""
    for row in books.sql.execute(f"{_LINES} ORDER BY n"):
        yield StatementLine(*row)


def paid(books: Books) -> list[PaidLine]:
    """Return payments and refunds, without vouchers, transfers and adjustments."""
    rows = books.rows(
        "SELECT p.account, p.cents, p.at, payment.paid_at, p.channel, p.external"
        " FROM posting p LEFT JOIN payment"
        " ON payment.channel = p.channel AND payment.external = p.external"
        " WHERE p.kind IN ('top_up', 'refund') ORDER BY p.account, p.n"
    )
    return [PaidLine(*row) for row in rows]


def meals_of_days(books: Books, first: Day, last: Day) -> list[MealCount]:
    """Return the standing meals of days, for the caterer's invoice; a second one is a meal too."""
    rows = books.rows(
        "SELECT m.true_day, coalesce(a.site, t.site), m.service, a.class, a.dish, count(*)"
        " FROM entry m LEFT JOIN account a ON a.id = m.account"
        " LEFT JOIN terminal t ON t.id = m.terminal"
        " WHERE m.kind IN ('meal', 'unknown_meal') AND m.true_day BETWEEN ? AND ?"
        f" AND {STANDS} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        (first, last),
    )
    return [MealCount(*row) for row in rows]


def below(books: Books, cents: int) -> list[FamilyBalance]:
    """Return the accounts below an amount, and all others of their families, by account.

    Of closed accounts only those that owe.
    """
    rows = books.rows(
        "WITH counted AS (SELECT * FROM account WHERE status = 'active' OR balance < 0)"
        " SELECT id, family, site, class, label, balance FROM counted WHERE balance < ?1"
        " OR family IN (SELECT family FROM counted WHERE balance < ?1) ORDER BY id",
        (cents,),
    )
    return [FamilyBalance(*row) for row in rows]
