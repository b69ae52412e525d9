"""Statements that several writes share, each within its caller's transaction (`writes.py`)."""

import sqlite3
from collections.abc import Iterable

from agent.domain.ledger import Place, genesis
from agent.store.rows import Incident, LaterNote, NoteRow, RecordRow, SetAside

SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536  # enough to recognise it; a flood must not fill the card
SET_ASIDE_TOPIC_LENGTH_MAX = 256
SET_ASIDE_ROWS_MAX = 1_000
INCIDENT_ROWS_MAX = 1_000


def store_record(
    sql: sqlite3.Connection, row: RecordRow, h: int, resync: int, *, overwrite: bool
) -> int:
    """Store a record, or delete it for a tombstone; return how many rows changed.

    One that is not readable stands in `unread`, and the last that was stays in `record`.
    """
    key = (row.kind, row.id)
    if row.body is None:
        sql.execute("DELETE FROM unread WHERE kind = ? AND id = ? AND p < ?", (*key, row.p))
        return sql.execute(
            "DELETE FROM record WHERE kind = ? AND id = ? AND p < ?", (*key, row.p)
        ).rowcount
    if not row.is_readable:
        sql.execute("UPDATE record SET named = ? WHERE kind = ? AND id = ?", (resync, *key))
    table = "record" if row.is_readable else "unread"
    changed = sql.execute(
        f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (kind, id) DO UPDATE SET"
        " p = excluded.p, h = excluded.h, named = excluded.named, body = excluded.body"
        " WHERE ? OR excluded.p > p",
        (*key, row.p, h, resync, row.body, overwrite),
    ).rowcount
    if changed and row.is_readable:
        sql.execute("DELETE FROM unread WHERE kind = ? AND id = ?", key)
    return changed


def keep_records(sql: sqlite3.Connection, kind: str | None, resync: int) -> None:
    """Let a resynchronisation remove no record of a kind, or none at all: one has no usable id."""
    for table in ("record", "unread"):
        sql.execute(f"UPDATE {table} SET named = ?1 WHERE ?2 IS NULL OR kind = ?2", (resync, kind))


def remove_unnamed(sql: sqlite3.Connection, resync: int) -> None:
    """Remove what a resynchronisation that reached its end did not name."""
    for table in ("record", "unread"):
        sql.execute(f"DELETE FROM {table} WHERE named < ?", (resync,))


def store_notes(
    sql: sqlite3.Connection, after: int, up_to: Place, notes: Iterable[NoteRow]
) -> None:
    """Store the remarks on the entries behind seq `after` up to a place: there are no others."""
    number = up_to.epoch_number
    sql.execute("DELETE FROM note WHERE n > ? AND n <= ?", (Place(number, after).n, up_to.n))
    rows = [(Place(number, note.seq).n, note.status, note.reason) for note in notes]
    sql.executemany("INSERT OR IGNORE INTO note VALUES (?, ?, ?, NULL)", rows)


def store_later_note(sql: sqlite3.Connection, note: LaterNote) -> None:
    """Put the present remark on an entry in the place of those before; none if it is applied.

    No effect on an entry that this disk does not keep, or has with another hash.
    """
    place = sql.execute(
        "SELECT entry.n FROM entry JOIN epoch ON epoch.n = entry.epoch"
        " WHERE epoch.id = ? AND seq = ? AND hash = ?",
        (note.entry.epoch, note.entry.seq, bytes.fromhex(note.entry.hash)),
    ).fetchone()
    if place is None:
        return
    sql.execute("DELETE FROM note WHERE n = ?", place)
    if note.status != "applied":
        sql.execute("INSERT INTO note VALUES (?, ?, ?, NULL)", (*place, note.status, note.reason))


def insert_incident(
    sql: sqlite3.Connection, incident: Incident | None, *, once: bool = False
) -> None:
    """Add an incident. `once`: not while the same one is kept."""
    if incident is None:
        return
    if (
        once
        and sql.execute(
            "SELECT 1 FROM incident WHERE kind = ? AND detail = ?", (incident.kind, incident.detail)
        ).fetchone()
    ):
        return
    sql.execute(
        "INSERT INTO incident (at, kind, detail) VALUES (?, ?, ?)",
        (incident.at, incident.kind, incident.detail),
    )
    sql.execute(
        "DELETE FROM incident WHERE n <= (SELECT max(n) FROM incident) - ?", (INCIDENT_ROWS_MAX,)
    )


def insert_set_aside(sql: sqlite3.Connection, message: SetAside) -> None:
    """Add a message that cannot be used, cut to its limits."""
    topic = message.topic[:SET_ASIDE_TOPIC_LENGTH_MAX]
    payload = message.payload[:SET_ASIDE_PAYLOAD_BYTES_MAX]
    sql.execute(
        "INSERT INTO set_aside (at, topic, bytes, payload, reason) VALUES (?, ?, ?, ?, ?)",
        (message.at, topic, len(message.payload), payload, message.reason),
    )
    sql.execute(
        "DELETE FROM set_aside WHERE n <= (SELECT max(n) FROM set_aside) - ?",
        (SET_ASIDE_ROWS_MAX,),
    )


def insert_epoch(sql: sqlite3.Connection, number: int, epoch: str) -> None:
    """Begin epoch `number` without entries."""
    town, terminal = sql.execute("SELECT town, id FROM terminal").fetchone()
    start = bytes.fromhex(genesis(town, terminal, epoch))
    sql.execute("INSERT INTO epoch VALUES (?, ?, 0, ?, NULL)", (number, epoch, start))
