"""Reads what can be proved of a damaged ledger, and brings it into another file.

A damaged file is never opened: its bytes are read in three views, in memory. The file alone, the
file with its log laid over it, and the entries found in the raw bytes of both. What is proved is a
run of entries in which each hash covers the entry before, whatever view each came from; the longest
counts. Keys stay, so the central recognises the entries it has.

What a wipe has deleted stays deleted: a view of the time before it may still show it.
"""

import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import is_instant
from agent.domain.ledger import SEQ_MAX, ChainEnd, Place, genesis
from agent.sqlite_file import EMPTY_BYTES, FAULTS
from agent.store.carve import entries_in, epochs_in
from agent.store.database import PROGRESS_STEPS
from agent.store.proof import Pool
from agent.store.raw_bytes import RawLedger, read_raw
from agent.store.rows import EpochCopy, RecordRow, Run, SealedBody
from agent.store.schema import is_whole
from agent.store.wal import laid_over

MAGIC = b"SQLite format 3\0"
# The bytes of a header that say whether there is a log. In memory there is none.
LOG_MODE, NO_LOG = slice(18, 20), b"\1\1"
PROGRESS_ROWS = 1_000

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
    one chain, so they reach the central as files. `lost` counts places that could not be read. The
    central has acknowledged the entries up to `acked_seq`, as far as the file says.
    """

    newest: EpochCopy
    earlier: list[EpochCopy]
    lost: int
    acked_seq: int = 0

    @property
    def earlier_runs(self) -> list[Run]:
        return [self.run(copy) for copy in self.earlier]

    def run(self, copy: EpochCopy) -> Run:
        """Return entries of this epoch with what the central has of them."""
        return Run(copy, copy.base.seq + len(copy.entries) <= self.acked_seq)

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


class _Work(NamedTuple):
    """What the row of the terminal says of its work. `resync` counts up: the largest is newest."""

    resync: int
    wiped: int
    acked: int


class _Views:
    """What all views of a damaged file say, each with what the others lack."""

    def __init__(self, on_progress: Callable[[], None]) -> None:
        self.damaged = Damaged()
        self.rows: list[EpochRow] = []
        self.read: dict[int, set[SealedBody]] = {}  # by the number of their epoch
        self.carved: set[SealedBody] = set()
        self.ids: set[str] = set()
        self._on_progress = on_progress
        self._works: list[_Work] = []  # one of each view
        self._wiped_to: dict[str, int] = {}  # epoch -> a wipe deleted the entries up to here

    def look(self, content: bytes) -> None:
        """Take what SQLite reads of a file's bytes."""
        with suppress(*FAULTS):
            self._look(content)

    def _look(self, content: bytes) -> None:
        readable = bytearray(content)
        readable[: len(MAGIC)] = MAGIC  # a damaged first page may have lost it
        readable[LOG_MODE] = NO_LOG
        with closing(sqlite3.connect(":memory:")) as sql:
            sql.deserialize(readable)
            del readable  # of a large file, memory has no room for a third copy
            sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
            sql.create_function("crc32", 1, zlib.crc32)
            sql.set_progress_handler(self._on_progress, PROGRESS_STEPS)
            self._take_terminal(sql)
            self._take_epochs(sql)
            # A damaged page ends a scan: the other direction reads what is behind it.
            for order in ("ASC", "DESC"):
                self._scan(sql, f"SELECT n, hash, body FROM entry ORDER BY n {order}")
            self.damaged.rules = list(_rules(sql)) or self.damaged.rules

    def carve(self, content: bytes) -> None:
        """Take what looks like an entry or an epoch in raw bytes."""
        for number, sealed in enumerate(entries_in(content)):
            if number % PROGRESS_ROWS == 0:
                self._on_progress()
            self.carved.add(sealed)
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
        whole = _whole(sql, "terminal")
        for row in _rows(sql, f"SELECT resync, wiped, acked FROM terminal{whole}"):
            if all(isinstance(value, int) for value in row):
                self._works.append(_Work(*row))

    def _take_epochs(self, sql: sqlite3.Connection) -> None:
        for row in _rows(sql, "SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n"):
            if isinstance(row[1], str) and row not in self.rows:
                self.rows.append(EpochRow(*row))
        if not (self._works and self._works[-1].wiped):
            return
        for epoch, seq in _rows(sql, f"SELECT id, base_seq FROM epoch{_whole(sql, 'epoch')}"):
            self._wiped_to[epoch] = max(seq, self._wiped_to.get(epoch, 0))

    def _scan(self, sql: sqlite3.Connection, statement: str) -> None:
        with suppress(*FAULTS, OverflowError):
            for n, digest, body in sql.execute(statement):
                if isinstance(digest, bytes) and isinstance(body, str):
                    sealed = SealedBody(digest, body)
                    self.read.setdefault(Place.of(n).epoch_number, set()).add(sealed)

    def prove(self, owner: Owner) -> Damaged:
        """Return all of it, with the epochs proved. `owner` serves where the file names nobody."""
        owner = self.damaged.owner or owner
        newest = max((work.resync for work in self._works), default=0)
        works = [work for work in self._works if work.resync == newest]
        self.damaged.is_wiped = any(work.wiped for work in works)
        acked = Place.of(max((work.acked for work in works), default=0))
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
            self._on_progress()
            own = numbers.get(epoch, set()) | {_number_in(epoch)}
            pools = self._pools(epoch, own, is_only=len(numbers) <= 1)
            salvaged = _salvaged(bases.get(epoch, []), *pools, _acked_seq(acked, own))
            if salvaged is not None and (epoch in numbers or salvaged.newest.entries):
                self.damaged.epochs.append(salvaged)
                if acked.epoch_number in own and acked.seq > salvaged.end_seq:
                    self.damaged.acked_and_lost = (
                        f"the central has acknowledged {acked.seq - salvaged.end_seq} entries"
                        f" more, up to entry {acked.seq} of epoch {epoch}"
                    )
        return self.damaged

    def _pools(self, epoch: str, numbers: set[int], *, is_only: bool) -> tuple[Pool, Pool]:
        """Return the entries that an epoch's chain may have, and those that count behind a gap.

        Behind a gap only entries count that a table gives to this epoch, and found ones where there
        is no other epoch: without the chain nothing else says where they belong.
        """
        wiped_to = self._wiped_to.get(epoch, 0)
        chains, behind = Pool(wiped_to), Pool(wiped_to)
        read = {sealed for number in numbers for sealed in self.read.get(number, ())}
        for sealed in (*read, *self.carved):
            chains.add(sealed)
        for sealed in (*read, *(self.carved if is_only else ())):
            behind.add(sealed)
        return chains, behind


def _acked_seq(acked: Place, numbers: set[int]) -> int:
    """Return up to which entry the central has surely acknowledged an epoch with these numbers."""
    if acked.epoch_number in numbers:
        return acked.seq
    return SEQ_MAX if max(numbers) < acked.epoch_number else 0


def read_damaged(
    path: Path, owner: Owner, on_progress: Callable[[], None] = lambda: None
) -> Damaged:
    """Return what can be read and proved of a file and its log, damaged anywhere, or missing.

    `owner` is the terminal that asks: it serves where the file does not say whose it is.
    `on_progress` is called at least every some thousand entries. Raise `StoreError`.
    """
    return prove_raw(read_raw(path), owner, on_progress)


def prove_raw(
    raw: RawLedger, owner: Owner, on_progress: Callable[[], None] = lambda: None
) -> Damaged:
    """Return what can be read and proved of the bytes of a ledger."""
    views = _Views(on_progress)
    if len(raw.file) > EMPTY_BYTES:
        views.look(raw.file)
        if raw.log:
            views.look(laid_over(raw.file, raw.log))
    for content in (raw.file, raw.log):
        views.carve(content)
    return views.prove(owner)


def _salvaged(
    bases: list[ChainEnd], chains: Pool, behind: Pool, acked_seq: int
) -> SalvagedEpoch | None:
    """Return what can be proved of an epoch."""
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
        return SalvagedEpoch(first, [], behind.count_behind(end.seq), acked_seq)
    newest = runs[-1].base.seq + len(runs[-1].entries)
    lost = newest - first.base.seq - sum(len(run.entries) for run in runs)
    lost += behind.count_behind(newest)
    return SalvagedEpoch(runs[-1], runs[:-1], lost, acked_seq)


def _reach(run: EpochCopy) -> tuple[int, int]:
    """Order runs by their end; one without entries proves nothing of its base."""
    return (run.base.seq + len(run.entries) if run.entries else 0, run.base.seq)


def _number_in(epoch: str) -> int:
    """Return the number that an epoch's id tells, as its disk counted it; 0 if it tells none."""
    match = re.match(r"[0-9]{1,9}-", epoch)
    return int(match[0][:-1]) if match else 0


def _rules(sql: sqlite3.Connection) -> Iterator[RecordRow]:
    """Yield services and policies, which a lunch needs; no child's record."""
    whole = _whole(sql, "record").replace(" WHERE", " AND")
    wanted = "SELECT kind, id, p, body FROM record WHERE kind IN ('service', 'policy')"
    for kind, record_id, p, body in _rows(sql, f"{wanted}{whole}"):
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
