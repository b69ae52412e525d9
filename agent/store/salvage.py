"""Reads what can be proved of a damaged ledger, and brings it into another file.

A damaged file is never opened: its copies are read in three views. The file alone, the file with
its write-ahead log, and the entries found in the raw bytes of both. What is proved is a run of
entries in which each hash covers the entry before, whatever view each came from; the longest
counts. Keys stay, so the central recognises the entries it has.
"""

import re
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import is_instant
from agent.domain.ledger import ChainEnd, Place, genesis
from agent.errors import StoreError
from agent.sqlite_file import EMPTY_BYTES, FAULTS
from agent.store import restoring
from agent.store.carve import entries_in, epochs_in
from agent.store.database import Database
from agent.store.proof import Pool
from agent.store.rows import EpochCopy, EpochSpan, RecordRow, SealedBody
from agent.store.schema import is_whole
from agent.store.standing import epochs, standing

MAGIC = b"SQLite format 3\0"
COPY = ".copy-"

_service = msgspec.json.Decoder(ServiceRecord)
_policy = msgspec.json.Decoder(PolicyRecord)


class Owner(NamedTuple):
    """Whose ledger a file is."""

    town: str
    terminal: str


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

    @property
    def end_seq(self) -> int:
        return self.newest.base.seq + len(self.newest.entries)


@dataclass(slots=True)
class Damaged:
    """What a damaged file contains. `owner` is None when it does not say.

    `acked_and_lost` says what the central has acknowledged and nobody can read, empty if nothing.
    `rules` are services and policies.
    """

    owner: Owner | None = None
    last_contact_at: str | None = None
    acked_and_lost: str = ""
    epochs: list[SalvagedEpoch] = field(default_factory=list)
    rules: list[RecordRow] = field(default_factory=list)
    is_wiped: bool = False

    def is_of(self, owner: Owner) -> bool:
        """Return whether the file may be this terminal's: by its names, or by its epochs.

        Names may be damaged; an epoch that begins with the terminal's genesis hash proves the same.
        """
        if self.owner in (owner, None):
            return True
        return any(
            run.base.seq == 0 and run.base.hash == genesis(*owner, run.base.epoch)
            for salvaged in self.epochs
            for run in (salvaged.newest, *salvaged.earlier)
        )


class _Views:
    """What all views of a damaged file say, each with what the others lack."""

    def __init__(self) -> None:
        self.damaged = Damaged()
        self.rows: list[EpochRow] = []
        self.acked = Place(0, 0)
        self.read: dict[int, set[SealedBody]] = {}  # by the number of their epoch
        self.carved: set[SealedBody] = set()
        self.ids: set[str] = set()

    def look(self, path: Path) -> None:
        """Take what SQLite reads of a copy, with the log beside it if there is one."""
        with closing(sqlite3.connect(path)) as sql:
            sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
            sql.create_function("crc32", 1, zlib.crc32)
            self._take_terminal(sql)
            for row in _rows(sql, "SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n"):
                if isinstance(row[1], str) and row not in self.rows:
                    self.rows.append(EpochRow(*row))
            # A damaged page ends a scan: the other direction reads what is behind it.
            for order in ("ASC", "DESC"):
                self._scan(sql, f"SELECT n, hash, body FROM entry ORDER BY n {order}")
            self.damaged.rules = list(_rules(sql)) or self.damaged.rules

    def carve(self, content: bytes) -> None:
        """Take what looks like an entry or an epoch in raw bytes."""
        self.carved.update(entries_in(content))
        self.ids.update(epochs_in(content))

    def _take_terminal(self, sql: sqlite3.Connection) -> None:
        damaged = self.damaged
        for town, terminal in _rows(sql, "SELECT town, id FROM terminal"):
            if isinstance(town, str) and isinstance(terminal, str):
                damaged.owner = Owner(town, terminal)
        for (at,) in _rows(sql, "SELECT last_contact_at FROM terminal"):
            if isinstance(at, str) and is_instant(at):
                damaged.last_contact_at = max(at, damaged.last_contact_at or at)
        # One flipped bit would wipe a terminal, or acknowledge what nobody has.
        for acked, wiped in _rows(
            sql, f"SELECT acked, wiped FROM terminal{_whole(sql, 'terminal')}"
        ):
            self.acked = max(self.acked, Place.of(acked))
            damaged.is_wiped |= wiped == 1

    def _scan(self, sql: sqlite3.Connection, statement: str) -> None:
        with suppress(*FAULTS, OverflowError):
            for n, digest, body in sql.execute(statement):
                if isinstance(digest, bytes) and isinstance(body, str):
                    sealed = SealedBody(digest, body)
                    self.read.setdefault(Place.of(n).epoch_number, set()).add(sealed)

    def prove(self, owner: Owner, on_progress: Callable[[], None]) -> Damaged:
        """Return all of it, with the epochs proved. `owner` serves where the file names nobody."""
        owner = self.damaged.owner or owner
        bases: dict[str, list[ChainEnd]] = {}
        numbers: dict[str, set[int]] = {}
        for row in self.rows:
            numbers.setdefault(row.id, set()).add(row.number)
            if isinstance(row.base_seq, int) and isinstance(row.base_hash, bytes):
                base = ChainEnd(epoch=row.id, seq=row.base_seq, hash=row.base_hash.hex())
                bases.setdefault(row.id, []).append(base)
        if self.damaged.is_wiped:
            self.carved.clear()  # nothing that was to be forgotten comes back
        else:
            for epoch in {*numbers, *self.ids}:
                start = ChainEnd(epoch=epoch, seq=0, hash=genesis(*owner, epoch))
                bases.setdefault(epoch, []).append(start)
        for epoch in sorted({*numbers, *bases}, key=_number_in):
            on_progress()
            own = numbers.get(epoch, set()) | {_number_in(epoch)}
            salvaged = self._salvaged(bases.get(epoch, []), own, is_only=len(numbers) <= 1)
            if salvaged is not None and (epoch in numbers or salvaged.newest.entries):
                self.damaged.epochs.append(salvaged)
                if self.acked.epoch_number in own and self.acked.seq > salvaged.end_seq:
                    self.damaged.acked_and_lost = (
                        f"the central has acknowledged {self.acked.seq - salvaged.end_seq} entries"
                        f" more, up to entry {self.acked.seq} of epoch {epoch}"
                    )
        return self.damaged

    def _salvaged(
        self, bases: list[ChainEnd], numbers: set[int], *, is_only: bool
    ) -> SalvagedEpoch | None:
        """Return what can be proved of an epoch.

        Behind a gap only entries count that a table gives to this epoch, and found ones where there
        is no other epoch: without the chain nothing else says where they belong.
        """
        read = {sealed for number in numbers for sealed in self.read.get(number, ())}
        chains, behind = Pool(), Pool()
        for sealed in (*read, *self.carved):
            chains.add(sealed)
        for sealed in (*read, *(self.carved if is_only else ())):
            behind.add(sealed)
        tries = [
            EpochCopy(base=base, entries=chains.after(bytes.fromhex(base.hash), base.seq))
            for base in bases
        ]
        if not tries:
            return None
        first = max(tries, key=_reach)
        end = ChainEnd(
            epoch=first.base.epoch,
            seq=first.base.seq + len(first.entries),
            hash=first.entries[-1].hash.hex() if first.entries else first.base.hash,
        )
        runs = [first] if first.entries else []
        runs += behind.runs_behind(end)
        if not runs:
            return SalvagedEpoch(first, [], behind.count_behind(end.seq))
        newest = runs[-1].base.seq + len(runs[-1].entries)
        lost = newest - first.base.seq - sum(len(run.entries) for run in runs)
        return SalvagedEpoch(runs[-1], runs[:-1], lost + behind.count_behind(newest))


def read_damaged(
    path: Path, owner: Owner, on_progress: Callable[[], None] = lambda: None
) -> Damaged:
    """Return what can be read and proved of a file and its log, damaged anywhere, or missing.

    `owner` is the terminal that asks: it serves where the file does not say whose it is.
    `on_progress` is called for each epoch. Only copies are opened. Raise `OSError` where there is
    no room for them.
    """
    views = _Views()
    log = path.with_name(f"{path.name}-wal")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}{COPY}") as folder:
        for name in ("alone.db", "both.db"):
            copy = Path(folder) / name
            if not path.exists() or path.stat().st_size <= EMPTY_BYTES:
                continue
            shutil.copyfile(path, copy)
            with open(copy, "r+b") as file:
                file.write(MAGIC)  # a damaged first page may have lost it
            if name == "both.db" and log.exists():
                shutil.copyfile(log, copy.with_name(f"{name}-wal"))
            with suppress(*FAULTS):
                views.look(copy)
            copy.unlink()  # one at a time: a full disk has room for one in its reserve
    for source in (path, log):
        if source.exists():
            views.carve(source.read_bytes())
    return views.prove(owner, on_progress)


def salvage(path: Path, database: Path, epoch_bits: str) -> list[EpochCopy]:
    """Bring what can be proved of a damaged file into a terminal's own ledger, and return it.

    No agent may run. Of an epoch that the ledger has, the missing ends are taken. Raise
    `StoreError`.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.exists() and not log.exists():
        raise StoreError(f"{path}: does not exist")
    if not database.exists():
        raise StoreError(f"{database}: does not exist; no terminal has run here yet")
    with closing(Database(database)) as db:
        own = standing(db)
        owner = Owner(own.town, own.terminal)
        try:
            damaged = read_damaged(path, owner)
        except OSError as error:
            raise StoreError(f"{path}: no room for a copy beside it: {error}") from error
        if not damaged.is_of(owner):
            raise StoreError(
                f"{path}: belongs to {'/'.join(damaged.owner or ())},"
                f" this terminal is {'/'.join(owner)}"
            )
        known = {span.base.epoch: span for span in epochs(db)}
        copies = [
            copy
            for epoch in damaged.epochs
            for copy in _missing(epoch.newest, known.get(epoch.epoch))
            if copy.entries
        ]
        restoring.take_over(db, copies, epoch_bits)
    return copies


def _missing(run: EpochCopy, own: EpochSpan | None) -> list[EpochCopy]:
    """Return the parts of a run that lie directly before or behind the own entries of its epoch."""
    if own is None:
        return [run]
    hashes = [run.base.hash, *(sealed.hash.hex() for sealed in run.entries)]
    parts = []
    for end in (own.base, own.end):
        place = end.seq - run.base.seq
        if 0 <= place < len(hashes) and hashes[place] == end.hash:
            is_before = end is own.base
            parts.append(
                EpochCopy(base=run.base, entries=run.entries[:place])
                if is_before
                else EpochCopy(base=end, entries=run.entries[place:])
            )
    return parts


def _reach(run: EpochCopy) -> tuple[int, int]:
    """Order runs by their end; one without entries proves nothing of its base."""
    return (run.base.seq + len(run.entries) if run.entries else 0, run.base.seq)


def _number_in(epoch: str) -> int:
    """Return the number that an epoch's id tells, as its disk counted it; 0 if it tells none."""
    match = re.match(r"[0-9]{1,9}-", epoch)
    return int(match[0][:-1]) if match else 0


def _rules(sql: sqlite3.Connection) -> Iterator[RecordRow]:
    """Yield services and policies, which a lunch needs; no child's record."""
    columns, whole = "SELECT kind, id, p, body FROM record", _whole(sql, "record")
    for kind, record_id, p, body in _rows(sql, f"{columns}{whole}"):
        if kind not in ("service", "policy"):
            continue
        with suppress(msgspec.MsgspecError, ValueError, TypeError):
            (_service if kind == "service" else _policy).decode(body)
            yield RecordRow(kind=kind, id=record_id, p=p, body=body)


def _whole(sql: sqlite3.Connection, table: str) -> str:
    """Return the condition for rows as they were written; none for a file without checksums."""
    has_sums = any(name == "sum" for _, name, *_ in _rows(sql, f"PRAGMA table_info({table})"))
    return f" WHERE {is_whole(table)}" if has_sums else ""


def _rows(sql: sqlite3.Connection, statement: str) -> list[tuple[Any, ...]]:
    try:
        return sql.execute(statement).fetchall()
    except FAULTS:
        return []
