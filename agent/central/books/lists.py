"""The office's lists. Nothing here writes; no list has a card id."""

from typing import Any

import msgspec
from msgspec import Struct, field
from sqlalchemy import and_, func, select

from agent.central.books import tables
from agent.central.books.database import Books, Row
from agent.central.books.meals import IS_MEAL, LACKS_PRICE, MEAL, STANDS
from agent.central.books.query import Query, value


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


_T, _C, _A = tables.terminal.c, tables.chain.c, tables.account.c
_E, _I, _S = tables.entry.c, tables.incident.c, tables.set_aside.c

_OTHER = tables.chain.alias("other").c
_NEWEST_EPOCH = select(func.max(_OTHER.seen)).where(_OTHER.terminal == _T.id).scalar_subquery()
_TERMINALS = Query(
    select(
        *(_T.id, _T.site, _C.epoch, _C.seq, _T.hello_at, _T.forked, _T.order_do),
        *(_T.hello, _T.state),
    )
    .select_from(tables.terminal)
    .outerjoin(tables.chain, and_(_C.terminal == _T.id, _C.seen == _NEWEST_EPOCH))
    .order_by(_T.id)
)


def _meals(*conditions: Any) -> Any:
    """Return how many meals of an account's row there are."""
    return select(func.count()).where(MEAL.c.account == _A.id, *conditions).scalar_subquery()


_ACCOUNTS = Query(
    select(
        *(_A.id, _A.site, _A["class"], _A.family, _A.status, _A.balance),
        *(_meals(IS_MEAL, STANDS), _meals(LACKS_PRICE)),
    ).order_by(_A.id)
)

_AT = func.coalesce(_E.true_at, _E.at)
_ENTRIES = (
    select(
        *(_AT, _E.terminal, _E.seq, _E.kind, _E.account, _E.cents, _E.true_day, _E.service),
        *(_E.status, _E.reason, _E.body),
    )
    .order_by(_AT.desc().nulls_last(), _E.terminal, _E.epoch.desc(), _E.seq.desc(), _E.hash)
    .limit(value("newest"))
)
_OF_ACCOUNT = _E.account == value("account")
_OF_TERMINAL = _E.terminal == value("terminal")
# by whether an account, and whether a terminal is named
_NEWEST_ENTRIES = {
    (False, False): Query(_ENTRIES),
    (True, False): Query(_ENTRIES.where(_OF_ACCOUNT)),
    (False, True): Query(_ENTRIES.where(_OF_TERMINAL)),
    (True, True): Query(_ENTRIES.where(_OF_ACCOUNT, _OF_TERMINAL)),
}

_INCIDENTS = Query(select(_I.at, _I.terminal, _I.kind, _I.detail).order_by(_I.n))
_SET_ASIDE = Query(select(_S.at, _S.topic, _S.reason).order_by(_S.n))
_NOT_APPLIED = Query(
    select(_E.at, _E.terminal, _E.status, _E.seq, _E.reason)
    .where(_E.status != "applied")
    .order_by(_E.terminal, _E.epoch, _E.seq, _E.hash)
)


class _Hello(Struct):
    last: int
    wiped: bool = False


class _State(Struct):
    online: bool


def terminals(books: Books) -> list[TerminalRow]:
    """Return every terminal."""
    return [_terminal(row) for row in books.all(_TERMINALS)]


def _terminal(row: Row) -> TerminalRow:
    hello = msgspec.json.decode(row[7], type=_Hello) if row[7] is not None else None
    state = msgspec.json.decode(row[8], type=_State) if row[8] is not None else None
    return TerminalRow(
        id=row[0],
        site=row[1],
        epoch=row[2],
        booked=row[3],
        last=hello.last if hello else None,
        hello_at=row[4],
        forked=row[5],
        waiting_order=row[6],
        online=int(state.online) if state else None,
        wiped=int(hello.wiped) if hello else None,
    )


def accounts(books: Books) -> list[AccountRow]:
    """Return every account."""
    return [
        AccountRow(
            id=row[0],
            site=row[1],
            group=row[2],
            family=row[3],
            status=row[4],
            balance_cents=row[5],
            meals=row[6],
            without_price=row[7],
        )
        for row in books.all(_ACCOUNTS)
    ]


def entries(
    books: Books, *, newest: int, account: str | None = None, terminal: str | None = None
) -> list[EntryRow]:
    """Return the newest entries, of an account or terminal where they are named, oldest first."""
    query = _NEWEST_ENTRIES[account is not None, terminal is not None]
    rows = books.all(query, newest=newest, account=account, terminal=terminal)
    return [_entry(row) for row in reversed(rows)]


def _entry(row: Row) -> EntryRow:
    body = msgspec.json.decode(row[10])
    texts = {name: text for name, text in body.items() if isinstance(text, str)}
    return EntryRow(
        at=row[0],
        terminal=row[1],
        seq=row[2],
        kind=row[3],
        account=row[4],
        cents=row[5],
        day=row[6] or texts.get("day"),
        service=row[7],
        how=texts.get("how"),
        by=texts.get("by"),
        user=texts.get("user"),
        status=row[8],
        reason=row[9],
    )


def incidents(books: Books) -> list[IncidentRow]:
    """Return incidents, messages set aside, and entries flagged or set aside, by time."""
    with books.reading():
        rows = books.all(_INCIDENTS)
        messages = books.all(_SET_ASIDE)
        entries = books.all(_NOT_APPLIED)
    rows += [(at, "", "message set aside", f"{topic}: {why}") for at, topic, why in messages]
    rows += [(at, box, status, f"entry {seq}: {why}") for at, box, status, seq, why in entries]
    rows.sort(key=lambda row: row[0] or "")  # an unreadable entry has no time
    return [
        IncidentRow(at=at, terminal=terminal, kind=kind, detail=detail)
        for at, terminal, kind, detail in rows
    ]
