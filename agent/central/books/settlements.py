"""Settlement flows and the treasury's sums: they confirm payments, and never credit an account."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import cast, delete, func, insert, select

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, contains, put, value
from agent.domain.clock import Day, Instant

_FLOW = tables.flow.c
_ROW = tables.flow_row.c
_PAYMENT = tables.payment.c
_SUM = tables.treasury_sum.c
_FLOW_SUM = "LGPE-RIVERSAMENTO"  # in the reason of a sum that settles a flow

# A sum belongs to the flow that its reason names; what the treasury undid did not arrive.
_NAMES_FLOW = contains(_SUM.reason, func.replace(_FLOW.id, " ", ""))
_ARRIVED = (
    select(cast(func.sum(_SUM.cents), tables.INTEGER))
    .where(_SUM.undone == 0, _NAMES_FLOW)
    .correlate(tables.flow)
    .scalar_subquery()
)
_REVISION = tables.flow.alias("f")
_IS_NEWEST = (
    _FLOW.revision
    == select(func.max(_REVISION.c.revision))
    .where(_REVISION.c.id == _FLOW.id)
    .correlate(tables.flow)
    .scalar_subquery()
)
_NEWEST = (
    select(_FLOW.id, _FLOW.day, _FLOW.cents, _ARRIVED.label("arrived"))
    .where(_IS_NEWEST)
    .subquery("newest")
)
_IS_OURS = _ROW.iuv.in_(select(tables.reference.c.id))
_IS_RECEIPT = (_PAYMENT.channel == "pagopa") & (_PAYMENT.external == _ROW.external)

_KNOWN = Query(select(_FLOW.id).where(_FLOW.id == value("id"), _FLOW.revision == value("revision")))
_ADD_FLOW = Query(insert(tables.flow))
_NEWEST_REVISION = Query(select(func.max(_FLOW.revision)).where(_FLOW.id == value("id")))
_DELETE_ROWS = Query(delete(tables.flow_row).where(_ROW.flow == value("id")))
_ROW_COLUMNS = ("flow", "n", "iuv", "external", "cents", "outcome", "day")
_SELECT_MISSING = select(_ROW.iuv, _ROW.external, _ROW.cents, _ROW.outcome, _ROW.day).where(
    _IS_OURS,
    _ROW.outcome == "paid",
    ~select(_PAYMENT.n).where(_IS_RECEIPT).correlate(tables.flow_row).exists(),
)
_MISSING = Query(_SELECT_MISSING.order_by(_ROW.day, _ROW.external, _ROW.flow, _ROW.n))
_MISSING_ONE = Query(
    _SELECT_MISSING.where(_ROW.external == value("external")).order_by(_ROW.day, _ROW.flow, _ROW.n)
)
_REVOKED = Query(
    select(_ROW.flow, _ROW.external, _ROW.cents, _PAYMENT.cents)
    .outerjoin_from(tables.flow_row, tables.payment, _IS_RECEIPT & (_PAYMENT.state == "credited"))
    .where(_IS_OURS, _ROW.outcome == "revoked")
    .order_by(_ROW.flow, _ROW.n)
)
_DIFFERING = Query(
    select(_ROW.flow, _ROW.external, _ROW.cents, _PAYMENT.cents)
    .join_from(tables.flow_row, tables.payment, _IS_RECEIPT)
    .where(_ROW.outcome == "paid", _PAYMENT.cents != _ROW.cents)
    .order_by(_ROW.flow, _ROW.n)
)
_UNEQUAL = Query(
    select(_NEWEST)
    .where(_NEWEST.c.day < value("before"), _NEWEST.c.arrived.is_distinct_from(_NEWEST.c.cents))
    .order_by(_NEWEST.c.day, _NEWEST.c.id)
)
_SUMS_WITHOUT_FLOW = Query(
    select(tables.treasury_sum)
    .where(
        _SUM.undone == 0,
        contains(func.upper(_SUM.reason), _FLOW_SUM),
        ~select(_FLOW.id).where(_NAMES_FLOW).correlate(tables.treasury_sum).exists(),
    )
    .order_by(_SUM.day, _SUM.number, _SUM.year)
)
_SET_SUM = put(tables.treasury_sum)
_FLOWS_OF_RECEIPTS = Query(
    select(_ROW.external, _ROW.flow).where(_ROW.outcome == "paid").order_by(_ROW.flow, _ROW.n)
)
_ARRIVED_FLOWS = Query(select(_NEWEST.c.id).where(_NEWEST.c.arrived == _NEWEST.c.cents))


class Flow(NamedTuple):
    """A settlement flow. `revision` is the time that it states of itself."""

    id: str
    revision: str
    day: Day
    cents: int


class FlowRow(NamedTuple):
    """A payment that a flow settles, or revokes. `external` is the key of its receipt."""

    iuv: str
    external: str
    cents: int
    outcome: str
    day: Day


class TreasurySum(NamedTuple):
    """A sum at the treasury. `reason` is without blanks."""

    year: int
    number: str
    day: Day
    cents: int
    is_undone: bool
    reason: str


class Revoked(NamedTuple):
    """A revoked row beside its payment, `paid_cents` None without a credited one."""

    flow: str
    external: str
    cents: int
    paid_cents: int | None


class Unequal(NamedTuple):
    """A flow beside the sum that names it, None if none arrived."""

    flow: str
    day: Day
    cents: int
    arrived_cents: int | None


def add_flow(books: Books, flow: Flow, rows: Sequence[FlowRow], at: Instant, digest: str) -> bool:
    """Add a flow with its rows, in place of those of an older revision; False if it is known."""
    if books.first(_KNOWN, id=flow.id, revision=flow.revision) is not None:
        return False
    books.run(_ADD_FLOW, **flow._asdict(), at=at, sha256=digest)
    (newest,) = books.only(_NEWEST_REVISION, id=flow.id)
    if newest == flow.revision:
        books.run(_DELETE_ROWS, id=flow.id)
        numbered = ((flow.id, n, *row) for n, row in enumerate(rows, start=1))
        books.add_all(tables.flow_row, _ROW_COLUMNS, numbered)
    return True


def missing(books: Books, external: str | None = None) -> list[FlowRow]:
    """Return the settled rows of our references that no receipt reported, or one of them."""
    rows = books.all(_MISSING) if external is None else books.all(_MISSING_ONE, external=external)
    return [FlowRow(*row) for row in rows]


def revoked(books: Books) -> list[Revoked]:
    """Return the revoked rows of our references, each with the cents of its credited payment."""
    return [Revoked(*row) for row in books.all(_REVOKED)]


def differing(books: Books) -> list[Revoked]:
    """Return the settled rows whose receipt has another amount."""
    return [Revoked(*row) for row in books.all(_DIFFERING)]


def unequal_flows(books: Books, before: Day) -> list[Unequal]:
    """Return the flows of days before a day whose sum did not arrive, or is another."""
    return [Unequal(*row) for row in books.all(_UNEQUAL, before=before)]


def sums_without_flow(books: Books) -> list[TreasurySum]:
    """Return the sums that name a settlement flow which the books do not have."""
    return [
        TreasurySum(year, number, day, cents, bool(undone), reason)
        for year, number, day, cents, undone, reason in books.all(_SUMS_WITHOUT_FLOW)
    ]


def set_sum(books: Books, new: TreasurySum) -> None:
    """Write a sum of the treasury, in place of the same one of an earlier report."""
    books.run(
        _SET_SUM,
        year=new.year,
        number=new.number,
        day=new.day,
        cents=new.cents,
        undone=int(new.is_undone),
        reason=new.reason,
    )


def flows_of_receipts(books: Books) -> dict[str, str]:
    """Return for each settled receipt, by its key, the flow that settles it."""
    return dict(books.all(_FLOWS_OF_RECEIPTS))


def arrived_flows(books: Books) -> set[str]:
    """Return the flows whose sum is at the treasury."""
    return {row[0] for row in books.all(_ARRIVED_FLOWS)}
