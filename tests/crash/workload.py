"""What a terminal's file lives through, written down by the recorder: python -m tests.crash.workload FOLDER [PLANTED BUG].

After every transaction a line is added to the file `marks`: what was done, and a fingerprint of all rows as they are now. So
the record knows, for every point in time, between which two states the disk must be.
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
from agent.store import database, reads, writes
from agent.store.database import FORM, Database
from agent.store.rows import Changeset, Incident, NoteRow, RecordRow, SetAside
from agent.store.standing import newest_epoch, standing

AT = "2026-11-23T11:{:02d}:{:02d}.000Z"
GENERATION = "c0ffee" * 4
ACCOUNTS = 12
HEADROOM_BYTES = 64 * 1024
MIGRATING = "about to migrate"
NEWER = replace(
    FORM,
    migrations=(
        *FORM.migrations,
        "ALTER TABLE terminal ADD COLUMN added INTEGER NOT NULL DEFAULT 7",
    ),
)  # one to come


def fingerprint(sql: sqlite3.Connection) -> str:
    """Return a digest over every row of every table, and the schema's version."""
    total = hashlib.sha256(repr(sql.execute("PRAGMA user_version").fetchall()).encode())
    for (table,) in sql.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'headroom' ORDER BY name"
    ).fetchall():
        rows = sorted(map(repr, sql.execute(f"SELECT * FROM {table}").fetchall()))
        total.update(repr((table, rows)).encode())
    return total.hexdigest()


class Marks:
    """The file of marks. The last one says what the disk must hold at least."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put(self, done: str, sql: sqlite3.Connection | None) -> None:
        state = fingerprint(sql) if sql is not None else None
        os.write(self._file, json.dumps({"done": done, "state": state}).encode() + b"\n")


class Marked(Database):
    """The store, with a mark after each of its transactions."""

    def __init__(self, path: Path, marks: Marks, split: bool) -> None:
        self._marks = marks
        self._split = split
        super().__init__(path, headroom_bytes=HEADROOM_BYTES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with super().transaction() as sql:
            yield sql
            if self._split:  # planted: what belongs together in two transactions
                sql.execute("COMMIT")
                sql.execute("BEGIN IMMEDIATE")
                sql.execute("UPDATE terminal SET order_done = 'split'")
        if self.sql.execute(
            "SELECT 1 FROM terminal"
        ).fetchone():  # before it is a terminal's nothing is promised
            self._marks.put("transaction", self.sql)

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        super().write_one(statement, values)
        self._marks.put("entry", self.sql)


def meal(n: int, day: str) -> Entry:
    return Entry(
        kind=Kind.MEAL, cents=-366, at=AT.format(n // 60, n % 60), clock=ClockTrust.SYNCED, boot="b", mono_ms=n, how=How.CARD,
        account=f"a-{n % ACCOUNTS}", card=f"{n % ACCOUNTS:032x}", service="lunch", day=day,
    )  # fmt: skip


class Life:
    """A terminal's life, short and complete."""

    def __init__(self, folder: Path, planted: str) -> None:
        self.marks = Marks(folder)
        self.marks.put("nothing", None)
        if planted == "normal":
            pragmas = tuple(
                pragma.replace("synchronous = FULL", "synchronous = NORMAL")
                for pragma in FORM.pragmas
            )
            database.FORM = replace(FORM, pragmas=pragmas)
        elif planted == "psow":
            database.FORM = replace(FORM, options="&psow=1")
        self.db = Marked(folder / "t.db", self.marks, planted == "split")
        self.path = folder / "t.db"
        self.tapped = 0
        self.position = 0

    def taps(self, count: int, day: str) -> None:
        for _ in range(count):
            writes.append(self.db, meal(self.tapped, day))
            self.tapped += 1

    def storno(self) -> None:
        newest = reads.latest_entry(self.db)
        assert newest is not None
        undone = Reversed(epoch=newest_epoch(self.db), seq=newest.seq, hash=newest.hash)
        draft = meal(self.tapped, "")
        writes.append(
            self.db,
            Entry(
                kind=Kind.STORNO, cents=366, at=draft.at, clock=draft.clock, boot="b", mono_ms=draft.mono_ms, how=How.MANUAL,
                account=newest.account, card=newest.card, service="lunch", day=newest.day, reverses=undone,
            ),
        )  # fmt: skip

    def changes(self, names: range, *, acked: int, reset: bool = False, more: bool = False) -> None:
        """A message: whole records whose balance is the position, so that one of another message would show."""
        rows = []
        for n in names:
            self.position += 1
            body = f'{{"balance":{self.position},"id":"a-{n}","k":"account","p":{self.position}}}'
            rows.append(RecordRow(kind="account", id=f"a-{n}", p=self.position, body=body))
        number = standing(self.db).epoch_number
        at = AT.format(0, 0)
        writes.apply_changes(
            self.db,
            Changeset(
                generation=GENERATION,
                to=self.position,
                acked=Place(number, acked),
                rows=rows,
                notes=[NoteRow(seq=1, status="flagged", reason="x")],
                reset=reset,
                more=more,
                until=None,
                last_contact_at=at,
                unreadable=[SetAside(at=at, topic="topic", payload=b"{", reason="why")],
                incident=None,
            ),
        )

    def live(self) -> None:
        writes.initialise(self.db, town="borgo", terminal="t-1", epoch="1-0123456789abcdef")
        self.db.reserve()
        self.changes(range(ACCOUNTS // 2), acked=0, reset=True, more=True)
        self.changes(range(ACCOUNTS // 2, ACCOUNTS), acked=0)
        self.taps(ACCOUNTS, "2026-11-20")
        self.storno()
        self.taps(1, "2026-11-21")
        self.changes(range(3), acked=5)
        self.db.checkpoint()
        self.taps(ACCOUNTS, "2026-11-23")
        self.changes(range(ACCOUNTS), acked=20)
        writes.prune(self.db, before="2027-01-01T00:00:00.000Z")
        writes.begin_resync(
            self.db, None, Incident(at=AT.format(1, 0), kind="digest", detail="a difference")
        )
        self.changes(range(ACCOUNTS // 2), acked=24, reset=True)  # the other half is gone
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
        """A newer program starts on this file, its outbox full."""
        self.marks.put(MIGRATING, self.db.sql)
        self.db.close()
        file: SqliteFile[object] = SqliteFile(self.path, NEWER, "rw")
        self.marks.put("migrated", file.sql)
        file.close()


def main(folder: Path, planted: str) -> None:
    life = Life(folder, planted)
    life.live()
    life.migrate()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
