"""Everything that can happen to a terminal's database. This list is the list.

Each function but `wipe` is one transaction: when it has returned, its effect is on the disk; when it raises, nothing happened.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from agent.domain.clock import ClockTrust, Instant
from agent.domain.ledger import SEQ_BITS, Entry, Kind, Place, genesis, seal
from agent.errors import DamagedError, StoreError, UncertainCommitError
from agent.store import reads
from agent.store.database import Database

SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536  # enough to see what it was; a flood must not fill the card
SET_ASIDE_ROWS_MAX = 1_000
INCIDENT_ROWS_MAX = 1_000
PRUNE_ROWS_MAX = 500  # one bite of pruning takes no longer than a tap may wait


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A record as it came: `body` is its canonical JSON. `body` None removes (a tombstone of `kind`, `id`)."""

    kind: str
    id: str
    p: int
    body: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRow:
    seq: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What a technician should know of later; where it tells of a write, kept in the same transaction, so that neither is there without the
    other."""

    at: Instant
    kind: str
    detail: str


def initialise(db: Database, *, town: str, terminal: str, epoch: str) -> None:
    """Make a blank database this terminal's: its one row and its first epoch. No effect on a founded one."""
    with db.transaction() as sql:
        if sql.execute("SELECT 1 FROM terminal").fetchone():
            return
        sql.execute(
            "INSERT INTO terminal VALUES (1, ?, ?, ?, NULL, 0, 0, 0, NULL, NULL, NULL, 0)",
            (town, terminal, Place(1, 0).n),
        )
        sql.execute(
            "INSERT INTO epoch VALUES (1, ?, 0, ?)",
            (epoch, bytes.fromhex(genesis(town, terminal, epoch))),
        )


_MEAL_NUMBER = (
    "(SELECT 1 + CASE WHEN ? THEN count(*) ELSE count(s.n) END FROM entry m LEFT JOIN entry s ON s.reverses = m.n"
    " WHERE m.eater = ? AND m.day = ? AND m.service = ? AND m.meal_number > 0)"
)
_COLUMNS = "(n, kind, eater, service, day, meal_number, cents, reverses, hash, body)"
_INSERT_MEAL = f"INSERT INTO entry {_COLUMNS} VALUES (?, ?, ?, ?, ?, {_MEAL_NUMBER}, ?, NULL, ?, ?)"
# the meal of a storno may stand in an epoch that is not here any more
_REVERSES = f"coalesce((SELECT n FROM epoch WHERE id = ?) << {SEQ_BITS} | ?, ?)"
_INSERT_OTHER = f"INSERT INTO entry {_COLUMNS} VALUES (?, ?, ?, ?, ?, 0, ?, {_REVERSES}, ?, ?)"

_entry_decoder = msgspec.json.Decoder(Entry)


def record(db: Database, draft: Entry) -> Entry:
    """Append an entry to the ledger and return it sealed. Raise `StoreError` if it would be a second meal or storno.

    One statement, which is the whole transaction: a tap costs one flush and little beside it. Raise `StoreError` also when the disk
    does not take it; after an I/O error, which may have come behind the commit, only when the entry is not there.
    """
    epoch, seq, previous = reads.tail(db)
    entry, canonical_json = seal(draft, seq=seq + 1, previous=previous)
    body = canonical_json.decode()
    _require_readable(body)
    statement, values = _insertion(epoch, entry, bytes.fromhex(entry.hash), body)
    try:
        db.write_one(statement, values)
    except StoreError as error:
        if not _is_there(db, Place(epoch, entry.seq).n, bytes.fromhex(entry.hash), error):
            raise
    reads.keep_after(db, entry.seq, entry.hash)
    return entry


def record_all(db: Database, drafts: Iterable[Entry]) -> list[Entry]:
    """Append entries to the ledger, all or none, and return them sealed. Raise `StoreError`."""
    entries = []
    with db.transaction() as sql:
        epoch, last, previous = reads.tail(db)
        for seq, draft in enumerate(drafts, start=last + 1):
            entry, canonical_json = seal(draft, seq=seq, previous=previous)
            previous = entry.hash
            _require_readable(canonical_json.decode())
            sql.execute(
                *_insertion(epoch, entry, bytes.fromhex(entry.hash), canonical_json.decode())
            )
            entries.append(entry)
    return entries


def _insertion(
    epoch: int, entry: Entry, digest: bytes, body: str, *, as_it_was: bool = False
) -> tuple[str, tuple[object, ...]]:
    """Return the statement that appends an entry to an epoch, and its values. `as_it_was`: made on another disk, which may have served
    the same child."""
    eater = entry.account or entry.card
    what = (Place(epoch, entry.seq).n, entry.kind.value, eater, entry.service, entry.day)
    if entry.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        # under a clock known to be wrong the day is a guess, and a guess must not make two days' meals into one
        meal_number = (
            as_it_was or entry.clock is ClockTrust.UNSET,
            eater,
            entry.day,
            entry.service,
        )
        return _INSERT_MEAL, (*what, *meal_number, entry.cents, digest, body)
    # an epoch that is nowhere here has no number: the storno's own place, below zero, is nobody else's
    unknown = -Place(epoch, entry.seq).n
    reverses = (
        (entry.reverses.epoch, entry.reverses.seq, unknown)
        if entry.reverses
        else (None, None, None)
    )
    return _INSERT_OTHER, (*what, entry.cents, *reverses, digest, body)


def _is_there(db: Database, n: int, digest: bytes, error: StoreError) -> bool:
    """Look whether an entry whose commit ended with an I/O error is on the disk all the same.

    It may be seen and yet be in memory only (a sync that failed is not done again by the kernel): what counts is that it can be
    brought from the write-ahead log into the file, by writes and syncs of its own.
    """
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    if code & 0xFF != sqlite3.SQLITE_IOERR:
        return False
    try:
        db.reopen()
        if not reads.holds(db, n, digest):
            return False
        if db.checkpoint():
            return True
    except DamagedError:
        raise
    except StoreError as still:
        raise UncertainCommitError(str(still), n, digest) from still
    raise UncertainCommitError(str(error), n, digest) from error


def _require_readable(body: str) -> None:
    """What is written can be read again, here and at the central: an entry outside the contract's limits is not made."""
    try:
        _entry_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise StoreError(f"not recorded, it is outside what an entry may hold: {error}") from None


def apply_changes(
    db: Database,
    *,
    generation: str,
    to: int,
    acked: tuple[int, int],
    rows: Iterable[RecordRow],
    notes: Iterable[NoteRow],
    reset: bool,
    more: bool,
    until: int | None,
    last_contact_at: Instant,
    unreadable: Iterable[tuple[str, bytes, str]],
    incident: Incident | None,
) -> int:
    """Store a message of the central: records with their `h`, notes, position, acknowledgement. Return the records changed.

    `acked` is (epoch number, seq), and is the `h` of every record of the message. `reset` begins a resynchronisation, which ends when
    the position reaches `until`, where the central stood when it began (None: with a message that has no `more`): a record that
    it did not name by then is gone and is removed. `unreadable` are (topic, payload, reason).
    """
    with db.transaction() as sql:
        resync, resyncing, resync_to = sql.execute(
            "SELECT resync, resyncing, resync_to FROM terminal"
        ).fetchone()
        if reset:  # it names all up to its position, so what an earlier attempt named and this one does not is gone
            resync, resyncing, resync_to = resync + 1, 1, until
        changed = 0
        for row in rows:
            changed += _store_record(sql, row, Place(*acked).n, resync, overwrite=bool(resyncing))
        _store_notes(sql, acked[0], notes)
        for topic, payload, reason in unreadable:
            _insert_set_aside(sql, topic, payload, reason, last_contact_at)
        _insert_incident(sql, incident)
        if resyncing and (to >= resync_to if resync_to is not None else not more):
            sql.execute("DELETE FROM record WHERE named < ?", (resync,))
            resyncing = 0
        # a new life of the central: what it lost is sent again
        sql.execute(
            "UPDATE terminal SET acked = CASE WHEN generation IS ?1 THEN max(acked, ?2) ELSE ?2 END, generation = ?1, position = ?3,"
            " resync = ?4, resyncing = ?5, resync_to = ?6, last_contact_at = ?7",
            (generation, Place(*acked).n, to, resync, resyncing, resync_to, last_contact_at),
        )
    return changed


def adopt_generation(
    db: Database, generation: str, last_contact_at: Instant, incident: Incident | None
) -> None:
    """Begin with a new life of the central when earlier epochs are kept: they are offered again, then records are taken."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        (first,) = sql.execute("SELECT epoch FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = ?, position = 0, resync = resync + 1, resyncing = 1, acked = ?, last_contact_at = ?",
            (generation, Place(first, 0).n, last_contact_at),
        )


def acknowledge(
    db: Database, acked: tuple[int, int], notes: Iterable[NoteRow], last_contact_at: Instant
) -> None:
    """Note that an earlier epoch is booked up to (epoch number, seq). Records of such a message are not taken."""
    with db.transaction() as sql:
        _store_notes(sql, acked[0], notes)
        sql.execute(
            "UPDATE terminal SET acked = max(acked, ?), last_contact_at = ?",
            (Place(*acked).n, last_contact_at),
        )


def hear(db: Database, last_contact_at: Instant) -> None:
    """Note that the central was heard, with its time, though its message changed nothing."""
    with db.transaction() as sql:
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def begin_resync(db: Database, order: str | None, incident: Incident | None) -> None:
    """Ask for everything again from position 0. What is held goes on serving until the last message of it. `order`: done by this."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        sql.execute(
            "UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1, order_done = coalesce(?, order_done)",
            (order,),
        )


def forget_record(db: Database, kind: str, record_id: str, incident: Incident) -> None:
    """Forget a record that cannot be read any more, and ask for everything again. Raise `DamagedError` where it is not found."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        if (
            sql.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, record_id)).rowcount
            != 1
        ):
            raise DamagedError(
                f"{db.path}: the {kind} {record_id} can be neither read nor forgotten"
            )
        sql.execute("UPDATE terminal SET position = 0, resync = resync + 1, resyncing = 1")


def begin_epoch(db: Database, epoch_bits: str, order: str, incident: Incident) -> str:
    """Begin a new epoch and return its id; `epoch_bits` are 16 hex digits of randomness. The caller saw that nothing is pending."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        town, terminal = sql.execute("SELECT town, id FROM terminal").fetchone()
        (number,) = sql.execute("SELECT max(n) + 1 FROM epoch").fetchone()
        epoch = f"{number}-{epoch_bits}"
        sql.execute(
            "INSERT INTO epoch VALUES (?, ?, 0, ?)",
            (number, epoch, bytes.fromhex(genesis(town, terminal, epoch))),
        )
        sql.execute("UPDATE terminal SET acked = ?, order_done = ?", (Place(number, 0).n, order))
    return epoch


def take_over(
    db: Database,
    epochs: Iterable[tuple[str, tuple[int, bytes], list[tuple[bytes, str]]]],
    epoch_bits: str,
) -> None:
    """Take epochs of another file into this one as its own, and begin a new one after them.

    Each is (id, (seq, hash) that its entries follow, entries as (hash, body)), proved by their chain. All is offered to the central
    again and records are asked for anew: it knows what it has booked.
    """
    taken = list(epochs)
    if not taken:
        return
    with db.transaction() as sql:
        town, terminal = sql.execute("SELECT town, id FROM terminal").fetchone()
        (newest,) = sql.execute("SELECT max(n) FROM epoch").fetchone()
        for number, (epoch, (base_seq, base_hash), entries) in enumerate(taken, start=newest + 1):
            sql.execute(
                "INSERT INTO epoch VALUES (?, ?, ?, ?)", (number, epoch, base_seq, base_hash)
            )
            for digest, body in entries:
                sql.execute(
                    *_insertion(number, _entry_decoder.decode(body), digest, body, as_it_was=True)
                )
        newest += len(taken) + 1
        epoch = f"{newest}-{epoch_bits}"
        sql.execute(
            "INSERT INTO epoch VALUES (?, ?, 0, ?)",
            (newest, epoch, bytes.fromhex(genesis(town, terminal, epoch))),
        )
        (first,) = sql.execute("SELECT n FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = NULL, position = 0, resync = resync + 1, resyncing = 1, acked = ?",
            (first - 1,),
        )


def take_rules(db: Database, rules: Iterable[RecordRow], last_contact_at: Instant | None) -> None:
    """Take services and policies of another file of this terminal, to go by until all is told again, and when the central was heard."""
    with db.transaction() as sql:
        for row in rules:
            _store_record(sql, row, Place(1, 0).n, 0, overwrite=True)
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def wipe(db: Database, order: str, incident: Incident) -> None:
    """Forget every card, account and rule: a stolen or retired box. The ledger stays until it is pruned.

    Two transactions: done is said only when nothing is left in free pages either. Raise `StoreError`, and it is to be done again.
    """
    with db.transaction() as sql:
        for table in ("record", "note", "set_aside"):
            sql.execute(f"DELETE FROM {table}")
    db.compact()
    with db.transaction() as sql:
        _insert_incident(sql, incident)
        sql.execute("UPDATE terminal SET order_done = ?", (order,))


def set_aside(db: Database, *, topic: str, payload: bytes, reason: str, at: Instant) -> None:
    """Keep a message that cannot be used."""
    with db.transaction() as sql:
        _insert_set_aside(sql, topic, payload, reason, at)


def add_incident(db: Database, incident: Incident) -> None:
    """Keep an incident by itself."""
    with db.transaction() as sql:
        _insert_incident(sql, incident)


def prune(db: Database, *, before: Instant) -> int:
    """Forget the oldest entries that are booked, older than `before`, and inside their account's balance. Return how many.

    A prefix only, so that `oldest` says all; never the newest booked entry, of whatever epoch: the chain, the hello and the clock's
    floor stand on it.
    """
    with db.transaction() as sql:
        ends: dict[int, tuple[int, bytes]] = {}  # epoch -> newest entry of it that goes
        count = last = 0
        for n, at, digest, inside in sql.execute(
            "SELECT e.n, e.body ->> '$.at', e.hash, r.id IS NULL OR r.h >= e.n"
            " FROM entry e LEFT JOIN record r ON r.kind = 'account' AND r.id = e.eater"
            " WHERE e.n < (SELECT max(n) FROM entry WHERE n <= (SELECT acked FROM terminal)) ORDER BY e.n LIMIT ?",
            (PRUNE_ROWS_MAX,),
        ):
            if at >= before or not inside:
                break
            epoch, seq = Place.of(n)
            ends[epoch], count, last = (seq, digest), count + 1, n
        if not ends:
            return 0
        sql.execute("UPDATE terminal SET pruning = 1")
        sql.execute("DELETE FROM entry WHERE n <= ?", (last,))
        sql.execute("DELETE FROM note WHERE n <= ?", (last,))
        sql.execute("UPDATE terminal SET pruning = 0")
        for epoch, end in ends.items():
            sql.execute("UPDATE epoch SET base_seq = ?, base_hash = ? WHERE n = ?", (*end, epoch))
    return count


def _store_record(
    sql: sqlite3.Connection, row: RecordRow, h: int, resync: int, *, overwrite: bool
) -> int:
    if row.body is None:
        return sql.execute(
            "DELETE FROM record WHERE kind = ? AND id = ? AND p < ?", (row.kind, row.id, row.p)
        ).rowcount
    return sql.execute(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET p = excluded.p,"
        " h = excluded.h, named = excluded.named, body = excluded.body WHERE ? OR excluded.p > p",
        (row.kind, row.id, row.p, h, resync, row.body, overwrite),
    ).rowcount


def _store_notes(sql: sqlite3.Connection, epoch: int, notes: Iterable[NoteRow]) -> None:
    rows = [(Place(epoch, note.seq).n, note.status, note.reason) for note in notes]
    sql.executemany("INSERT OR IGNORE INTO note VALUES (?, ?, ?)", rows)


def _insert_incident(sql: sqlite3.Connection, incident: Incident | None) -> None:
    if incident is not None:
        sql.execute(
            "INSERT INTO incident (at, kind, detail) VALUES (?, ?, ?)",
            (incident.at, incident.kind, incident.detail),
        )
        sql.execute(
            "DELETE FROM incident WHERE n <= (SELECT max(n) FROM incident) - ?",
            (INCIDENT_ROWS_MAX,),
        )


def _insert_set_aside(
    sql: sqlite3.Connection, topic: str, payload: bytes, reason: str, at: Instant
) -> None:
    sql.execute(
        "INSERT INTO set_aside (at, topic, bytes, payload, reason) VALUES (?, ?, ?, ?, ?)",
        (at, topic[:256], len(payload), payload[:SET_ASIDE_PAYLOAD_BYTES_MAX], reason),
    )
    sql.execute(
        "DELETE FROM set_aside WHERE n <= (SELECT max(n) FROM set_aside) - ?", (SET_ASIDE_ROWS_MAX,)
    )
