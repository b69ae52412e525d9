"""Reads what can be proved of a damaged ledger, and brings it into another file.

What is proved is a run of entries in which each hash covers the entry before. Their keys stay, so
the central recognises the entries it has.
"""

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import is_instant
from agent.domain.ledger import ChainEnd, Place, genesis
from agent.errors import StoreError
from agent.sqlite_file import FAULTS
from agent.store import writes
from agent.store.damage import hash_of
from agent.store.database import Database
from agent.store.rows import EpochCopy, RecordRow, SealedBody
from agent.store.standing import standing

MAGIC = b"SQLite format 3\0"
COPY = ".copy-"
MISSING_MAX = 50_000  # an epoch ends where so many places in a row have no entry

_service = msgspec.json.Decoder(ServiceRecord)
_policy = msgspec.json.Decoder(PolicyRecord)


class EpochRow(NamedTuple):
    """A row of the table `epoch` in a file that may be damaged."""

    number: int
    id: str
    base_seq: object
    base_hash: object


@dataclass(frozen=True, slots=True)
class SalvagedEpoch:
    """What can be proved of one epoch.

    `newest` is the last run of entries, `earlier` are the runs before damaged places: a ledger is
    one chain, so they reach the central as files. `lost` counts places that could not be read.
    """

    newest: EpochCopy
    earlier: list[EpochCopy]
    lost: int

    @property
    def epoch(self) -> str:
        return self.newest.base.epoch


@dataclass(frozen=True, slots=True)
class Damaged:
    """What a damaged file contains. `town` and `terminal` are None when it does not say."""

    town: str | None
    terminal: str | None
    last_contact_at: str | None
    epochs: list[SalvagedEpoch]
    rules: list[RecordRow]  # services and policies
    is_wiped: bool = False

    def is_of(self, town: str, terminal: str) -> bool:
        """Return whether the file may be this terminal's: by its names, or by its epochs.

        Names may be damaged; an epoch that begins with the terminal's genesis hash proves the same.
        """
        if (self.town, self.terminal) in ((town, terminal), (None, None)):
            return True
        return any(
            run.base.seq == 0 and run.base.hash == genesis(town, terminal, run.base.epoch)
            for salvaged in self.epochs
            for run in (salvaged.newest, *salvaged.earlier)
        )


def read_damaged(path: Path, on_progress: Callable[[], None] = lambda: None) -> Damaged:
    """Return what can be read and proved of a file that may be damaged anywhere.

    `on_progress` is called for each epoch. Reads a copy, since opening changes a file. Raise
    `OSError` where there is no room for one.
    """
    folder_prefix = f"{path.name}{COPY}"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=folder_prefix) as folder:
        copy = Path(folder) / "copy.db"
        for end in ("", "-wal"):
            source = path.with_name(path.name + end)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + end))
        with open(copy, "r+b") as file:
            file.write(MAGIC)  # a damaged first page may have lost it
        return _read_copy(copy, on_progress)


def salvage(path: Path, database: Path, epoch_bits: str) -> list[SalvagedEpoch]:
    """Bring what can be proved of a damaged file into a terminal's own ledger, and return it.

    No agent may run. Epochs that the ledger has already are left out. Raise `StoreError`.
    """
    if not path.exists():
        raise StoreError(f"{path}: does not exist")
    if not database.exists():
        raise StoreError(f"{database}: does not exist; no terminal has run here yet")
    with closing(Database(database)) as db:
        own = standing(db)
        try:
            damaged = read_damaged(path)
        except OSError as error:
            raise StoreError(f"{path}: no room for a copy beside it: {error}") from error
        if not damaged.is_of(own.town, own.terminal):
            raise StoreError(
                f"{path}: belongs to {damaged.town}/{damaged.terminal},"
                f" this terminal is {own.town}/{own.terminal}"
            )
        known = {row[0] for row in db.rows("SELECT id FROM epoch")}
        salvaged = [
            epoch for epoch in damaged.epochs if epoch.newest.entries and epoch.epoch not in known
        ]
        writes.take_over(db, [epoch.newest for epoch in salvaged], epoch_bits)
    return salvaged


def _read_copy(path: Path, on_progress: Callable[[], None]) -> Damaged:
    with closing(sqlite3.connect(path)) as sql:
        sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = _rows(sql, "SELECT town, id, last_contact_at FROM terminal")
        town, terminal, last_contact_at = (names or [(None, None, None)])[0]
        if last_contact_at is not None and not is_instant(last_contact_at):
            last_contact_at = None
        epochs = []
        for row in _rows(sql, "SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n"):
            if not isinstance(row[1], str):
                continue  # nothing of an epoch without a name can be proved
            on_progress()
            epoch = EpochRow(*row)
            epochs.append(_read_epoch(sql, epoch, genesis(town or "", terminal or "", epoch.id)))
        is_wiped = _rows(sql, "SELECT wiped FROM terminal") == [(1,)]
        return Damaged(town, terminal, last_contact_at, epochs, list(_rules(sql)), is_wiped)


def _read_epoch(sql: sqlite3.Connection, row: EpochRow, start: str) -> SalvagedEpoch:
    """Return what can be proved of an epoch whose row may be damaged: the try that proves most.

    `start` is the genesis hash of the epoch.
    """
    beginning = ChainEnd(epoch=row.id, seq=0, hash=start)
    base = beginning
    if isinstance(row.base_seq, int) and isinstance(row.base_hash, bytes):
        base = ChainEnd(epoch=row.id, seq=row.base_seq, hash=row.base_hash.hex())
    # The id tells the number as its disk counted it.
    named = int(row.id.split("-")[0]) if re.match(r"[0-9]{1,9}-", row.id) else row.number
    # Each try reads to the end of the epoch, so none is repeated.
    tries = dict.fromkeys((n, begin) for n in (row.number, named) for begin in (base, beginning))
    return max(
        (_read_runs(sql, n, begin) for n, begin in tries),
        key=lambda salvaged: len(salvaged.newest.entries),
    )


def _read_runs(sql: sqlite3.Connection, number: int, base: ChainEnd) -> SalvagedEpoch:
    runs: list[EpochCopy] = []
    run = EpochCopy(base=base, entries=[])
    previous: bytes | None = bytes.fromhex(base.hash)  # None after a place without an entry
    seq, missing, lost = base.seq, 0, 0
    while missing < MISSING_MAX:
        seq += 1
        sealed = _read_entry(sql, Place(number, seq))
        if sealed is None:
            missing, previous = missing + 1, None
            continue
        lost, missing = lost + missing, 0
        if previous is not None and hash_of(previous, sealed.body) == sealed.hash:
            if not run.entries:
                runs.append(run)
            run.entries.append(sealed)
        else:
            # The next entry may follow this one, which itself is not proved.
            lost += previous is not None
            end = ChainEnd(epoch=base.epoch, seq=seq, hash=sealed.hash.hex())
            run = EpochCopy(base=end, entries=[])
        previous = sealed.hash
    newest = runs[-1] if runs else EpochCopy(base=base, entries=[])
    return SalvagedEpoch(newest, runs[:-1], lost)


def _read_entry(sql: sqlite3.Connection, place: Place) -> SealedBody | None:
    """Return the entry at a place, None where it cannot be read."""
    try:
        row = sql.execute("SELECT hash, body FROM entry WHERE n = ?", (place.n,)).fetchone()
    except (*FAULTS, OverflowError):
        return None
    if row is None or not isinstance(row[0], bytes) or not isinstance(row[1], str):
        return None
    return SealedBody(row[0], row[1])


def _rules(sql: sqlite3.Connection) -> Iterator[RecordRow]:
    """Yield services and policies, which a lunch needs; no child's record."""
    for kind, record_id, p, body in _rows(
        sql, "SELECT kind, id, p, body FROM record WHERE kind IN ('service', 'policy')"
    ):
        with suppress(ValueError, TypeError):
            (_service if kind == "service" else _policy).decode(body)
            yield RecordRow(kind=kind, id=record_id, p=p, body=body)


def _rows(sql: sqlite3.Connection, statement: str) -> list[tuple[Any, ...]]:
    try:
        return sql.execute(statement).fetchall()
    except FAULTS:
        return []
