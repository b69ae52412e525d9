"""Terminals: their site, their newest messages, and the order that waits for each."""

from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import Update, insert, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.central.books.town import standing
from agent.domain.clock import Instant

_T = tables.terminal.c
_IS_IT = _T.id == value("terminal")


def _change(**values: object) -> Update:
    return update(tables.terminal).where(_IS_IT).values(**values)


_CONTACTS = select(_T.id, _T.site, _T.hello_at, _T.state).order_by(_T.id)
_ALL_CONTACTS = Query(_CONTACTS)
_CONTACT = Query(_CONTACTS.where(_IS_IT))
_FIND = Query(select(_T.id, _T.site, _T.orders, _T.order_id, _T.order_do).where(_IS_IT))
_ADD = Query(insert(tables.terminal).values(id=value("terminal"), site=value("site")))
_SET_SITE = Query(_change(site=value("site")))
_SET_FORKED = Query(_change(forked=1))
_HELLO = Query(select(_T.hello).where(_IS_IT))
_SET_HELLO = Query(_change(hello_at=value("at"), hello=value("hello")))
_STATE = Query(select(_T.state).where(_IS_IT))
_SET_STATE = Query(_change(state=value("state")))
_WAITING = select(_T.id, _T.orders, _T.order_id).where(_T.order_id.is_not(None)).order_by(_T.id)
_ALL_WAITING = Query(_WAITING)
_WAITING_OF = Query(_WAITING.where(_IS_IT))
_ORDER = {"order_id": value("order"), "order_do": value("do")}
_SET_ORDER = Query(_change(orders=_T.orders + 1, **_ORDER))
_SET_ORDER_THEN_RESYNC = Query(_change(orders=_T.orders + 1, then_resync=1, **_ORDER))
_CLEAR_ORDER = Query(_change(order_id=None, order_do=None).where(_T.order_id == value("order")))
_POSTPONE = Query(_change(then_resync=1))
_TAKE_POSTPONED = Query(_change(then_resync=0).where(_T.then_resync != 0))
_RAISE = Query(_change(orders=value("number")).where(_T.orders < value("number")))
_RENUMBER = Query(_change(orders=value("number"), order_id=value("order")))


class Terminal(NamedTuple):
    """A terminal. `site` is None for a retired one; `orders` is the number of its newest order."""

    id: str
    site: str | None
    orders: int
    order_id: str | None
    order_do: str | None


class Contact(NamedTuple):
    """What a terminal sent last: the time of its newest hello, and its newest state as JSON."""

    terminal: str
    site: str | None
    hello_at: Instant | None
    state: str | None


class _Hello(Struct):
    wiped: bool = False


def contacts(books: Books, terminal: str | None = None) -> list[Contact]:
    """Return what all terminals sent last, or that of a single terminal."""
    rows = books.all(_ALL_CONTACTS) if terminal is None else books.all(_CONTACT, terminal=terminal)
    return [Contact(*row) for row in rows]


def find(books: Books, terminal: str) -> Terminal | None:
    """Return a terminal, None if it was never added."""
    row = books.first(_FIND, terminal=terminal)
    return Terminal(*row) if row else None


def add(books: Books, terminal: str, site: str) -> None:
    """Add a terminal at a site."""
    books.run(_ADD, terminal=terminal, site=site)


def set_site(books: Books, terminal: str, site: str | None) -> None:
    """Move a terminal to another site; None retires it."""
    books.run(_SET_SITE, terminal=terminal, site=site)


def set_forked(books: Books, terminal: str) -> None:
    """Mark a terminal as one that has sent two entries of the same number."""
    books.run(_SET_FORKED, terminal=terminal)


def hello(books: Books, terminal: str) -> str | None:
    """Return a terminal's newest hello, as JSON; None if it never sent one."""
    row = books.first(_HELLO, terminal=terminal)
    return row[0] if row else None


def is_wiped(books: Books, terminal: str) -> bool:
    """Return whether a terminal's newest hello says that it is wiped."""
    newest = hello(books, terminal)
    return newest is not None and msgspec.json.decode(newest, type=_Hello).wiped


def set_hello(books: Books, terminal: str, hello: bytes, *, at: Instant) -> None:
    """Keep a terminal's newest hello, as JSON."""
    books.run(_SET_HELLO, terminal=terminal, at=at, hello=hello.decode())


def set_state(books: Books, terminal: str, state: bytes) -> None:
    """Keep a terminal's newest state, as JSON."""
    books.run(_SET_STATE, terminal=terminal, state=state.decode())


def set_offline(books: Books, terminal: str) -> None:
    """Note that the broker has lost a terminal. What its state had before is kept beside that."""
    (state,) = books.only(_STATE, terminal=terminal)
    members = msgspec.json.decode(state or "{}", type=dict[str, Raw])
    set_state(books, terminal, msgspec.json.encode({**members, "online": False}))


# -- the order that waits ----------------------------------------------------------------------


def waiting_orders(books: Books) -> list[str]:
    """Return the ids of all orders that wait, by terminal."""
    return [order_id for _, _, order_id in books.all(_ALL_WAITING)]


def set_order(books: Books, terminal: str, order_id: str, do: str, *, then_resync: bool) -> None:
    """Let an order wait, with the next number. `then_resync`: it replaces a resync."""
    query = _SET_ORDER_THEN_RESYNC if then_resync else _SET_ORDER
    books.run(query, terminal=terminal, order=order_id, do=do)


def clear_order(books: Books, terminal: str, order_id: str) -> bool:
    """Remove the order that waits, if it is this one; return whether it was."""
    return books.run(_CLEAR_ORDER, terminal=terminal, order=order_id) > 0


def postpone_resync(books: Books, terminal: str) -> None:
    """Let a resync follow the order that waits."""
    books.run(_POSTPONE, terminal=terminal)


def take_postponed_resync(books: Books, terminal: str) -> bool:
    """Return whether a resync was postponed for another order, and forget it."""
    return books.run(_TAKE_POSTPONED, terminal=terminal) > 0


def raise_order_number(books: Books, terminal: str, number: int) -> None:
    """Let a terminal's next order have a number above this one."""
    books.run(_RAISE, terminal=terminal, number=number)


def renumber_orders(books: Books, terminal: str | None = None) -> None:
    """Give the orders that wait, of one terminal or of all, the next number of this generation."""
    suffix = standing(books).generation[-8:]
    rows = (
        books.all(_ALL_WAITING) if terminal is None else books.all(_WAITING_OF, terminal=terminal)
    )
    books.run_all(
        _RENUMBER,
        (
            {"terminal": id_, "number": orders + 1, "order": f"o-{suffix}-{orders + 1}"}
            for id_, orders, _ in rows
        ),
    )
