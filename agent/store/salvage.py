"""A ledger that is damaged: seen at the start, moved aside as it is, and what of it can be read and proved brought into a new one.

What is proved is a run of entries in which each hash covers the one before, up to the newest that can be read. Their keys stay, so
the central recognises what it has already.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.domain.canteen import AccountRecord, CardRecord, PolicyRecord, ServiceRecord
from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FAULTS, sync_folder
from agent.store import writes
from agent.store.database import Database
from agent.store.schema import place

ASIDE_MAX = 1_000
_FORMS: dict[str, msgspec.json.Decoder[Any]] = {
    "account": msgspec.json.Decoder(list[AccountRecord]),
    "card": msgspec.json.Decoder(list[CardRecord]),
    "policy": msgspec.json.Decoder(list[PolicyRecord]),
    "service": msgspec.json.Decoder(list[ServiceRecord]),
}
RECORDS_AT_ONCE = 500
MISSING_MAX = 2_000  # so many places without an entry one after the other are the end of an epoch


@dataclass(frozen=True, slots=True)
class Found:
    """What can be proved of one epoch: entries that follow `base`, each as (hash, body), and how many places could not be read."""

    epoch: str
    base: tuple[int, bytes]
    entries: list[tuple[bytes, str]]
    lost: int


def open_ledger(path: Path, *, town: str, terminal: str, epoch_bits: Callable[[], str], at: str) -> Database:
    """Open a terminal's ledger, found a new one, or begin anew beside a damaged one. Raise `StoreError`."""
    try:
        db = Database(path)
        writes.found(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
        fault = damage(db)
        if fault is None:
            return db
        db.close()
    except DamagedError as error:
        fault = str(error)
    try:
        aside = move_aside(path)
    except OSError as error:
        raise StoreError(f"{fault}; it cannot be moved aside: {error}") from error
    db = Database(path)
    writes.found(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
    found = list(read_damaged(aside))
    writes.take_over(db, found_epochs(found), epoch_bits())
    entries, lost = sum(len(one.entries) for one in found), sum(one.lost for one in found)
    detail = f"{fault}; kept as {aside.name}: {entries} entries of it are sent again under their keys, {lost} places could not be read"
    writes.add_incident(db, at=at, kind="damaged_file", detail=detail)
    return db


def damage(db: Database) -> str | None:
    """Return what is wrong with a file as it is opened, None if nothing: its pages, every hash of its chain, and every record that
    a tap or a digest will read. What is readable and says something else, the digest finds."""
    try:
        with db.reading() as sql:
            (word,) = sql.execute("PRAGMA quick_check(1)").fetchone()
            if word != "ok":
                return f"{db.path}: {word}"
            for number, epoch, base_seq, base_hash in sql.execute("SELECT n, id, base_seq, base_hash FROM epoch").fetchall():
                previous, expected = base_hash, base_seq
                span = (place(number, 0), place(number + 1, 0))
                for seq, digest, body in sql.execute("SELECT seq, hash, body FROM entry WHERE n > ? AND n < ? ORDER BY n", span):
                    expected += 1
                    if seq != expected or _hash(previous, body) != digest:
                        return f"{db.path}: epoch {epoch}: entry {seq} does not match its hash"
                    previous = digest
            for kind in _FORMS:
                rows = sql.execute("SELECT id, body FROM record WHERE kind = ?", (kind,))
                while bodies := rows.fetchmany(RECORDS_AT_ONCE):
                    if not _are_readable(kind, [body for _, body in bodies]):
                        record_id = next((one for one, body in bodies if not _are_readable(kind, [body])), "records")
                        return f"{db.path}: the {kind} {record_id} cannot be read any more"
            for table in ("terminal", "note", "incident"):
                sql.execute(f"SELECT * FROM {table}").fetchall()
    except DamagedError as error:
        return str(error)
    return None


def _are_readable(kind: str, bodies: list[str]) -> bool:
    """Return whether records can be decoded, many at once: one by one they are half of an agent's start."""
    try:
        return len(_FORMS[kind].decode(f"[{','.join(bodies)}]")) == len(bodies)
    except (msgspec.MsgspecError, TypeError):  # TypeError: a body that is no text any more
        return False


def move_aside(path: Path) -> Path:
    """Give a damaged file and its journal another name, as they are, and return it."""
    aside = next(
        one for one in (path.with_name(f"{path.name}.damaged-{n}") for n in range(1, ASIDE_MAX)) if not one.exists()
    )  # fmt: skip
    for end in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    sync_folder(path.parent)
    return aside


def read_damaged(path: Path) -> Iterator[Found]:
    """Yield what can be proved of each epoch of a file that may be damaged anywhere. A copy is read: opening changes a file."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="salvage-") as folder:
        copy = Path(folder) / "copy.db"
        for end in ("", "-wal"):
            if path.with_name(path.name + end).exists():
                shutil.copyfile(path.with_name(path.name + end), copy.with_name(copy.name + end))
        yield from _read_copy(copy)


def _read_copy(path: Path) -> Iterator[Found]:
    with closing(sqlite3.connect(path)) as sql:
        sql.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            epochs = sql.execute("SELECT n, id, base_seq, base_hash FROM epoch ORDER BY n").fetchall()
        except FAULTS:
            return
        for number, epoch, base_seq, base_hash in epochs:
            yield _read_epoch(sql, number, epoch, base_seq, base_hash)


def found_epochs(found: list[Found]) -> list[tuple[str, tuple[int, bytes], list[tuple[bytes, str]]]]:
    """Return those that hold anything, as `writes.take_over` wants them."""
    return [(one.epoch, one.base, one.entries) for one in found if one.entries]


def _read_epoch(sql: sqlite3.Connection, number: int, epoch: str, base_seq: int, base_hash: bytes) -> Found:
    base: tuple[int, bytes] | None = (base_seq, base_hash)
    run: list[tuple[bytes, str]] = []
    best: tuple[tuple[int, bytes], list[tuple[bytes, str]]] = ((base_seq, base_hash), [])
    seq, missing, lost = base_seq, 0, 0
    while missing < MISSING_MAX:
        seq += 1
        try:
            row = sql.execute("SELECT hash, body FROM entry WHERE n = ?", (place(number, seq),)).fetchone()
        except FAULTS:
            row = None
        if row is None:
            missing += 1
            base = None
            continue
        lost, missing = lost + missing, 0
        digest, body = row
        previous = run[-1][0] if run and base is not None else base[1] if base is not None else None
        if previous is not None and _hash(previous, body) == digest:
            run.append((digest, body))
            assert base is not None
            best = (base, run)
        else:
            lost += previous is not None
            base, run = (seq, digest), []
    return Found(epoch, best[0], best[1], lost)


def _hash(previous: bytes, body: str) -> bytes:
    return hashlib.sha256(previous + body.encode()).digest()


def salvage(path: Path, database: Path, epoch_bits: str) -> list[Found]:
    """Bring what can be proved of a damaged file into a terminal's own ledger, while no agent runs. Return what was found.

    Epochs that are here already are left out. Raise `StoreError`.
    """
    if not path.exists():
        raise StoreError(f"{path}: is not there")
    with closing(Database(database)) as db:
        known = {row[0] for row in db.rows("SELECT id FROM epoch")}
        found = [one for one in read_damaged(path) if one.entries and one.epoch not in known]
        writes.take_over(db, found_epochs(found), epoch_bits)
    return found
