"""Opens a terminal's ledger: creates a new one, or replaces a damaged one.

A damaged file is kept under another name, untouched. A new file takes its place, with all entries
of the damaged one that can be proved. A power cut at any moment leaves either file whole.
"""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from agent.errors import DamagedError, StoreError
from agent.sqlite_file import sync_folder
from agent.store import writes
from agent.store.damage import find_damage
from agent.store.database import Database
from agent.store.rows import EpochCopy, Incident
from agent.store.salvage import COPY, SalvagedEpoch, read_damaged

ASIDE_MAX = 1_000  # damaged files kept beside a ledger
ENDS = ("", "-wal", "-shm", "-journal")
BEING_MADE, WHOLE = ".made", ".whole"

log = logging.getLogger("agent.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFile:
    """A terminal's ledger on the disk.

    `epoch_bits` returns 16 hex digits of randomness. `export` writes a ledger into a file for the
    office and returns the number of entries. `on_progress` is called while a damaged file is read,
    which may take longer than systemd's watchdog waits.
    """

    path: Path
    town: str
    terminal: str
    epoch_bits: Callable[[], str]
    export: Callable[[Database, Path], int]
    on_progress: Callable[[], None] = lambda: None

    def open(self, at: str, known_damage: str | None = None) -> Database:
        """Open the ledger, create it, or replace a damaged one. Raise `StoreError`.

        `known_damage` is what a running terminal has found; `at` dates the incident.
        """
        try:
            is_replaced = _finish_exchange(self.path)
            fault = None if is_replaced else known_damage  # the damage was of the file before
            if fault is None:
                db = self._opened(self.path)
                fault = _checked(db)
                if fault is None:
                    return db
                close_without_checkpoint(db)
        except DamagedError as error:
            fault = str(error)
        except OSError as error:
            raise StoreError(f"{self.path}: {error}") from error
        try:
            self._replace(fault, at)
        except OSError as error:
            raise StoreError(f"{fault}; no new file could be put in its place: {error}") from error
        return Database(self.path)

    def _replace(self, fault: str, at: str) -> None:
        for left in self.path.parent.glob(f"{self.path.name}.damaged-*{COPY}*"):
            shutil.rmtree(left, ignore_errors=True)  # of an earlier try that a power cut ended
        aside = keep_aside(self.path)
        detail = self._make_replacement(aside, fault, at)
        _finish_exchange(self.path)
        log.error("Ledger replaced: %s", detail)

    def _make_replacement(self, aside: Path, fault: str, at: str) -> str:
        """Make the file that takes a damaged one's place, beside it.

        Return what the incident says.
        """
        damaged, story = read_damaged(aside, self.on_progress), f"{fault}; kept as {aside.name}"
        salvaged = damaged.epochs if damaged.is_of(self.town, self.terminal) else []
        exported = self._export_earlier(aside, salvaged)
        with self._made() as db:
            newest = [epoch.newest for epoch in salvaged if epoch.newest.entries]
            writes.take_over(db, newest, self.epoch_bits())
            if damaged.is_wiped and damaged.is_of(self.town, self.terminal):
                writes.stay_wiped(db)
            writes.take_rules(db, damaged.rules, damaged.last_contact_at if salvaged else None)
            count, lost = (
                sum(len(copy.entries) for copy in newest),
                sum(epoch.lost for epoch in salvaged),
            )
            detail = (
                f"{story}; {count} entries of it are sent again, {lost} places are not readable"
            )
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

    def _export_earlier(self, aside: Path, salvaged: list[SalvagedEpoch]) -> list[str]:
        """Write each run of entries before a damaged place into a file for the office."""
        runs: list[EpochCopy] = [run for epoch in salvaged for run in epoch.earlier]
        exported = []
        for number, run in enumerate(runs, start=1):
            file = aside.with_name(f"{aside.name}.part-{number}.ledger")
            with self._made() as db:
                writes.take_over(db, [run], self.epoch_bits())
                exported.append(f"{self.export(db, file)} in {file.name}")
        return exported

    @contextmanager
    def _made(self) -> Iterator[Database]:
        made = self.path.with_name(self.path.name + BEING_MADE)
        for end in ENDS:
            made.with_name(made.name + end).unlink(missing_ok=True)
        with closing(self._opened(made)) as db:
            yield db

    def _opened(self, path: Path) -> Database:
        db = Database(path)
        try:
            epoch = f"1-{self.epoch_bits()}"
            writes.initialise(db, town=self.town, terminal=self.terminal, epoch=epoch)
        except StoreError:
            close_without_checkpoint(db)  # a later close would change a file that is kept aside
            raise
        return db


def _checked(db: Database) -> str | None:
    """Return the damage of a file. Close the file when it cannot even be checked."""
    try:
        return find_damage(db)
    except StoreError:
        close_without_checkpoint(db)
        raise


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

    A file that has one already keeps it. Raise `OSError` where there are no hard links, or when
    `ASIDE_MAX` such files exist.
    """
    for n in range(1, ASIDE_MAX + 1):
        aside = path.with_name(f"{path.name}.damaged-{n}")
        if not aside.exists():
            break
        if aside.samefile(path):
            break
    else:
        raise OSError(f"{ASIDE_MAX} damaged files exist already; move them to another disk")
    for end in ("-wal", ""):
        source, link = path.with_name(path.name + end), aside.with_name(aside.name + end)
        if source.exists() and not (link.exists() and link.samefile(source)):
            link.unlink(
                missing_ok=True
            )  # of another write-ahead log: it would damage the file more
            link.hardlink_to(source)
    sync_folder(path.parent)
    return aside


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
