"""Every write of a running terminal to its database is a function here.

`restoring.py` takes entries of another file, `pruning.py` deletes old ones.

Each function but `wipe` is one transaction: when it has returned, its effect is on the disk; when
it raises, nothing was changed. Only after `UncertainCommitError` that is unknown.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from agent.domain.clock import Instant, format_instant
from agent.domain.ledger import ChainEnd, Entry, Place, seal
from agent.domain.timekeeper import Belief
from agent.errors import DamagedError, RefusedEntryError, StoreError, UncertainCommitError
from agent.store.cache import Tail
from agent.store.database import Database
from agent.store.insertion import insertion, sealed_body
from agent.store.rows import (
    Changeset,
    Incident,
    RecordRow,
    SetAside,
    WrongTime,
)
from agent.store.standing import find_place, tail
from agent.store.statements import (
    insert_epoch,
    insert_incident,
    insert_set_aside,
    keep_records,
    remove_unnamed,
    store_later_note,
    store_notes,
    store_record,
)


def initialise(db: Database, *, town: str, terminal: str, epoch: str) -> None:
    """Make a blank database this terminal's: its one row and its first epoch.

    No effect on any other. Raise `DamagedError` if only the row of the terminal is not there.
    """
    with db.transaction() as sql:
        if sql.execute("SELECT 1 FROM terminal").fetchone():
            return
        for table in ("epoch", "entry", "record"):
            if sql.execute(f"SELECT 1 FROM {table}").fetchone():
                raise DamagedError(f"{db.path}: has lost the row of the terminal")
        sql.execute(
            "INSERT INTO terminal VALUES (1, ?, ?, ?, NULL, 0, 0, 0, NULL, NULL, NULL, 0, 0, NULL)",
            (town, terminal, Place(1, 0).n),
        )
        insert_epoch(sql, 1, epoch)


def append(db: Database, draft: Entry, *, is_another: bool = False) -> Entry:
    """Append an entry to the ledger and return it sealed. `is_another`: see `insertion`.

    One statement is the whole transaction, so a tap costs one flush. Raise `RefusedEntryError` for
    a second meal or storno, and `StoreError` when the disk does not take the entry. After an I/O
    error, which may have come after the commit, raise only when the entry is not on the disk.
    """
    last, previous, epoch = tail(db)
    place = Place(last.epoch_number, last.seq + 1)
    entry, body = seal(draft, seq=place.seq, previous=previous)
    sealed = sealed_body(entry, body)
    try:
        db.write_one(*insertion(place.epoch_number, entry, sealed, is_another=is_another))
    except StoreError as error:
        if isinstance(error.__cause__, sqlite3.IntegrityError):
            raise RefusedEntryError(str(error)) from error
        end = ChainEnd(epoch=epoch, seq=entry.seq, hash=entry.hash)
        if not _is_on_disk_after(db, end, error):
            raise
    db.cache.appended(Tail(place, entry.hash, epoch))
    return entry


def append_all(
    db: Database, drafts: Iterable[Entry], incidents: Iterable[Incident] = ()
) -> list[Entry]:
    """Append entries and incidents, all or none, and return the entries. Raise `StoreError`."""
    entries = []
    with db.transaction() as sql:
        last, previous, _ = tail(db)
        for seq, draft in enumerate(drafts, start=last.seq + 1):
            entry, body = seal(draft, seq=seq, previous=previous)
            previous = entry.hash
            sql.execute(*insertion(last.epoch_number, entry, sealed_body(entry, body)))
            entries.append(entry)
        for incident in incidents:
            insert_incident(sql, incident)
    return entries


def is_on_disk(db: Database, end: ChainEnd) -> bool:
    """Return whether an entry is on the disk, and not only visible.

    After a failed sync an entry may be visible and yet only in memory, since the kernel does not
    repeat the sync. A checkpoint copies it into the file with writes and syncs of its own. Raise
    `StoreError` while another program keeps the checkpoint from ending.
    """
    known = find_place(db, end)
    if known is None or known.hash != end.hash:
        return False
    if not db.checkpoint():
        raise StoreError(f"{db.path}: entry {end.seq} is not yet proved to be on the disk")
    return True


def _is_on_disk_after(db: Database, end: ChainEnd, error: StoreError) -> bool:
    """Return whether an entry is on the disk although its commit ended with an I/O error.

    Raise `UncertainCommitError` while nobody can tell.
    """
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    if code & 0xFF != sqlite3.SQLITE_IOERR:
        return False
    try:
        db.reopen()
        return is_on_disk(db, end)
    except StoreError as cause:
        raise UncertainCommitError(
            str(cause), epoch=end.epoch, seq=end.seq, digest=end.hash
        ) from cause


def apply_changes(db: Database, changes: Changeset) -> int:
    """Store what a `changes` message brings. Return the number of records that changed."""
    h = changes.h.n
    with db.transaction() as sql:
        resync, resyncing, resync_to = sql.execute(
            "SELECT resync, resyncing, resync_to FROM terminal"
        ).fetchone()
        if changes.reset:
            # This snapshot names everything up to its position; what only an earlier attempt
            # named is gone.
            resync, resyncing, resync_to = resync + 1, 1, changes.until
        changed = sum(
            store_record(sql, row, h, resync, overwrite=bool(resyncing)) for row in changes.rows
        )
        for kind in changes.unidentified:
            keep_records(sql, kind, resync)
        store_notes(sql, changes.notes_after, changes.h, changes.notes)
        for note in changes.later_notes:
            store_later_note(sql, note)
        for message in changes.unreadable:
            insert_set_aside(sql, message)
        for incident in changes.unknown_values:
            insert_incident(sql, incident, once=True)
        insert_incident(sql, changes.incident)
        is_complete = not changes.more if resync_to is None else changes.to >= resync_to
        if resyncing and is_complete:
            remove_unnamed(sql, resync)
            resyncing = 0
        # A new generation may have lost entries: then `acked` may step back.
        sql.execute(
            "UPDATE terminal SET"
            " acked = CASE WHEN generation IS ?1 THEN max(acked, ?2) ELSE ?2 END,"
            " generation = ?1, position = ?3, resync = ?4, resyncing = ?5, resync_to = ?6,"
            " last_contact_at = ?7",
            (
                changes.generation,
                changes.acked.n,
                changes.to,
                resync,
                resyncing,
                resync_to,
                changes.last_contact_at,
            ),
        )
    return changed


def adopt_generation(
    db: Database, generation: str, last_contact_at: Instant | None, incident: Incident | None
) -> None:
    """Follow a new generation: earlier epochs are sent again before records are taken."""
    with db.transaction() as sql:
        insert_incident(sql, incident)
        (first,) = sql.execute("SELECT epoch FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = ?, position = 0, resync = resync + 1, resyncing = 1,"
            " acked = ?, last_contact_at = ?",
            (generation, Place(first, 0).n, last_contact_at),
        )


def acknowledge(db: Database, changes: Changeset) -> None:
    """Note that an earlier epoch is booked up to `acked`, with the notes on its entries.

    Records of such a message are not taken.
    """
    with db.transaction() as sql:
        store_notes(sql, changes.notes_after, changes.h, changes.notes)
        sql.execute(
            "UPDATE terminal SET acked = max(acked, ?), last_contact_at = ?",
            (changes.acked.n, changes.last_contact_at),
        )


def note_contact(db: Database, last_contact_at: Instant) -> None:
    """Note the time of a message that changed nothing else."""
    with db.transaction() as sql:
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def begin_resync(db: Database, order: str | None, incident: Incident | None) -> None:
    """Ask for all records again; the present ones serve until the last one came.

    `order` is the id of an order that this fulfils: it also gives work to a wiped terminal.
    """
    with db.transaction() as sql:
        insert_incident(sql, incident)
        sql.execute(
            "UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1,"
            " wiped = wiped AND ?1 IS NULL, order_done = coalesce(?1, order_done)",
            (order,),
        )


def drop_record(db: Database, kind: str, record_id: str, incident: Incident) -> None:
    """Delete a record that cannot be read, and ask for all records again.

    Raise `DamagedError` if it is not there.
    """
    with db.transaction() as sql:
        insert_incident(sql, incident)
        deleted = sql.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id))
        if deleted.rowcount != 1:
            raise DamagedError(f"{db.path}: {kind} {record_id} can be neither read nor deleted")
        sql.execute("UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1")


def begin_epoch(db: Database, epoch_bits: str, order: str, incident: Incident) -> str:
    """Begin a new epoch and return its id. The caller checked that nothing is pending.

    `epoch_bits` are 16 hex digits of randomness.
    """
    with db.transaction() as sql:
        insert_incident(sql, incident)
        (number,) = sql.execute("SELECT max(n) + 1 FROM epoch").fetchone()
        epoch = f"{number}-{epoch_bits}"
        insert_epoch(sql, number, epoch)
        sql.execute("UPDATE terminal SET acked = ?, order_done = ?", (Place(number, 0).n, order))
    return epoch


def promote(db: Database, rows: Iterable[RecordRow]) -> None:
    """Use records that could not be read when they came: this version can read them."""
    with db.transaction() as sql:
        for row in rows:
            key = (row.kind, row.id)
            sql.execute(
                "INSERT OR REPLACE INTO record SELECT * FROM unread WHERE kind = ? AND id = ?", key
            )
            sql.execute("DELETE FROM unread WHERE kind = ? AND id = ?", key)


def wipe(db: Database, order: str, incident: Incident) -> None:
    """Delete all that is about children: records, notes, messages set aside, and every entry.

    The caller checked that all entries are booked. The chain goes on behind the last entry, and no
    record is taken until an order to ask for all. Two transactions: the order counts as done only
    when free pages and copies hold nothing either. Raise `StoreError`, and it must be done again.
    The incident names the files that stay, since the central may not have booked their meals.
    """
    with db.transaction() as sql:
        for table in ("record", "unread", "note", "set_aside"):
            sql.execute(f"DELETE FROM {table}")
        sql.execute("DELETE FROM incident WHERE kind = 'record'")  # its detail names one
        sql.execute(
            "UPDATE epoch SET (base_seq, base_hash) = (SELECT seq, hash FROM entry"
            " WHERE entry.epoch = epoch.n ORDER BY entry.n DESC LIMIT 1)"
            " WHERE n IN (SELECT epoch FROM entry)"
        )
        sql.execute("UPDATE terminal SET pruning = 1, wiped = 1, resyncing = 0")
        sql.execute("DELETE FROM entry")
        sql.execute("UPDATE terminal SET pruning = 0")
    if kept := db.compact():
        detail = f"{incident.detail}; kept, for meals that the central may lack: {', '.join(kept)}"
        incident = replace(
            incident, detail=f"{detail}; import them at the office, then delete them"
        )
    with db.transaction() as sql:
        insert_incident(sql, incident)
        sql.execute("UPDATE terminal SET order_done = ?", (order,))


def set_aside(db: Database, message: SetAside) -> None:
    """Keep a message that cannot be used."""
    with db.transaction() as sql:
        insert_set_aside(sql, message)


def add_incident(db: Database, incident: Incident) -> None:
    """Keep an incident that belongs to no other write."""
    with db.transaction() as sql:
        insert_incident(sql, incident)


def recount_incident(db: Database, kind: str, detail: str) -> None:
    """Give the newest incident of a kind a detail with its present count."""
    with db.transaction() as sql:
        sql.execute(
            "UPDATE incident SET detail = ? WHERE n = (SELECT max(n) FROM incident WHERE kind = ?)",
            (detail, kind),
        )


def rebuild_index(db: Database, name: str, incident: Incident) -> None:
    """Make an index from its table again."""
    with db.transaction() as sql:
        sql.execute(f"REINDEX {name}")
        insert_incident(sql, incident)


def keep_belief(db: Database, boot: str, belief: Belief) -> None:
    """Keep the confirmed time of a boot, for a process that starts again."""
    with db.transaction() as sql:
        sql.execute(
            "INSERT OR REPLACE INTO belief VALUES (1, ?, ?, ?, ?, ?, ?)",
            (
                boot,
                belief.source.value,
                format_instant(belief.zero),
                belief.doubt,
                belief.doubted_ms,
                int(belief.is_witnessed),
            ),
        )


def keep_wrong_times(
    db: Database, boot: str, wrong: Iterable[WrongTime], incident: Incident | None
) -> None:
    """Keep which entries carry a wrong time, with the incident that names them.

    What this boot found before is replaced: a later agreement undoes an earlier one.
    """
    with db.transaction() as sql:
        sql.execute("DELETE FROM wrong_time WHERE judged_in = ?", (boot,))
        sql.executemany(
            "INSERT OR IGNORE INTO wrong_time VALUES (?, ?, ?, ?)",
            [(span.first.n, span.last.n, span.boot, span.judged_in) for span in wrong],
        )
        insert_incident(sql, incident)
