"""A ledger that is damaged: seen at the start, kept under another name, and what of it can be read and proved brought into a new one.

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

from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FAULTS, sync_folder
from agent.store import writes
from agent.store.database import Database
from agent.store.schema import place

ASIDE_MAX = 1_000
ENDS = ("", "-wal", "-shm", "-journal")
WHOLE = ".whole"
COPY = ".copy-"
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
        _finish_exchange(path)
        db = Database(path)
        writes.found(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
        fault = damage(db)
        if fault is None:
            return db
        db.close()
    except DamagedError as error:
        fault = str(error)
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    try:
        for left in path.parent.glob(f"{path.name}.damaged-*{COPY}*"):  # a plug was pulled in it
            shutil.rmtree(left, ignore_errors=True)
        aside = keep_aside(path)
        made = path.with_name(f"{path.name}.made")
        for end in ENDS:
            made.with_name(made.name + end).unlink(missing_ok=True)
        with closing(Database(made)) as db:
            writes.found(db, town=town, terminal=terminal, epoch=f"1-{epoch_bits()}")
            found = list(read_damaged(aside))
            writes.take_over(db, found_epochs(found), epoch_bits())
            entries, lost = sum(len(one.entries) for one in found), sum(one.lost for one in found)
            detail = f"{fault}; kept as {aside.name}: {entries} entries of it are sent again under their keys, {lost} places not readable"
            writes.add_incident(db, at=at, kind="damaged_file", detail=detail)
        if made.with_name(f"{made.name}-wal").exists():  # closing has brought it into the file, or the disk does not take it
            raise StoreError(f"{fault}; nothing could be put in its place")
        made.rename(path.with_name(path.name + WHOLE))
        sync_folder(path.parent)
        _finish_exchange(path)
    except OSError as error:
        raise StoreError(f"{fault}; nothing could be put in its place: {error}") from error
    return Database(path)


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
    """Return what is wrong with a file as it is opened, None if nothing: its pages, and every hash of its chain.

    A record that cannot be decoded any more is found when it is wanted, and asked for again; one that says something else, by the digest.
    """
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
            for _ in sql.execute("SELECT kind, id FROM record"):  # that they are texts; what is in them is found when it is wanted
                pass
            for table in ("terminal", "note", "incident"):
                sql.execute(f"SELECT * FROM {table}").fetchall()
    except DamagedError as error:
        return str(error)
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


def read_damaged(path: Path) -> Iterator[Found]:
    """Yield what can be proved of each epoch of a file that may be damaged anywhere. A copy is read: opening changes a file."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}{COPY}") as folder:
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
