"""Foreign, newer and broken files are left alone; log, lock and headroom have limits."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store import reads, writes
from agent.store.database import BUSY_TIMEOUT_MS, HEADROOM_BYTES, WAL_PAGES_MAX, Database
from agent.store.schema import PAGE_BYTES
from agent.store.standing import standing
from agent.store.statements import SET_ASIDE_PAYLOAD_BYTES_MAX
from tests.store.disk import AT, EPOCH, TERMINAL, TOWN, Disk, set_aside


def initialised(path: Path) -> Database:
    db = Database(path)
    writes.initialise(db, town=TOWN, terminal=TERMINAL, epoch=EPOCH)
    return db


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def log_of(db: Database) -> Path:
    return db.path.with_name(f"{db.path.name}-wal")


# Opening


def test_a_commit_fills_its_block_so_that_a_torn_one_takes_no_other_with_it(
    tmp_path: Path,
) -> None:
    """A card may damage a block of 4 KiB that it rewrites (sqlite.org/psow.html)."""
    db = initialised(tmp_path / "t.db")
    frame_bytes = PAGE_BYTES + 24
    db.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.write_one("UPDATE terminal SET resync = ?", (9,))
    for number in range(3):
        before = log_of(db).stat().st_size
        db.write_one("UPDATE terminal SET resync = ?", (number,))
        added = log_of(db).stat().st_size - before
        end_of_change = before + frame_bytes
        assert added > frame_bytes, "one page changed, and more frames follow it"
        assert before + added >= -(-end_of_change // 4096) * 4096, "they reach the block's end"
    db.close()


def test_a_new_file_opens_again_with_one_flush_per_commit(tmp_path: Path) -> None:
    initialised(tmp_path / "t.db").close()
    with closing(initialised(tmp_path / "t.db")) as db:
        assert standing(db).epoch == EPOCH
        assert db.only_row("PRAGMA journal_mode") == ("wal",)
        assert db.only_row("PRAGMA synchronous") == (2,)


def test_a_newer_schema_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(initialised(path)) as db:
        db.sql.execute("CREATE TABLE later (n)")
        db.sql.execute("PRAGMA user_version = 99")
        db.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = digest_of(path)
    with pytest.raises(StoreError, match="schema 99, this program knows 3"):
        Database(path)
    assert digest_of(path) == before


def test_another_programs_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE something (x)")
    before = digest_of(path)
    with pytest.raises(StoreError, match="not a terminal's"):
        Database(path)
    assert digest_of(path) == before


@pytest.mark.parametrize(
    "content", [b"<html>", b"\0" * 4096, b"SQLite format 3\0" + b"\xff" * 8000]
)
def test_a_file_that_is_no_database_is_refused_and_not_changed(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"t\.db"):
        Database(path)
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.db").mkdir()
    with pytest.raises(StoreError, match="unable to open database file"):
        Database(tmp_path / "t.db")


def test_a_missing_file_beside_its_log_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "t.db-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match="put the file back"):
        Database(tmp_path / "t.db")
    assert not (tmp_path / "t.db").exists()


def test_reading_where_no_terminal_has_run_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no terminal has run here"):
        Database(tmp_path / "t.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


# Writing


def test_a_failed_transaction_leaves_nothing(disk: Disk) -> None:
    with pytest.raises(StoreError, match="not written"), disk.db.transaction() as sql:
        sql.execute("INSERT INTO incident (at, kind, detail) VALUES ('', 'x', 'y')")
        sql.execute("INSERT INTO nowhere VALUES (1)")
    assert reads.counts(disk.db)["incident"] == 0


@pytest.mark.parametrize("end", ["", "-wal"])
def test_nothing_is_written_into_a_removed_file(disk: Disk, end: str) -> None:
    """SQLite would write into the removed file without an error, and lose it at exit."""
    disk.meal()
    disk.db.path.with_name(f"{disk.db.path.name}{end}").unlink()
    with pytest.raises(StoreError, match="removed or replaced while the agent runs"):
        disk.meal("a-2")
    with pytest.raises(StoreError, match="removed or replaced while the agent runs"):
        writes.note_contact(disk.db, AT)


@contextmanager
def write_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the file as a technician's sqlite3 does."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_write_waits_for_a_short_lock(disk: Disk) -> None:
    with write_lock(disk.db.path) as technician:
        release = threading.Timer(BUSY_TIMEOUT_MS / 8_000, technician.rollback)
        release.start()
        assert disk.meal().seq == 1
        release.join()


def test_a_write_fails_after_busy_timeout_ms(disk: Disk) -> None:
    with write_lock(disk.db.path):
        began = time.monotonic()
        with pytest.raises(StoreError, match="locked"):
            writes.note_contact(disk.db, AT)
        waited_ms = (time.monotonic() - began) * 1_000
    assert BUSY_TIMEOUT_MS * 0.8 < waited_ms < BUSY_TIMEOUT_MS * 5


# Log, headroom and compaction


def test_without_checkpoints_the_log_stays_within_wal_pages_max(disk: Disk) -> None:
    limit_bytes = WAL_PAGES_MAX * (PAGE_BYTES + 24)  # a frame has a header of 24 bytes
    payload = b"x" * SET_ASIDE_PAYLOAD_BYTES_MAX
    for _ in range(2 * limit_bytes // len(payload)):
        writes.set_aside(disk.db, set_aside(payload))
    assert limit_bytes / 2 < log_of(disk.db).stat().st_size < limit_bytes + 2 * len(payload)


def free_bytes(db: Database) -> int:
    (pages,) = db.only_row("PRAGMA freelist_count")
    return int(pages) * PAGE_BYTES


def test_headroom_bytes_are_reserved_in_the_file_and_in_the_log(disk: Disk) -> None:
    disk.db.make_headroom()
    assert free_bytes(disk.db) >= HEADROOM_BYTES * 0.95
    assert log_of(disk.db).stat().st_size >= HEADROOM_BYTES * 0.95


def test_the_headroom_is_written_again_only_when_half_of_it_is_used(disk: Disk) -> None:
    payload = b"x" * SET_ASIDE_PAYLOAD_BYTES_MAX

    def used(count: int) -> int:
        """Use so many pieces; return the headroom after the next `reserve`."""
        for _ in range(count):
            writes.set_aside(disk.db, set_aside(payload))
        disk.db.make_headroom()
        return free_bytes(disk.db)

    disk.db.make_headroom()
    pieces = HEADROOM_BYTES // len(payload)
    assert used(pieces // 4) < HEADROOM_BYTES * 0.8
    assert used(pieces // 3) >= HEADROOM_BYTES * 0.95


def test_compacting_deletes_free_pages_log_and_copies_from_before_migrations(disk: Disk) -> None:
    disk.db.make_headroom()
    name = disk.db.path.name
    copies = [disk.db.path.with_name(f"{name}.{end}") for end in ("schema-1", "damaged-1")]
    for copy in copies:
        copy.touch()
    half_read = disk.db.path.with_name(f"{name}.damaged-1.copy-x")
    half_read.mkdir()
    disk.db.compact()
    assert (free_bytes(disk.db), log_of(disk.db).stat().st_size) == (0, 0)
    assert not any(copy.exists() for copy in (*copies, half_read))


def test_a_checkpoint_reports_whether_the_whole_log_is_in_the_file(disk: Disk) -> None:
    disk.meal()
    with closing(sqlite3.connect(disk.db.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entry").fetchall()
        disk.meal("a-2")
        assert not disk.db.checkpoint()
    assert disk.db.checkpoint()
