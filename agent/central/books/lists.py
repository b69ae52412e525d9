"""The office's lists, read with sqlite-utils. Nothing here writes; no list has a card id."""

from typing import TypeVar

import msgspec
from msgspec import Struct, field

from agent.central.books.file import Books
from agent.central.books.meals import LACKS_PRICE, STANDS


class TerminalRow(Struct, frozen=True, kw_only=True):
    """A terminal, and how far its newest epoch is booked. `last` is its newest entry, it says."""

    id: str
    site: str | None
    epoch: str | None
    booked: int | None
    last: int | None
    hello_at: str | None
    forked: int
    waiting_order: str | None
    online: int | None
    wiped: int | None


class AccountRow(Struct, frozen=True, kw_only=True):
    """An account with its balance in cents and its standing meals.

    `without_price` of these are not charged yet: the office has not written their price.
    """

    id: str
    site: str
    group: str | None = field(name="class")
    family: str | None
    status: str
    balance_cents: int
    meals: int
    without_price: int


class IncidentRow(Struct, frozen=True, kw_only=True):
    """Something that a person should know."""

    at: str | None
    terminal: str | None
    kind: str
    detail: str


class EntryRow(Struct, frozen=True, kw_only=True):
    """An entry of a terminal. `cents` is what was booked, None while nothing is.

    `by` is the staff account that allowed it, `user` the terminal's user whose program requested
    it. `reason` says why it is flagged or set aside.
    """

    at: str | None
    terminal: str
    seq: int
    kind: str
    account: str | None
    cents: int | None
    day: str | None
    service: str | None
    how: str | None
    by: str | None
    user: str | None
    status: str
    reason: str


_Row = TypeVar("_Row", TerminalRow, AccountRow, IncidentRow, EntryRow)


def terminals(books: Books) -> list[TerminalRow]:
    """Return every terminal."""
    return _rows(
        books,
        TerminalRow,
        "SELECT t.id, t.site, c.epoch, c.seq AS booked, t.hello ->> '$.last' AS last, t.hello_at,"
        " t.forked, t.order_do AS waiting_order, t.state ->> '$.online' AS online,"
        " t.hello ->> '$.wiped' AS wiped"
        " FROM terminal t LEFT JOIN chain c ON c.terminal = t.id"
        " AND c.seen = (SELECT max(seen) FROM chain WHERE terminal = t.id) ORDER BY t.id",
    )


def accounts(books: Books) -> list[AccountRow]:
    """Return every account."""
    return _rows(
        books,
        AccountRow,
        "SELECT a.id, a.site, a.class, a.family, a.status, a.balance AS balance_cents,"
        " (SELECT count(*) FROM entry m WHERE m.account = a.id"
        f" AND m.kind IN ('meal', 'unknown_meal') AND {STANDS}) AS meals,"
        " (SELECT count(*) FROM entry m WHERE m.account = a.id"
        f" AND {LACKS_PRICE}) AS without_price"
        " FROM account a ORDER BY a.id",
    )


def entries(
    books: Books, *, newest: int, account: str | None = None, terminal: str | None = None
) -> list[EntryRow]:
    """Return the newest entries, of an account or terminal where they are named, oldest first."""
    rows = _rows(
        books,
        EntryRow,
        "SELECT coalesce(true_at, at) AS at, terminal, seq, kind, account, cents,"
        " coalesce(true_day, body ->> '$.day') AS day, service, body ->> '$.how' AS how,"
        " body ->> '$.by' AS by, body ->> '$.user' AS user, status, reason FROM entry"
        " WHERE coalesce(account = :account, :account IS NULL)"
        " AND coalesce(terminal = :terminal, :terminal IS NULL)"
        " ORDER BY 1 DESC, terminal, epoch DESC, seq DESC LIMIT :newest",
        {"account": account, "terminal": terminal, "newest": newest},
    )
    return rows[::-1]


def incidents(books: Books) -> list[IncidentRow]:
    """Return incidents, messages set aside, and entries flagged or set aside, by time."""
    return _rows(
        books,
        IncidentRow,
        "SELECT at, terminal, kind, detail FROM incident"
        " UNION ALL SELECT at, '', 'message set aside', topic || ': ' || reason FROM set_aside"
        " UNION ALL SELECT at, terminal, status, 'entry ' || seq || ': ' || reason FROM entry"
        " WHERE status <> 'applied' ORDER BY 1",
    )


def _rows(
    books: Books, form: type[_Row], query: str, values: dict[str, object] | None = None
) -> list[_Row]:
    # imported here: it takes a tenth of a second, which the other commands need not spend
    from sqlite_utils import Database as Inspection

    with books.reading():
        return [msgspec.convert(row, form) for row in Inspection(books.sql).query(query, values)]
