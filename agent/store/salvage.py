"""A ledger that is damaged: seen at the start, kept under another name, and what of it can be read and proved brought into a new one.

What is proved is a run of entries in which each hash covers the one before, up to the newest that can be read. Their keys stay, so
the central recognises what it has already.
"""

import hashlib
import logging
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.clock import is_instant
from agent.domain.ledger import Entry, Place, genesis
from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FAULTS, sync_folder
from agent.store import reads, writes
from agent.store.database import Database

ASIDE_MAX = 1_000
ENDS = ("", "-wal", "-shm", "-journal")
MAGIC = b"SQLite format 3\0"
MADE, WHOLE = ".made", ".whole"
COPY = ".copy-"
MISSING_MAX = 50_000  # so many places without an entry one after the other are the end of an epoch


log = logging.getLogger("agent.store")
_entry = msgspec.json.Decoder(Entry)
_service, _policy = msgspec.json.Decoder(ServiceRecord), msgspec.json.Decoder(PolicyRecord)


@dataclass(frozen=True, slots=True)
class Found:
    """What can be proved of one epoch: entries that follow `base`, each as (hash, body), and how many places could not be read.

    `earlier` are the runs before the last damaged place, each as (base, entries): a ledger is one line, so they go another way.
    """

    epoch: str
    base: tuple[int, bytes]
    entries: list[tuple[bytes, str]]
    lost: int
    earlier: list[tuple[tuple[int, bytes], list[tuple[bytes, str]]]]

    def bases(self) -> list[tuple[int, bytes]]:
        """Return what each run follows."""
        return [self.base, *(base for base, _ in self.earlier)]


@dataclass(frozen=True, slots=True)
class Damaged:
    """What a damaged file says. Of `town` and `terminal` None: it does not say. `rules` are its services and policies."""

    town: str | None
    terminal: str | None
    last_contact_at: str | None
    found: list[Found]
    rules: list[writes.RecordRow]


def open_ledger(
    path: Path,
    *,
    town: str,
    terminal: str,
    epoch_bits: Callable[[], str],
    at: str,
    export: Callable[[Database, Path], int],
    known_damage: str | None = None,
) -> Database:
    """Open a terminal's ledger, found a new one, or begin anew beside a damaged one. Raise `StoreError`.

    `known_damage` is what a running terminal has found; `export` writes a ledger into a file for the office.
    """
    try:
        _finish_exchange(path)
        fault = known_damage
        if fault is None:
            db = Database(path)
            writes.initialise(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
            fault = damage(db)
            if fault is None:
                return db
            close_without_checkpoint(db)
    except DamagedError as error:
        fault = str(error)
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    log.error("damaged: %s", fault)
    try:
        for left in path.parent.glob(f"{path.name}.damaged-*{COPY}*"):  # a plug was pulled in it
            shutil.rmtree(left, ignore_errors=True)
        aside = keep_aside(path)
        detail = _make_whole(path, aside, town, terminal, epoch_bits, at, fault, export)
        _finish_exchange(path)
    except OSError as error:
        raise StoreError(f"{fault}; nothing could be put in its place: {error}") from error
    log.error("%s", detail)
    return Database(path)


def _make_whole(
    path: Path,
    aside: Path,
    town: str,
    terminal: str,
    epoch_bits: Callable[[], str],
    at: str,
    fault: str,
    export: Callable[[Database, Path], int],
) -> str:
    """Make the ledger that is to stand in a damaged one's place, beside it; return what the incident says."""
    damaged, story = read_damaged(aside), f"{fault}; kept as {aside.name}"
    # a name that was spoilt is no other terminal's: its epochs begin as ours do
    begins_as_ours = any(
        base == (0, bytes.fromhex(genesis(town, terminal, one.epoch)))
        for one in damaged.found
        for base in one.bases()
    )
    found = (
        damaged.found
        if begins_as_ours or (damaged.town, damaged.terminal) in ((town, terminal), (None, None))
        else []
    )
    parts = [(one.epoch, base, entries) for one in found for base, entries in one.earlier]
    exported = []
    for number, part in enumerate(parts, start=1):
        file = aside.with_name(f"{aside.name}.part-{number}.ledger")
        with _made(path, town, terminal, epoch_bits) as db:
            writes.take_over(db, [part], epoch_bits())
            exported.append(f"{export(db, file)} in {file.name}")
    with _made(path, town, terminal, epoch_bits) as db:
        writes.take_over(db, found_epochs(found), epoch_bits())
        writes.take_rules(db, damaged.rules, damaged.last_contact_at if found else None)
        entries, lost = sum(len(one.entries) for one in found), sum(one.lost for one in found)
        detail = f"{story}: {entries} entries of it are sent again under their keys, {lost} places not readable"
        if exported:
            detail += f"; what stands before them, {', '.join(exported)}, is for the office: central import-ledger"
        writes.add_incident(db, writes.Incident(at=at, kind="damaged_file", detail=detail))
    made = path.with_name(path.name + MADE)
    if made.with_name(
        f"{made.name}-wal"
    ).exists():  # closing has brought it into the file, or the disk does not take it
        raise StoreError(f"{story}; nothing could be put in its place")
    made.rename(path.with_name(path.name + WHOLE))
    sync_folder(path.parent)
    return detail


@contextmanager
def _made(
    path: Path, town: str, terminal: str, epoch_bits: Callable[[], str]
) -> Iterator[Database]:
    made = path.with_name(path.name + MADE)
    for end in ENDS:
        made.with_name(made.name + end).unlink(missing_ok=True)
    with closing(Database(made)) as db:
        writes.initialise(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
        yield db


def close_without_checkpoint(db: Database) -> None:
    """Close a damaged file without bringing its journal into it: SQLite does that with the last connection, which here only reads."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{quote(str(db.path))}?mode=ro", uri=True)) as other,
    ):
        with suppress(sqlite3.Error):
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        db.close()


def _finish_exchange(path: Path) -> None:
    """Put a ledger that was made in place of a damaged one where that is. Does nothing without one; a plug pulled in it costs nothing:
    the damaged file and its journal have their other names already."""
    whole = path.with_name(path.name + WHOLE)
    if not whole.exists():
        return
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    sync_folder(path.parent)
    whole.rename(path)
    sync_folder(path.parent)


def damage(db: Database) -> str | None:
    """Return what is wrong with a file as it is opened, None if nothing: its pages, every hash of its chain, and where it stands.

    A record that cannot be decoded any more is found when it is wanted, and asked for again; one that says something else, by the digest.
    """
    try:
        with db.reading() as sql:
            (word,) = sql.execute("PRAGMA quick_check(1)").fetchone()
            if word != "ok":
                return f"{db.path}: {word}"
            town, terminal, acked = sql.execute("SELECT town, id, acked FROM terminal").fetchone()
            for number, epoch, base_seq, base_hash in sql.execute(
                "SELECT n, id, base_seq, base_hash FROM epoch"
            ).fetchall():
                fault = _line_fault(
                    sql,
                    number,
                    epoch,
                    (base_seq, base_hash),
                    bytes.fromhex(genesis(town, terminal, epoch)),
                )
                if fault is not None:
                    return f"{db.path}: epoch {epoch}: {fault}"
            if sql.execute(
                "SELECT 1 FROM entry WHERE epoch NOT IN (SELECT n FROM epoch) LIMIT 1"
            ).fetchone():
                return f"{db.path}: entries of an epoch that is not known here"
            number_of_acked, seq = Place.of(acked)
            booked = "SELECT 1 FROM entry WHERE n = ?1 UNION SELECT 1 FROM epoch WHERE n = ?2 AND base_seq >= ?3"
            if seq and sql.execute(booked, (acked, number_of_acked, seq)).fetchone() is None:
                return f"{db.path}: booked up to entry {seq} of epoch number {number_of_acked}, which is not here"
            for _ in sql.execute(
                "SELECT kind, id FROM record"
            ):  # that they are texts; what is in them is found when it is wanted
                pass
            for table in ("terminal", "note", "incident"):
                sql.execute(f"SELECT * FROM {table}").fetchall()
        reads.standing(db)
    except (
        DamagedError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:  # a value that is none any more
        return f"{db.path}: {error}"
    return None


def _line_fault(
    sql: sqlite3.Connection, number: int, epoch: str, base: tuple[int, bytes], start: bytes
) -> str | None:
    """Return what is wrong with the entries of one epoch, None if nothing."""
    expected, previous = base
    if expected == 0 and previous != start:
        return "does not begin as an epoch of this terminal does"
    span = (Place(number, 0).n, Place(number + 1, 0).n)
    for seq, digest, body, *columns in sql.execute(
        "SELECT seq, hash, body, kind, eater, service, day, cents FROM entry WHERE n > ? AND n < ? ORDER BY n",
        span,
    ):
        expected += 1
        if seq != expected or _hash(previous, body) != digest:
            return f"entry {seq} does not match its hash"
        inside = _entry.decode(body)
        if columns != [
            inside.kind,
            inside.account or inside.card,
            inside.service,
            inside.day,
            inside.cents,
        ]:
            return f"the columns of entry {seq} differ from what was hashed"
        previous = digest
    return None


def keep_aside(path: Path) -> Path:
    """Give a damaged file and its journal another name as well and return it; the one they have if they have one.

    Nobody writes to them any more. Raise `OSError` where there are no hard links, or a thousand such files already.
    """
    for n in range(1, ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}.damaged-{n}")
        if not aside.exists():
            break
        if aside.samefile(path):
            return aside
    else:
        raise OSError(f"there are {ASIDE_MAX} damaged files already; keep them elsewhere")
    for end in ("-wal", ""):
        with suppress(FileNotFoundError):
            aside.with_name(aside.name + end).unlink(missing_ok=True)
            aside.with_name(aside.name + end).hardlink_to(path.with_name(path.name + end))
    sync_folder(path.parent)
    return aside


def read_damaged(path: Path) -> Damaged:
    """Return what can be read and proved of a file that may be damaged anywhere. A copy is read: opening changes a file.

    Raise `OSError` where there is no room for one.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}{COPY}") as folder:
        copy = Path(folder) / "copy.db"
        for end in ("", "-wal"):
            if path.with_name(path.name + end).exists():
                shutil.copyfile(path.with_name(path.name + end), copy.with_name(copy.name + end))
        with open(copy, "r+b") as file:
            file.write(MAGIC)  # the first thing a page that was spoilt may have lost
        return _read_copy(copy)


def _read_copy(path: Path) -> Damaged:
    with closing(sqlite3.connect(path)) as sql:
        sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
        town, terminal, last_contact_at = (
            _rows(sql, "SELECT town, id, last_contact_at FROM terminal") or [(None, None, None)]
        )[0]
        found = []
        for number, epoch, base_seq, base_hash in _rows(
            sql, "SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n"
        ):
            start = bytes.fromhex(genesis(town or "", terminal or "", epoch))
            base = (
                (base_seq, base_hash)
                if isinstance(base_seq, int) and isinstance(base_hash, bytes)
                else (0, start)
            )
            named = (
                int(epoch.split("-")[0]) if re.match(r"[0-9]{1,9}-", epoch) else number
            )  # as its disk counted it
            places = dict.fromkeys(
                (n, *where) for n in (number, named) for where in (base, (0, start))
            )
            tries = (_read_epoch(sql, n, epoch, seq, digest) for n, seq, digest in places)
            one = max(tries, key=lambda one: len(one.entries))
            found.append(one)
        return Damaged(
            town,
            terminal,
            last_contact_at
            if last_contact_at is not None and is_instant(last_contact_at)
            else None,
            found,
            list(_rules(sql)),
        )


def _rows(sql: sqlite3.Connection, statement: str) -> list[Any]:
    try:
        return sql.execute(statement).fetchall()
    except FAULTS:
        return []


def _rules(sql: sqlite3.Connection) -> Iterator[writes.RecordRow]:
    """Yield what a lunch goes by until the central is heard: services and policies, no child's record."""
    for kind, record_id, p, body in _rows(
        sql, "SELECT kind, id, p, body FROM record WHERE kind IN ('service', 'policy')"
    ):
        with suppress(ValueError, TypeError):
            (_service if kind == "service" else _policy).decode(body)
            yield writes.RecordRow(kind=kind, id=record_id, p=p, body=body)


def found_epochs(
    found: list[Found],
) -> list[tuple[str, tuple[int, bytes], list[tuple[bytes, str]]]]:
    """Return those that hold anything, as `writes.take_over` wants them."""
    return [(one.epoch, one.base, one.entries) for one in found if one.entries]


def _read_epoch(
    sql: sqlite3.Connection, number: int, epoch: str, base_seq: int, base_hash: bytes
) -> Found:
    base: tuple[int, bytes] | None = (base_seq, base_hash)
    run: list[tuple[bytes, str]] = []
    runs: list[tuple[tuple[int, bytes], list[tuple[bytes, str]]]] = []
    seq, missing, lost = base_seq, 0, 0
    while missing < MISSING_MAX:
        seq += 1
        try:
            row = sql.execute(
                "SELECT hash, body FROM entry WHERE n = ?", (Place(number, seq).n,)
            ).fetchone()
        except FAULTS:
            row = None
        if row is None or not isinstance(row[0], bytes) or not isinstance(row[1], str):
            missing += 1
            base = None
            continue
        lost, missing = lost + missing, 0
        digest, body = row
        previous = run[-1][0] if run and base is not None else base[1] if base is not None else None
        if previous is not None and _hash(previous, body) == digest:
            if not run:
                assert base is not None
                runs.append((base, run))
            run.append((digest, body))
        else:
            lost += previous is not None
            base, run = (seq, digest), []
    last, entries = runs[-1] if runs else ((base_seq, base_hash), [])
    return Found(epoch, last, entries, lost, runs[:-1])


def _hash(previous: bytes, body: str) -> bytes:
    return hashlib.sha256(previous + body.encode()).digest()


def salvage(path: Path, database: Path, epoch_bits: str) -> list[Found]:
    """Bring what can be proved of a damaged file into a terminal's own ledger, while no agent runs. Return what was found.

    Epochs that are here already are left out. Raise `StoreError`.
    """
    if not path.exists():
        raise StoreError(f"{path}: is not there")
    if not database.exists():
        raise StoreError(f"{database}: no terminal has run here yet")
    with closing(Database(database)) as db:
        here = reads.standing(db)
        try:
            damaged = read_damaged(path)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be copied beside itself, to be read: {error}"
            ) from error
        if (damaged.town, damaged.terminal) not in ((here.town, here.terminal), (None, None)):
            raise StoreError(
                f"{path}: is of {damaged.town}/{damaged.terminal}, this terminal is {here.town}/{here.terminal}"
            )
        known = {row[0] for row in db.rows("SELECT id FROM epoch")}
        found = [one for one in damaged.found if one.entries and one.epoch not in known]
        writes.take_over(db, found_epochs(found), epoch_bits)
    return found
