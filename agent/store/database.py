"""The terminal's file, with room to write in (`make_headroom`), and a reserve for a full disk.

One connection writes and checkpoints; others only read.

Write-ahead log under `synchronous=FULL`: one flush per commit, and a committed tap survives a
power cut. `psow=0`: a torn 4 KiB block does not take a committed neighbour with it
(sqlite.org/psow.html).
"""

import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from agent.errors import AgentError, DamagedError, RoomMadeError, StoreError
from agent.sqlite_file import FAULTS, FileKind, SqliteFile
from agent.store.cache import Cache
from agent.store.disk_space import free_bytes, full_words, has_inodes, megabytes
from agent.store.log_index import INDEX_BYTES, LogIndex
from agent.store.log_readers import log_readers
from agent.store.reserve import LEFT_BYTES, RESERVE_BYTES, Reserve
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES

BUSY_TIMEOUT_MS = 2_000  # a technician's sqlite3 may hold the file for a moment
# 16 MiB. Checkpoints are done in quiet moments; this bounds the log on a day without one.
WAL_PAGES_MAX = 16_384
HEADROOM_PIECE_BYTES = 512 * 1024
# Of free pages in the file, and of the log of a lunch.
HEADROOM_BYTES = 12 * 1024 * 1024
# SQLite's codes for a disk that is full: while it writes, and while it makes its index (-shm).
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
# For these it is full if so little is free. A quota that is used up has no code of its own.
_PERHAPS_FULL = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN)
_HARDLY_FREE_BYTES = 64 * 1024
# A log of this length is used again on a full disk before the reserve is: some fifty taps.
LOG_AGAIN_BYTES = 1024 * 1024
# A log is longer than that of a lunch only while another program reads for long.
LOG_LONG_BYTES = 2 * HEADROOM_BYTES
PROGRESS_STEPS = 100_000  # of SQLite's machine: some tenths of a second on a Pi
# The ends of the names of files for the office. A wipe keeps what the central may not have.
PART, ACKED_PART = ".ledger", ".acked.ledger"
# The names of copies begin so: of before migrations, damaged ones, of other terminals, half made.
COPIES = ("schema-", "damaged-", "salvaged-", "of-", "made", "new")

FORM = FileKind(
    owner="a terminal's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=(
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = FULL",
        # Debian's SQLite zeroes freed pages, which writes more blocks. A wipe rewrites the file.
        "secure_delete = OFF",
        f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    ),
    options="&psow=0",
    # The triggers of schema.py seal rows with the first, lookup.py compares names by the second.
    functions={"crc32": zlib.crc32, "casefold": str.casefold},
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=StoreError,
    damaged=DamagedError,
)


class Database(SqliteFile[tuple[Any, ...]]):
    """The terminal's connection; `read_only` for the command line."""

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        headroom_bytes: int = HEADROOM_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        if read_only and not path.exists():
            raise StoreError(f"{path}: does not exist; no terminal has run here yet")
        self._headroom_bytes = headroom_bytes
        self.reserve = Reserve(path, 0 if read_only else reserve_bytes)
        self.cache = Cache(keeps=not read_only)
        self._on_progress: Callable[[], None] = lambda: None
        self.path = path
        self._index = None if read_only else LogIndex(path)
        self._is_log_tried = True  # there is no connection yet
        self._opened_with_room(partial(super().__init__, path, FORM, "ro" if read_only else "rwc"))

    @contextmanager
    def reporting(self, on_progress: Callable[[], None]) -> Iterator["Database"]:
        """Call a function now and then while the block's statements run, and later in `compact`."""
        self._on_progress = on_progress
        self.sql.set_progress_handler(on_progress, PROGRESS_STEPS)
        try:
            yield self
        finally:
            with suppress(sqlite3.ProgrammingError):  # the block closed it
                self.sql.set_progress_handler(None, 0)

    def close(self) -> None:
        super().close()
        if self._index is not None:
            self._index.close()

    def reopen(self) -> None:
        self.cache.clear()
        self._opened_with_room(super().reopen)

    def _opened_with_room(self, work: Callable[[], None]) -> None:
        """Open the file. On a full disk the index of the log gets room first."""
        with suppress(OSError):
            while free_bytes(self.path.parent) < INDEX_BYTES and self.reserve.give_back():
                pass
        self._with_reserve(work)
        self._is_log_tried = False
        if self._index is not None:
            self._index.allocate()

    def _with_reserve(self, work: Callable[[], None]) -> None:
        """Do work that is done whole or not at all; on a full disk again, with the reserve."""
        while True:
            try:
                return work()
            except StoreError as error:
                if not (_is_full(self.path, error.__cause__) and self._make_room()):
                    raise

    def _make_room(self) -> bool:
        """Make room on a full disk. Return whether the same work should be tried again.

        The log comes first: once all of it is in the file, SQLite writes it again from its start.
        Without that, a lunch without a quiet moment takes the whole reserve for its log.
        """
        if self._is_log_tried:
            return self.reserve.give_back()
        self._is_log_tried = True  # until the next write succeeds
        if self._is_log_copied():
            return True
        if not self.reserve.give_back():
            return False
        self._is_log_copied()  # the file has room to grow now
        return True

    def _is_log_copied(self) -> bool:
        """Copy a long log into the file. Return whether it begins again with the next write."""
        log = self.path.with_name(self.path.name + "-wal")
        try:
            if log.stat().st_size < LOG_AGAIN_BYTES:
                return False
            _, frames, done = self.sql.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except FAULTS:
            return False  # the file must grow for it, and cannot
        return bool(frames == done)

    def fault(self, what: str, error: Exception) -> AgentError:
        """As `SqliteFile.fault`; for a full disk with what fills it."""
        fault = super().fault(what, error)
        if _is_full(self.path, error) or _has_no_inodes(self.path, error):
            fault.args = (f"{fault}: disk full: {self._fullness()}",)
        return fault

    def _fullness(self) -> str:
        return "; ".join(filter(None, (full_words(self.path.parent), self.log_words())))

    def log_words(self) -> str:
        """Return which programs keep a long log from being used again, empty while none does."""
        log = self.path.with_name(self.path.name + "-wal")
        with suppress(OSError):
            if log.stat().st_size > LOG_LONG_BYTES and (readers := log_readers(self.path)):
                size = megabytes(log.stat().st_size)
                return (
                    f"{', '.join(readers)} reads {self.path} for long, so that its write-ahead log"
                    f" grew to {size}; end that program"
                )
        return ""

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        """Do one statement that is a transaction. The caller tells the cache what it changed."""
        try:
            self._require_in_place()
            self._with_reserve(partial(super().write_one, statement, values))
            self._is_log_tried = False
        except StoreError:
            self.cache.clear()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """As `SqliteFile.transaction`; afterwards the cache is empty.

        Raise `RoomMadeError` if the disk was full and the next try has room from the reserve.
        """
        self.cache.clear()
        self._require_in_place()
        try:
            with super().transaction() as sql:
                yield sql
            self._is_log_tried = False
        except StoreError as error:
            if _is_full(self.path, error.__cause__) and self._make_room():
                raise RoomMadeError(str(error)) from error
            raise
        finally:
            self.cache.clear()

    def _require_in_place(self) -> None:
        """Raise `StoreError` when the file was replaced.

        SQLite would write into the removed file without an error."""
        if not self.is_in_place():
            raise StoreError(
                f"{self.path}: the file or its write-ahead log was removed or replaced"
                " while the agent runs"
            )

    def compact(self) -> list[str]:
        """Rewrite the file without free pages, empty the log, and delete old copies.

        Return the names of those that stay: a ledger of another terminal, and a file for the
        office, with meals that the central may not have booked yet. They are money.

        For a terminal that must forget. Raise `StoreError` while another program reads: then old
        data may be left.
        """
        try:
            with self.reporting(self._on_progress):
                self.sql.execute("VACUUM")
            (busy, _, _) = self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            kept = []
            for kind in COPIES:
                for copy in sorted(self.path.parent.glob(f"{self.path.name}.{kind}*")):
                    if _has_waiting(copy) if kind == "of-" else _is_for_office(copy):
                        kept.append(copy.name)
                    else:
                        shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
        except (*FAULTS, OSError) as error:
            raise self.fault("not compacted", error) from error
        if busy:
            raise StoreError(f"{self.path}: not compacted: another program is reading it")
        return kept

    def checkpoint(self) -> bool:
        """Copy the write-ahead log into the file as far as readers allow.

        Return whether all of it is there.

        Never on a tap's path.
        """
        frames = done = 0

        def copy_log() -> None:
            nonlocal frames, done
            _, frames, done = self.only_row("PRAGMA wal_checkpoint(PASSIVE)")

        self._with_reserve(copy_log)
        return bool(frames == done)

    def empty_log(self) -> None:
        """Empty the log, so that nothing behind its newest commit is read as newer later.

        Where another program reads, it stays.
        """
        self.only_row("PRAGMA wal_checkpoint(TRUNCATE)")

    def make_headroom(self) -> None:
        """Make free pages in the file and a write-ahead log of full length, where there is room.

        A tap overwrites blocks instead of allocating new ones, which takes half the time of a
        flush. Raise `StoreError`.
        """
        log = self.path.with_name(self.path.name + "-wal")
        try:
            (free,) = self.sql.execute("PRAGMA freelist_count").fetchone()
            (page_bytes,) = self.sql.execute("PRAGMA page_size").fetchone()
            log_bytes = log.stat().st_size if log.exists() else 0
            if min(free * page_bytes, log_bytes) >= self._headroom_bytes // 2:
                return  # written again only when half is gone: each time wears the card
            if free_bytes(self.path.parent) < 2 * self._headroom_bytes + LEFT_BYTES:
                return
            self._write_headroom()
        except (*FAULTS, OSError) as error:
            raise self.fault("no headroom made", error) from error
        self.checkpoint()

    def _write_headroom(self) -> None:
        """Write and drop a table of zeros.

        Each piece is a transaction: pages freed in the transaction that made them are never
        written. A piece fits the page cache; otherwise each page would be written twice.
        """
        self.sql.execute("CREATE TABLE IF NOT EXISTS headroom (zeros BLOB)")
        piece = min(self._headroom_bytes, HEADROOM_PIECE_BYTES)
        for _ in range(self._headroom_bytes // piece):
            self.sql.execute("INSERT INTO headroom VALUES (zeroblob(?))", (piece,))
        self.sql.execute("DROP TABLE headroom")


def _is_full(path: Path, error: BaseException | None) -> bool:
    """Return whether SQLite failed because the disk under a path is full."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _FULL:
        return True
    if code not in _PERHAPS_FULL:
        return False
    try:
        return free_bytes(path.parent) < _HARDLY_FREE_BYTES
    except OSError:
        return False


def _has_no_inodes(path: Path, error: BaseException) -> bool:
    """Return whether SQLite could make no file. The reserve does not help then."""
    if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_CANTOPEN:
        return False
    with suppress(OSError):
        return not has_inodes(path.parent)
    return False


def _is_for_office(path: Path) -> bool:
    return path.name.endswith(PART) and not path.name.endswith(ACKED_PART)


def _has_waiting(path: Path) -> bool:
    """Return whether a ledger has entries that its central has not acknowledged.

    Also of its log, by its name. One that cannot be read stays, too.
    """
    ledger = path.with_name(path.name.removesuffix("-wal").removesuffix("-shm"))
    try:
        with closing(Database(ledger, read_only=True)) as other:
            waiting = "SELECT EXISTS (SELECT 1 FROM entry WHERE n > (SELECT acked FROM terminal))"
            return bool(other.only_row(waiting)[0])
    except StoreError:
        return ledger.exists()
