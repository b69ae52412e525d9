"""All that happens to a terminal's file: python -m tests.crash.workload FOLDER [PLANTED FAULT].

After every transaction a line is appended to the file `states`: what was done, and a fingerprint of
all rows. So the recording tells, for every cut, between which two states the disk must be.
"""

import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, How, Kind, Place, Reversed
from agent.sqlite_file import SqliteFile
from agent.store import database, pruning, reads, writes
from agent.store.database import FORM, Database
from agent.store.rows import Changeset, Incident, NoteRow, RecordRow, SetAside
from agent.store.standing import newest_epoch, standing

AT = "2026-11-23T11:{:02d}:{:02d}.000Z"
GENERATION = "c0ffee" * 4
ACCOUNTS = 12
HEADROOM_BYTES = 64 * 1024
STATES_FILE = "states"
MIGRATING = "about to migrate"
# The terminal's file as a program with one more migration has it.
MIGRATION = "ALTER TABLE terminal ADD COLUMN added INTEGER NOT NULL DEFAULT 7"
NEWER = replace(FORM, migrations=(*FORM.migrations, MIGRATION))


def fingerprint(sql: sqlite3.Connection) -> str:
    """Return a digest over every row of every table and the schema's version."""
    total = hashlib.sha256(repr(sql.execute("PRAGMA user_version").fetchall()).encode())
    tables = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'headroom' ORDER BY name"
    )
    for (table,) in sql.execute(tables).fetchall():
        rows = sorted(map(repr, sql.execute(f"SELECT * FROM {table}").fetchall()))
        total.update(repr((table, rows)).encode())
    return total.hexdigest()


class States:
    """The file of states. Its last line says what the disk must hold at least."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / STATES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put(self, done: str, sql: sqlite3.Connection | None) -> None:
        state = fingerprint(sql) if sql is not None else None
        os.write(self._file, json.dumps({"done": done, "state": state}).encode() + b"\n")


class WatchedDatabase(Database):
    """The store, which puts down its state after each transaction."""

    def __init__(self, path: Path, states: States, *, split: bool) -> None:
        self._states = states
        self._split = split
        super().__init__(path, headroom_bytes=HEADROOM_BYTES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with super().transaction() as sql:
            yield sql
            if self._split:  # planted: one transaction becomes two
                sql.execute("COMMIT")
                sql.execute("BEGIN IMMEDIATE")
                sql.execute("UPDATE terminal SET order_done = 'split'")
        # A file without a terminal's row is blank: nothing is promised of it.
        if self.sql.execute("SELECT 1 FROM terminal").fetchone():
            self._states.put("transaction", self.sql)

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        super().write_one(statement, values)
        self._states.put("entry", self.sql)


def meal(n: int, day: str) -> Entry:
    return Entry(
        kind=Kind.MEAL, cents=-366, at=AT.format(n // 60, n % 60), clock=ClockTrust.SYNCED,
        boot="b", mono_ms=n, how=How.CARD, account=f"a-{n % ACCOUNTS}", card=f"{n % ACCOUNTS:032x}",
        service="lunch", day=day,
    )  # fmt: skip


class Workload:
    """A short run of a terminal's file that uses every kind of write."""

    def __init__(self, folder: Path, planted: str) -> None:
        self.states = States(folder)
        self.states.put("nothing", None)
        if planted == "normal":
            pragmas = tuple(
                pragma.replace("synchronous = FULL", "synchronous = NORMAL")
                for pragma in FORM.pragmas
            )
            database.FORM = replace(FORM, pragmas=pragmas)
        elif planted == "psow":
            database.FORM = replace(FORM, options="&psow=1")
        self.path = folder / "t.db"
        self.db = WatchedDatabase(self.path, self.states, split=planted == "split")
        self.tapped = 0
        self.position = 0

    def taps(self, count: int, day: str) -> None:
        for _ in range(count):
            writes.append(self.db, meal(self.tapped, day))
            self.tapped += 1

    def storno(self) -> None:
        newest = reads.entries(self.db, newest=1)[0].entry
        undone = Reversed(epoch=newest_epoch(self.db), seq=newest.seq, hash=newest.hash)
        draft = meal(self.tapped, "")
        writes.append(
            self.db,
            Entry(
                kind=Kind.STORNO, cents=366, at=draft.at, clock=draft.clock, boot="b",
                mono_ms=draft.mono_ms, how=How.MANUAL, account=newest.account, card=newest.card,
                service="lunch", day=newest.day, reverses=undone,
            ),
        )  # fmt: skip

    def changes(self, names: range, *, acked: int, reset: bool = False, more: bool = False) -> None:
        """Apply a message. A record's balance is its position: no two messages look alike."""
        rows = []
        for n in names:
            self.position += 1
            body = f'{{"balance":{self.position},"id":"a-{n}","k":"account","p":{self.position}}}'
            rows.append(RecordRow(kind="account", id=f"a-{n}", p=self.position, body=body))
        number = standing(self.db).epoch_number
        at = AT.format(0, 0)
        changeset = Changeset(
            generation=GENERATION,
            to=self.position,
            acked=Place(number, acked),
            h=Place(number, acked),
            rows=rows,
            notes_after=0,
            notes=[NoteRow(seq=1, status="flagged", reason="x")],
            reset=reset,
            more=more,
            until=None,
            last_contact_at=at,
            unreadable=[SetAside(at=at, topic="topic", payload=b"{", reason="why")],
            incident=None,
        )
        writes.apply_changes(self.db, changeset)

    def run(self) -> None:
        writes.initialise(self.db, town="borgo", terminal="t-1", epoch="1-0123456789abcdef")
        self.db.make_headroom()
        self.changes(range(ACCOUNTS // 2), acked=0, reset=True, more=True)
        self.changes(range(ACCOUNTS // 2, ACCOUNTS), acked=0)
        self.taps(ACCOUNTS, "2026-11-20")
        self.storno()
        self.taps(1, "2026-11-21")
        self.changes(range(3), acked=5)
        self.db.checkpoint()
        self.taps(ACCOUNTS, "2026-11-23")
        self.changes(range(ACCOUNTS), acked=20)
        pruning.prune(self.db, before="2027-01-01T00:00:00.000Z", below=2**60)
        writes.begin_resync(
            self.db, None, Incident(at=AT.format(1, 0), kind="digest", detail="a difference")
        )
        # The resynchronisation does not name the other half: it is deleted.
        self.changes(range(ACCOUNTS // 2), acked=24, reset=True)
        self.db.checkpoint()
        self.changes(range(2), acked=standing(self.db).end.seq)
        writes.begin_epoch(
            self.db,
            "f" * 16,
            "o-1",
            Incident(at=AT.format(2, 0), kind="new_epoch", detail="by order o-1"),
        )
        self.taps(6, "2026-11-24")
        self.storno()
        self.db.checkpoint()
        self.taps(3, "2026-11-25")

    def migrate(self) -> None:
        """Open the file with a newer program while entries are pending."""
        self.states.put(MIGRATING, self.db.sql)
        self.db.close()
        file: SqliteFile[object] = SqliteFile(self.path, NEWER, "rw")
        self.states.put("migrated", file.sql)
        file.close()


def main(folder: Path, planted: str) -> None:
    workload = Workload(folder, planted)
    workload.run()
    workload.migrate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
