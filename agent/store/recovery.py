"""Opens a terminal's ledger: creates a new one, or replaces a damaged one.

The write-ahead log is looked at before SQLite opens anything (`wal.py`). A damaged file and its log
are kept under another name, untouched. A new file takes their place, with all entries that can be
proved. A power cut at any moment leaves either file whole."""

import errno
import filecmp
import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from agent.domain.ledger import Place
from agent.errors import DamagedError, RoomMadeError, StoreError
from agent.sqlite_file import EMPTY_BYTES, FAULTS, sync_folder
from agent.store import restoring, writes
from agent.store.carve import entries_in
from agent.store.damage import damaged_indexes, find_damage, has_our_tables
from agent.store.database import Database
from agent.store.making import BEING_MADE, LedgerMaker
from agent.store.proof import Pool
from agent.store.reserve import Reserve
from agent.store.rows import Incident, SealedBody
from agent.store.salvage import Owner, read_damaged
from agent.store.standing import standing, tail
from agent.store.wal import LogLook, LogState, look_at

ASIDE_MAX = 1_000  # damaged files kept beside a ledger
WHOLE = ".whole"
# What a medium without hard links answers, or a file with too many of them.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)

log = logging.getLogger("agent.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFile(LedgerMaker):
    """A terminal's ledger on the disk."""

    def open(self, at: str, known_damage: str | None = None) -> Database:
        """Open the ledger, create it, or replace a damaged one. Raise `StoreError`.

        `known_damage` is what a running terminal has found; `at` dates the incident.
        """
        try:
            is_replaced = _finish_exchange(self.path)
            self._bring_back()
            fault = None if is_replaced else known_damage  # the damage was of the file before
            if fault is None:
                look = self._look()
                db = self._opened_own()
                with db.reporting(self.on_progress):
                    fault = self._checked(db, look, at)
                if fault is None:
                    return self._own(db, at)
                close_without_checkpoint(db)
        except DamagedError as error:
            fault = str(error)
        except OSError as error:
            raise StoreError(f"{self.path}: {error}") from error
        while True:
            try:
                self._replace(fault, at)
                return Database(self.path)
            except RoomMadeError:
                continue
            except (OSError, StoreError) as error:  # perhaps the disk is full
                if Reserve(self.path).give_back_all():
                    continue
                if isinstance(error, StoreError):
                    raise
                raise StoreError(f"{fault}; no new file in its place: {error}") from error

    def _opened_own(self) -> Database:
        """Open the file. A damaged header is damage; a lock or a newer schema is not."""
        try:
            return self._opened(self.path)
        except StoreError as error:
            is_other = isinstance(error, DamagedError) or "newer program" in str(error)
            is_other |= getattr(error.__cause__, "sqlite_errorcode", 1) != sqlite3.SQLITE_ERROR
            if is_other or not has_our_tables(self.path):
                raise
            raise DamagedError(f"{error}; but its tables are a terminal's") from error

    def _own(self, db: Database, at: str) -> Database:
        """Return the ledger, or this terminal's in the place of another terminal's.

        That one keeps its entries under a name of its own, and comes back with its terminal.
        """
        its = standing(db)
        if (its.town, its.terminal) == (self.town, self.terminal):
            return db
        db.close()
        apart = _apart(self.path, its.town, its.terminal)
        if apart.exists():
            raise StoreError(f"{self.path}: belongs to another terminal, and {apart} exists")
        _rename_with_log(self.path, apart)
        detail = (
            f"{self.path.name} was the ledger of {its.town}/{its.terminal} and is kept as"
            f" {apart.name}; it is used again when agent.toml names that terminal"
        )
        log.error("Ledger of another terminal: %s", detail)
        own = self.open(at)
        writes.add_incident(own, Incident(at=at, kind="foreign_file", detail=detail))
        return own

    def _bring_back(self) -> None:
        """Put this terminal's own ledger back, where another's was used meanwhile."""
        apart = _apart(self.path, self.town, self.terminal)
        if apart.exists() and not self.path.exists():
            _rename_with_log(apart, self.path)

    def _look(self) -> LogLook:
        """Look at the log and the file before SQLite does. Raise `DamagedError`."""
        log = _log_of(self.path)
        look = look_at(log, self.on_progress)
        has_file = self.path.exists()
        if has_file and self.path.stat().st_size <= EMPTY_BYTES:
            raise DamagedError(f"{self.path}: is empty")
        if not has_file and look.state is not LogState.ABSENT:
            raise DamagedError(f"{self.path}: is missing, but its log {log.name} is there")
        if look.state is LogState.DAMAGED:
            raise DamagedError(f"{self.path}: {look.reason}")
        if look.state is LogState.NO_HEADER:
            alone = _newest_alone(self.path)
            if alone is None or _following(alone.hash, alone.seq, log.read_bytes()):
                raise DamagedError(f"{self.path}: {look.reason}")
        return look

    def _checked(self, db: Database, look: LogLook, at: str) -> str | None:
        """Return the damage of a file that is open, None if there is none or all is mended.

        Close the file when it cannot even be checked.
        """
        try:
            fault = find_damage(db)
            if fault is not None:
                for name in damaged_indexes(db):
                    detail = f"rebuilt: {name}; its table is whole"
                    incident = Incident(at=at, kind="damaged_index", detail=detail)
                    writes.rebuild_index(db, name, incident)
                    log.error("Index of the ledger %s", detail)
                    fault = None
                fault = fault or find_damage(db)
            fault = fault or _taken_back(db, _newest_alone(self.path))
            if fault is None:
                self._tell_of(db, look, at)
        except StoreError:
            close_without_checkpoint(db)
            raise
        return fault

    def _tell_of(self, db: Database, look: LogLook, at: str) -> None:
        """Take the entry of an incomplete transaction, with an incident about the log."""
        if not look.reason:
            return
        last = tail(db)
        entries = _following(bytes.fromhex(last.hash), last.place.seq, look.newest)
        detail = f"{look.reason}; "
        if entries:
            detail += f"{len(entries)} entries of it are whole and recorded"
        elif look.state is LogState.TORN:
            detail += "no light was shown for it if the power was cut then; else its entry is lost"
        else:
            detail += "all its entries are in the file"
        log.warning("Log of the ledger: %s", detail)
        restoring.append_proved(db, entries, Incident(at=at, kind="torn_write", detail=detail))
        db.empty_log()

    def _replace(self, fault: str, at: str) -> None:
        aside = keep_aside(self.path)
        detail = self._make_replacement(aside, fault, at)
        _finish_exchange(self.path)
        log.error("Ledger replaced: %s", detail)

    def _make_replacement(self, aside: Path, fault: str, at: str) -> str:
        """Make the file that takes a damaged one's place, beside it.

        Return what the incident says.
        """
        owner = Owner(self.town, self.terminal)
        damaged = read_damaged(aside, owner, self.on_progress)
        story = f"{fault}; kept as {aside.name}"
        salvaged = damaged.epochs if damaged.is_of(owner) else []
        runs = [run for epoch in salvaged for run in epoch.earlier_runs]
        exported = self.export_runs(runs, aside.name)
        with self.made() as db:
            newest = [epoch.newest for epoch in salvaged if epoch.newest.entries]
            restoring.take_over(db, newest, self.epoch_bits())
            if damaged.is_wiped and damaged.is_of(owner):
                restoring.stay_wiped(db)
            restoring.take_rules(db, damaged.rules, damaged.last_contact_at if salvaged else None)
            count = sum(len(copy.entries) for copy in newest)
            lost = sum(epoch.lost for epoch in salvaged)
            detail = (
                f"{story}; {count} entries of it are sent again, {lost} places are not readable"
            )
            if damaged.acked_and_lost and salvaged:
                detail += f"; {damaged.acked_and_lost}"
            if exported:
                detail += (
                    f"; entries before the damage: {', '.join(exported)};"
                    " import them at the office with canteen-central import-ledger"
                )
            writes.add_incident(db, Incident(at=at, kind="damaged_file", detail=detail))
        made = self.path.with_name(self.path.name + BEING_MADE)
        if made.with_name(f"{made.name}-wal").exists():  # closing could not copy the log into it
            raise StoreError(f"{story}; no new file could be put in its place")
        made.rename(self.path.with_name(self.path.name + WHOLE))
        sync_folder(self.path.parent)
        return detail

    def _opened(self, path: Path) -> Database:
        db = Database(path)
        try:
            self.initialise(db)
        except StoreError:
            close_without_checkpoint(db)  # a later close would change a file that is kept aside
            raise
        return db


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _apart(path: Path, town: str, terminal: str) -> Path:
    return path.with_name(f"{path.name}.of-{town}-{terminal}")


def _rename_with_log(path: Path, new: Path) -> None:
    """Rename a closed file and its log, the log first: after a power cut the file follows it."""
    if _log_of(path).exists():
        _log_of(path).rename(_log_of(new))
    path.rename(new)
    sync_folder(new.parent)


class _Newest(NamedTuple):
    """The newest entry that a file has without its log."""

    n: int
    hash: bytes

    @property
    def seq(self) -> int:
        return Place.of(self.n).seq


def _newest_alone(path: Path) -> _Newest | None:
    """Return the newest entry of the file without its log, None if it cannot be read."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with suppress(*FAULTS), closing(sqlite3.connect(uri, uri=True)) as sql:
        row = sql.execute("SELECT n, hash FROM entry ORDER BY n DESC LIMIT 1").fetchone()
        if row is not None and isinstance(row[1], bytes):
            return _Newest(*row)
    return None


def _taken_back(db: Database, alone: _Newest | None) -> str | None:
    """Return a sentence when the log takes back the newest entry of the file alone.

    Then the log is of another state of the file, or of another file.
    """
    if alone is None:
        return None
    place = Place.of(alone.n)
    row = db.row("SELECT hash FROM entry WHERE n = ?", (alone.n,))
    base = db.row("SELECT base_seq FROM epoch WHERE n = ?", (place.epoch_number,))
    is_known = row is not None and row[0] == alone.hash
    if is_known or (row is None and base is not None and place.seq <= base[0]):
        return None  # the second: pruned, or wiped
    return f"{db.path}: its log takes back entry {place.seq}; it is of another state of the file"


def _following(newest: bytes, seq: int, content: bytes) -> list[SealedBody]:
    """Return the entries in raw bytes that prove to follow an entry."""
    pool = Pool()
    for sealed in entries_in(content):
        pool.add(sealed)
    return pool.after(newest, seq)


def close_without_checkpoint(db: Database) -> None:
    """Close a damaged file without copying its write-ahead log into it.

    SQLite checkpoints when the last connection closes; here that is one which only reads.
    """
    uri = f"file:{quote(str(db.path))}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as other:
        with suppress(sqlite3.Error):
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        db.close()


def keep_aside(path: Path) -> Path:
    """Give a damaged file and its write-ahead log a second name, and return it.

    A file that has one already keeps it. Where a medium has no hard links (FAT), the second name is
    a copy. Raise `OSError` where there is no room for it, or when `ASIDE_MAX` such files exist.
    """
    for n in range(1, ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}.damaged-{n}")
        logs = _log_of(aside), _log_of(path)
        is_free = not aside.exists() and not logs[0].exists()
        if is_free or _is_same(aside, path) or _is_same(*logs):
            break
        if _has_bytes_of(aside, path) and _has_bytes_of(*logs):
            return aside
    else:
        raise OSError(f"{ASIDE_MAX} damaged files exist already; move them to another disk")
    for end in ("-wal", ""):
        source, name = path.with_name(path.name + end), aside.with_name(aside.name + end)
        if source.exists() and not _is_same(source, name):
            give_second_name(source, name)
    sync_folder(path.parent)
    return aside


def give_second_name(source: Path, name: Path) -> None:
    """Give a file another name, in place of what has it: by a hard link, else by a copy.

    After a power cut the name is the whole file's, or there is none.
    """
    name.unlink(missing_ok=True)  # of another log: it would damage the file more
    try:
        name.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        part = name.with_name(f"{name.name}{BEING_MADE}")
        shutil.copyfile(source, part)
        with open(part, "rb") as copy:
            os.fsync(copy.fileno())
        part.rename(name)


def _has_bytes_of(path: Path, other: Path) -> bool:
    if not path.exists() or not other.exists():
        return path.exists() == other.exists()
    return filecmp.cmp(path, other, shallow=False)


def _finish_exchange(path: Path) -> bool:
    """Move a finished replacement to the ledger's name. Return whether there was one.

    A power cut in it costs nothing: the damaged file and its log have their second names by then.
    """
    whole = path.with_name(path.name + WHOLE)
    if not whole.exists():
        return False
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    sync_folder(path.parent)
    whole.rename(path)
    sync_folder(path.parent)
    return True
