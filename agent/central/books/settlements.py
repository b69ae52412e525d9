"""Settlement flows and the treasury's sums: they confirm payments, and never credit an account."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Day, Instant


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


# A sum belongs to the flow that its reason names; what the treasury undid did not arrive.
_ARRIVED = (
    "(SELECT sum(t.cents) FROM treasury_sum t WHERE t.undone = 0"
    " AND instr(t.reason, replace(flow.id, ' ', '')) > 0)"
)
_NEWEST = "revision = (SELECT max(revision) FROM flow f WHERE f.id = flow.id)"


def add_flow(books: Books, flow: Flow, rows: Sequence[FlowRow], at: Instant, digest: str) -> bool:
    """Add a flow with its rows, in place of those of an older revision; False if it is known."""
    key = (flow.id, flow.revision)
    if books.row("SELECT 1 FROM flow WHERE id = ? AND revision = ?", key) is not None:
        return False
    books.sql.execute("INSERT INTO flow VALUES (?, ?, ?, ?, ?, ?)", (*flow, at, digest))
    (newest,) = books.only_row("SELECT max(revision) FROM flow WHERE id = ?", (flow.id,))
    if newest == flow.revision:
        books.sql.execute("DELETE FROM flow_row WHERE flow = ?", (flow.id,))
        books.sql.executemany(
            "INSERT INTO flow_row VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((flow.id, n, *row) for n, row in enumerate(rows, start=1)),
        )
    return True


def missing(books: Books, external: str | None = None) -> list[FlowRow]:
    """Return the settled rows of our references that no receipt reported, or one of them."""
    rows = books.rows(
        "SELECT r.iuv, r.external, r.cents, r.outcome, r.day FROM flow_row r"
        " JOIN reference ON reference.id = r.iuv WHERE r.outcome = 'paid'"
        " AND NOT EXISTS (SELECT 1 FROM payment p WHERE p.channel = 'pagopa'"
        " AND p.external = r.external)"
        " AND (?1 IS NULL OR r.external = ?1) ORDER BY r.day, r.external",
        (external,),
    )
    return [FlowRow(*row) for row in rows]


def revoked(books: Books) -> list[Revoked]:
    """Return the revoked rows of our references, each with the cents of its credited payment."""
    rows = books.rows(
        "SELECT r.flow, r.external, r.cents, p.cents FROM flow_row r"
        " JOIN reference ON reference.id = r.iuv LEFT JOIN payment p ON p.channel = 'pagopa'"
        " AND p.external = r.external AND p.state = 'credited'"
        " WHERE r.outcome = 'revoked' ORDER BY r.flow, r.n"
    )
    return [Revoked(*row) for row in rows]


def differing(books: Books) -> list[Revoked]:
    """Return the settled rows whose receipt has another amount."""
    rows = books.rows(
        "SELECT r.flow, r.external, r.cents, p.cents FROM flow_row r JOIN payment p"
        " ON p.channel = 'pagopa' AND p.external = r.external"
        " WHERE r.outcome = 'paid' AND p.cents <> r.cents ORDER BY r.flow, r.n"
    )
    return [Revoked(*row) for row in rows]


def unequal_flows(books: Books, before: Day) -> list[Unequal]:
    """Return the flows of days before a day whose sum did not arrive, or is another."""
    rows = books.rows(
        f"SELECT id, day, cents, {_ARRIVED} AS arrived FROM flow"
        f" WHERE {_NEWEST} AND day < ? AND arrived IS NOT cents ORDER BY day, id",
        (before,),
    )
    return [Unequal(*row) for row in rows]


def sums_without_flow(books: Books) -> list[TreasurySum]:
    """Return the sums that name a settlement flow which the books do not have."""
    rows = books.rows(
        "SELECT year, number, day, cents, undone, reason FROM treasury_sum t WHERE undone = 0"
        " AND reason LIKE '%LGPE-RIVERSAMENTO%' AND NOT EXISTS (SELECT 1 FROM flow"
        " WHERE instr(t.reason, replace(flow.id, ' ', '')) > 0) ORDER BY day, number"
    )
    return [TreasurySum(row[0], row[1], row[2], row[3], bool(row[4]), row[5]) for row in rows]


def set_sum(books: Books, new: TreasurySum) -> None:
    """Write a sum of the treasury, in place of the same one of an earlier report."""
    books.sql.execute("INSERT OR REPLACE INTO treasury_sum VALUES (?, ?, ?, ?, ?, ?)", new)


def flows_of_receipts(books: Books) -> dict[str, str]:
    """Return for each settled receipt, by its key, the flow that settles it."""
    rows = books.rows("SELECT external, flow FROM flow_row WHERE outcome = 'paid'")
    return {row[0]: row[1] for row in rows}


def arrived_flows(books: Books) -> set[str]:
    """Return the flows whose sum is at the treasury."""
    rows = books.rows(f"SELECT id FROM flow WHERE {_NEWEST} AND {_ARRIVED} = cents")
    return {row[0] for row in rows}
