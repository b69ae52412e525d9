"""Writes that bring entries of another file, or of the same file's raw bytes, into a ledger.

Each function is one transaction, as in `writes.py`.
"""

import sqlite3
from collections.abc import Iterable

from agent.domain.clock import Instant
from agent.domain.ledger import Place
from agent.store.database import Database
from agent.store.insertion import decode_unhashed, insertion
from agent.store.rows import EpochCopy, Incident, RecordRow, SealedBody
from agent.store.statements import insert_epoch, insert_incident, store_record


def take_over(db: Database, copies: Iterable[EpochCopy], epoch_bits: str) -> None:
    """Take entries of another file into this one; begin a new epoch if they are of other epochs.

    Entries of an epoch that is here must lie directly before or behind its own. All entries are
    sent to the central again, which recognises those it has; records are requested again.
    """
    copies = list(copies)
    if not copies:
        return
    with db.transaction() as sql:
        known = dict(sql.execute("SELECT id, n FROM epoch").fetchall())
        newest = before = max(known.values())
        for copy in copies:
            base = copy.base
            number = known.get(base.epoch)
            values = (base.seq, bytes.fromhex(base.hash))
            if number is None:
                newest = known[base.epoch] = number = newest + 1
                sql.execute(
                    "INSERT INTO epoch VALUES (?, ?, ?, ?, NULL)", (number, base.epoch, *values)
                )
            else:
                sql.execute(
                    "UPDATE epoch SET base_seq = ?1, base_hash = ?2 WHERE n = ?3 AND base_seq > ?1",
                    (*values, number),
                )
            for sealed in copy.entries:
                _insert_sealed(sql, number, sealed)
        if newest > before:
            insert_epoch(sql, newest + 1, f"{newest + 1}-{epoch_bits}")
        (first,) = sql.execute("SELECT n FROM entry ORDER BY n LIMIT 1").fetchone()
        sql.execute(
            "UPDATE terminal SET generation = NULL, position = 0, resync = resync + 1,"
            " resyncing = 1, acked = ?",
            (first - 1,),
        )


def append_proved(db: Database, entries: Iterable[SealedBody], incident: Incident) -> None:
    """Append entries that follow the newest one by their hashes, with the incident about them."""
    with db.transaction() as sql:
        (number,) = sql.execute("SELECT max(n) FROM epoch").fetchone()
        for sealed in entries:
            _insert_sealed(sql, number, sealed)
        insert_incident(sql, incident)


def take_rules(db: Database, rules: Iterable[RecordRow], last_contact_at: Instant | None) -> None:
    """Take services and policies of another file, for use until all records came."""
    with db.transaction() as sql:
        for row in rules:
            store_record(sql, row, Place(1, 0).n, 0, overwrite=True)
        sql.execute("UPDATE terminal SET last_contact_at = ?", (last_contact_at,))


def stay_wiped(db: Database) -> None:
    """Take no records, as the damaged file did that this one replaces."""
    with db.transaction() as sql:
        sql.execute("UPDATE terminal SET wiped = 1")


def _insert_sealed(sql: sqlite3.Connection, number: int, sealed: SealedBody) -> None:
    entry = decode_unhashed(sealed.body)
    sql.execute(*insertion(number, entry, sealed, is_another=True))
