"""Every write to the terminal's database is a function here.

Each function but `wipe` is one transaction: when it has returned, its effect is on the disk; when
it raises, nothing was changed. Only after `UncertainCommitError` that is unknown.
"""

import sqlite3
from collections.abc import Iterable

from agent.domain.clock import Instant
from agent.domain.ledger import ChainEnd, Entry, Place, genesis, seal
from agent.errors import DamagedError, RefusedEntryError, StoreError, UncertainCommitError
from agent.store.cache import Tail
from agent.store.database import Database
from agent.store.insertion import decode_unhashed, insertion, sealed_body
from agent.store.rows import (
    Changeset,
    EpochCopy,
    Incident,
    NoteRow,
    RecordRow,
    SetAside,
)
from agent.store.standing import find_place, tail

SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536  # enough to recognise it; a flood must not fill the card
SET_ASIDE_TOPIC_LENGTH_MAX = 256
SET_ASIDE_ROWS_MAX = 1_000
INCIDENT_ROWS_MAX = 1_000
PRUNE_ROWS_MAX = 500  # one step of pruning takes no longer than a tap may wait


def initialise(db: Database, *, town: str, terminal: str, epoch: str) -> None:
    """Make a blank database this terminal's: its one row and its first epoch.

    No effect on any other.
    """
    with db.transaction() as sql:
        if sql.execute("SELECT 1 FROM terminal").fetchone():
            return
        sql.execute(
            "INSERT INTO terminal VALUES (1, ?, ?, ?, NULL, 0, 0, 0, NULL, NULL, NULL, 0)",
            (town, terminal, Place(1, 0).n),
        )
        _insert_epoch(sql, 1, epoch)


def append(db: Database, draft: Entry) -> Entry:
    """Append an entry to the ledger and return it sealed.

    One statement is the whole transaction, so a tap costs one flush. Raise `RefusedEntryError` for
    a second meal or storno, and `StoreError` when the disk does not take the entry. After an I/O
    error, which may have come after the commit, raise only when the entry is not on the disk.
    """
    last, previous, epoch = tail(db)
    place = Place(last.epoch_number, last.seq + 1)
    entry, body = seal(draft, seq=place.seq, previous=previous)
    sealed = sealed_body(entry, body)
    try:
        db.write_one(*insertion(place.epoch_number, entry, sealed))
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
            _insert_incident(sql, incident)
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
    h = changes.acked.n
    with db.transaction() as sql:
        resync, resyncing, resync_to = sql.execute(
            "SELECT resync, resyncing, resync_to FROM terminal"
        ).fetchone()
        if changes.reset:
            # This snapshot names everything up to its position; what only an earlier attempt
            # named is gone.
            resync, resyncing, resync_to = resync + 1, 1, changes.until
        changed = sum(
            _store_record(sql, row, h, resync, overwrite=bool(resyncing)) for row in changes.rows
        )
        _store_notes(sql, changes.acked.epoch_number, changes.notes)
        for message in changes.unreadable:
            _insert_set_aside(sql, message)
        _insert_incident(sql, changes.incident)
        is_complete = not changes.more if resync_to is None else changes.to >= resync_to
        if resyncing and is_complete:
            sql.execute("DELETE FROM record WHERE named < ?", (resync,))
            resyncing = 0
        # A new generation may have lost entries: then `acked` may step back.
        sql.execute(
            "UPDATE terminal SET"
            " acked = CASE WHEN generation IS ?1 THEN max(acked, ?2) ELSE ?2 END,"
            " generation = ?1, position = ?3, resync = ?4, resyncing = ?5, resync_to = ?6,"
            " last_contact_at = ?7",
            (
                changes.generation,
                h,
                changes.to,
                resync,
                resyncing,
                resync_to,
                changes.last_contact_at,
            ),
        )
    return changed


def adopt_generation(
    db: Database, generation: str, last_contact_at: Instant, incident: Incident | None
) -> None:
    """Follow a new generation: earlier epochs are sent again before records are taken."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        (first,) = sql.execute("SELECT epoch FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = ?, position = 0, resync = resync + 1, resyncing = 1,"
            " acked = ?, last_contact_at = ?",
            (generation, Place(first, 0).n, last_contact_at),
        )


def acknowledge(
    db: Database, acked: Place, notes: Iterable[NoteRow], last_contact_at: Instant
) -> None:
    """Note that an earlier epoch is booked up to `acked`.

    Records of such a message are not taken.
    """
    with db.transaction() as sql:
        _store_notes(sql, acked.epoch_number, notes)
        sql.execute(
            "UPDATE terminal SET acked = max(acked, ?), last_contact_at = ?",
            (acked.n, last_contact_at),
        )


def note_contact(db: Database, last_contact_at: Instant) -> None:
    """Note the central's time of a message that changed nothing else."""
    with db.transaction() as sql:
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def begin_resync(db: Database, order: str | None, incident: Incident | None) -> None:
    """Ask for all records again; the present ones serve until the last one came.

    `order` is the id of an order that this fulfils.
    """
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        sql.execute(
            "UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1,"
            " order_done = coalesce(?, order_done)",
            (order,),
        )


def drop_record(db: Database, kind: str, record_id: str, incident: Incident) -> None:
    """Delete a record that cannot be read, and ask for all records again.

    Raise `DamagedError` if it is not there.
    """
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        deleted = sql.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id))
        if deleted.rowcount != 1:
            raise DamagedError(f"{db.path}: {kind} {record_id} can be neither read nor deleted")
        sql.execute("UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1")


def begin_epoch(db: Database, epoch_bits: str, order: str, incident: Incident) -> str:
    """Begin a new epoch and return its id. The caller checked that nothing is pending.

    `epoch_bits` are 16 hex digits of randomness.
    """
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        (number,) = sql.execute("SELECT max(n) + 1 FROM epoch").fetchone()
        epoch = f"{number}-{epoch_bits}"
        _insert_epoch(sql, number, epoch)
        sql.execute("UPDATE terminal SET acked = ?, order_done = ?", (Place(number, 0).n, order))
    return epoch


def take_over(db: Database, copies: Iterable[EpochCopy], epoch_bits: str) -> None:
    """Take epochs of another file into this one and begin a new epoch after them.

    All entries are sent to the central again, which recognises those it has; records are asked for
    again.
    """
    copies = list(copies)
    if not copies:
        return
    with db.transaction() as sql:
        (newest,) = sql.execute("SELECT max(n) FROM epoch").fetchone()
        for number, copy in enumerate(copies, start=newest + 1):
            base = copy.base
            sql.execute(
                "INSERT INTO epoch VALUES (?, ?, ?, ?)",
                (number, base.epoch, base.seq, bytes.fromhex(base.hash)),
            )
            for sealed in copy.entries:
                entry = decode_unhashed(sealed.body)
                sql.execute(*insertion(number, entry, sealed, is_copy=True))
        newest += len(copies) + 1
        _insert_epoch(sql, newest, f"{newest}-{epoch_bits}")
        (first,) = sql.execute("SELECT n FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = NULL, position = 0, resync = resync + 1,"
            " resyncing = 1, acked = ?",
            (first - 1,),
        )


def take_rules(db: Database, rules: Iterable[RecordRow], last_contact_at: Instant | None) -> None:
    """Take services and policies of another file, for use until all records came."""
    with db.transaction() as sql:
        for row in rules:
            _store_record(sql, row, Place(1, 0).n, 0, overwrite=True)
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def wipe(db: Database, order: str, incident: Incident) -> None:
    """Delete every card, account, rule, note and set-aside message of a retired terminal.

    The ledger stays until it is pruned. Two transactions: the order counts as done only when free
    pages hold nothing either. Raise `StoreError`, and it must be done again.
    """
    with db.transaction() as sql:
        for table in ("record", "note", "set_aside"):
            sql.execute(f"DELETE FROM {table}")
    db.compact()
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        sql.execute("UPDATE terminal SET order_done = ?", (order,))


def set_aside(db: Database, message: SetAside) -> None:
    """Keep a message that cannot be used."""
    with db.transaction() as sql:
        _insert_set_aside(sql, message)


def add_incident(db: Database, incident: Incident) -> None:
    """Keep an incident that belongs to no other write."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)


def recount_incident(db: Database, kind: str, detail: str) -> None:
    """Give the newest incident of a kind a detail with its present count."""
    with db.transaction() as sql:
        sql.execute(
            "UPDATE incident SET detail = ? WHERE n = (SELECT max(n) FROM incident WHERE kind = ?)",
            (detail, kind),
        )


def prune(db: Database, *, before: Instant) -> int:
    """Delete the oldest entries that are acknowledged, old, and inside their balance.

    Old means before `before`. Return how many, at most `PRUNE_ROWS_MAX`. Only a prefix goes, so
    that `oldest` describes what is kept. The newest acknowledged entry of any epoch stays: the
    chain, the hello and the clock's floor need it.
    """
    with db.transaction() as sql:
        ends: dict[int, tuple[int, bytes]] = {}  # epoch number -> seq and hash of its last deleted
        count = last = 0
        for n, at, digest, is_inside in sql.execute(
            "SELECT e.n, e.body ->> '$.at', e.hash, r.id IS NULL OR r.h >= e.n"
            " FROM entry e LEFT JOIN record r ON r.kind = 'account' AND r.id = e.eater"
            " WHERE e.n < (SELECT max(n) FROM entry WHERE n <= (SELECT acked FROM terminal))"
            " ORDER BY e.n LIMIT ?",
            (PRUNE_ROWS_MAX,),
        ):
            if at >= before or not is_inside:
                break
            place = Place.of(n)
            ends[place.epoch_number], count, last = (place.seq, digest), count + 1, n
        if not ends:
            return 0
        sql.execute("UPDATE terminal SET pruning = 1")
        sql.execute("DELETE FROM entry WHERE n <= ?", (last,))
        sql.execute("DELETE FROM note WHERE n <= ?", (last,))
        sql.execute("UPDATE terminal SET pruning = 0")
        for number, end in ends.items():
            sql.execute("UPDATE epoch SET base_seq = ?, base_hash = ? WHERE n = ?", (*end, number))
    return count


def _insert_epoch(sql: sqlite3.Connection, number: int, epoch: str) -> None:
    """Begin epoch `number` without entries."""
    town, terminal = sql.execute("SELECT town, id FROM terminal").fetchone()
    start = bytes.fromhex(genesis(town, terminal, epoch))
    sql.execute("INSERT INTO epoch VALUES (?, ?, 0, ?)", (number, epoch, start))


def _store_record(
    sql: sqlite3.Connection, row: RecordRow, h: int, resync: int, *, overwrite: bool
) -> int:
    if row.body is None:
        return sql.execute(
            "DELETE FROM record WHERE kind = ? AND id = ? AND p < ?", (row.kind, row.id, row.p)
        ).rowcount
    return sql.execute(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET"
        " p = excluded.p, h = excluded.h, named = excluded.named, body = excluded.body"
        " WHERE ? OR excluded.p > p",
        (row.kind, row.id, row.p, h, resync, row.body, overwrite),
    ).rowcount


def _store_notes(sql: sqlite3.Connection, epoch_number: int, notes: Iterable[NoteRow]) -> None:
    rows = [(Place(epoch_number, note.seq).n, note.status, note.reason) for note in notes]
    sql.executemany("INSERT OR IGNORE INTO note VALUES (?, ?, ?)", rows)


def _insert_incident(sql: sqlite3.Connection, incident: Incident | None) -> None:
    if incident is None:
        return
    sql.execute(
        "INSERT INTO incident (at, kind, detail) VALUES (?, ?, ?)",
        (incident.at, incident.kind, incident.detail),
    )
    sql.execute(
        "DELETE FROM incident WHERE n <= (SELECT max(n) FROM incident) - ?", (INCIDENT_ROWS_MAX,)
    )


def _insert_set_aside(sql: sqlite3.Connection, message: SetAside) -> None:
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
