"""What a technician lists of the terminal's file, read with sqlite-utils. Nothing here writes."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from agent.domain.ledger import SEQ_MAX
from agent.store.database import Database
from agent.store.rows import Incident

_MEMBERS = (
    *("seq", "at", "kind", "reason", "account", "card", "cents", "day", "service", "how"),
    *("by", "user", "assurance", "reverses", "trays", "served", "clock", "boot", "mono_ms"),
)


class LedgerRow(Struct, frozen=True, kw_only=True):
    """An entry with its epoch, whether the central has it, and whether a storno undid it.

    `cents` is added to the balance. `flags` are separated by commas.
    """

    epoch: str
    seq: int
    at: str
    kind: str
    reason: str | None
    account: str | None
    card: str | None
    cents: int
    day: str | None
    service: str | None
    flags: str
    how: str
    by: str | None
    user: str | None
    assurance: str | None
    reverses: str | None
    trays: int | None
    served: int | None
    clock: str
    boot: str
    mono_ms: int
    hash: str
    acked: bool
    undone: bool


_Row = TypeVar("_Row", LedgerRow, Incident)


def entries(db: Database, *, newest: int) -> list[LedgerRow]:
    """Return the newest entries, oldest first. Raise `StoreError` when one is damaged."""
    members = ", ".join(f"e.body ->> '$.{name}' AS {name}" for name in _MEMBERS)
    rows = _rows(
        db,
        LedgerRow,
        f"SELECT epoch.id AS epoch, {members}, lower(hex(e.hash)) AS hash,"
        " coalesce((SELECT group_concat(value, ', ') FROM json_each(e.body, '$.flags')), '')"
        " AS flags, e.n <= acked AS acked, s.n IS NOT NULL AS undone FROM terminal, entry e"
        " JOIN epoch ON epoch.n = e.epoch LEFT JOIN entry s ON s.reverses = e.n"
        f" ORDER BY e.n DESC LIMIT {newest:d}",
    )
    return rows[::-1]


def incidents(db: Database) -> list[Incident]:
    """Return incidents, set-aside messages and the central's notes, oldest first."""
    return _rows(
        db,
        Incident,
        "SELECT at, kind, detail FROM incident"
        " UNION ALL SELECT at, 'set aside', topic || ': ' || reason FROM set_aside"
        " UNION ALL SELECT coalesce(e.body ->> '$.at', ''), status,"
        f" 'entry ' || (note.n & {SEQ_MAX}) || ': ' || reason"
        " FROM note LEFT JOIN entry e ON e.n = note.n ORDER BY 1",
    )


def _rows(db: Database, form: type[_Row], query: str) -> list[_Row]:
    # imported here: it takes a tenth of a second, which the other commands need not spend
    from sqlite_utils import Database as Inspection

    with db.reading():
        return [msgspec.convert(row, form, strict=False) for row in Inspection(db.sql).query(query)]
