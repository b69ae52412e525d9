"""References: what the central gives out before a payment can name it, and who gets the money."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, insert, select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.domain.clock import Instant

_REFERENCE = tables.reference.c
_SHARE = tables.share.c
_ADD = Query(insert(tables.reference))
_FIND = Query(select(tables.reference).where(_REFERENCE.id == value("id")))
_FIND_NOTICE = Query(select(tables.reference).where(_REFERENCE.notice == value("notice")))
_SHARES = Query(
    select(_SHARE.account, _SHARE.cents)
    .where(_SHARE.reference == value("root"))
    .order_by(_SHARE.account)
)
_COUNT_ORDERS = Query(
    select(func.count())
    .select_from(tables.reference)
    .where(_REFERENCE.root == value("root"), _REFERENCE.id != _REFERENCE.root)
)


class Share(NamedTuple):
    """What an account gets of a payment."""

    account: str
    cents: int


class Reference(NamedTuple):
    """A notice or an order. `root` is the notice that an order pays, else its own id."""

    id: str
    notice: str | None
    root: str
    cents: int
    at: Instant


def add(books: Books, reference: Reference, shares: Sequence[Share] = ()) -> None:
    """Add a reference. `shares` are those of a root; an order of a notice has the notice's."""
    books.run(_ADD, **reference._asdict())
    rows = ((reference.id, *share) for share in shares)
    books.add_all(tables.share, ("reference", "account", "cents"), rows)


def find(books: Books, reference: str) -> Reference | None:
    """Return a reference by its id, which is the IUV of a notice; None if there is none."""
    row = books.first(_FIND, id=reference)
    return Reference(*row) if row else None


def find_notice(books: Books, notice: str) -> Reference | None:
    """Return a reference by its notice number, None if there is none."""
    row = books.first(_FIND_NOTICE, notice=notice)
    return Reference(*row) if row else None


def shares(books: Books, root: str) -> list[Share]:
    """Return what each account gets of a payment, by account."""
    return [Share(*row) for row in books.all(_SHARES, root=root)]


def count_orders(books: Books, root: str) -> int:
    """Return how many orders a notice has."""
    return int(books.only(_COUNT_ORDERS, root=root)[0])
