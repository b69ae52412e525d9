"""A file that is not ours, newer or broken is left alone with a sentence."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.schema import APPLICATION_ID, MIGRATIONS
from agent.store.standing import epochs, standing, tail
from agent.store.verify import verify


def founded(path: Path) -> Database:
    db = Database(path)
    writes.initialise(db, town="borgo", terminal="t-1", epoch="1-0123456789abcdef")
    return db


def untouched(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_new_file_is_a_terminals_and_opens_again(tmp_path: Path) -> None:
    founded(tmp_path / "t.db").close()
    db = founded(tmp_path / "t.db")
    assert standing(db).epoch == "1-0123456789abcdef"
    assert db.sql.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.sql.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert db.sql.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    db = founded(path)
    db.sql.execute("PRAGMA user_version = 99")
    db.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = untouched(path)
    with pytest.raises(StoreError, match="schema 99, this program knows 1"):
        Database(path)
    assert untouched(path) == before


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE something (x)")
    other.close()
    before = untouched(path)
    with pytest.raises(StoreError, match="not a terminal's"):
        Database(path)
    assert untouched(path) == before


@pytest.mark.parametrize(
    "content", [b"<html>", b"\0" * 4096, b"SQLite format 3\0" + b"\xff" * 8000]
)
def test_what_is_no_database_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"t\.db"):
        Database(path)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.db").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        Database(tmp_path / "t.db")


def test_a_lost_file_beside_its_journal_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "t.db-wal").write_bytes(b"x")
    with pytest.raises(StoreError, match="put the file back"):
        Database(tmp_path / "t.db")
    assert not (tmp_path / "t.db").exists()


def test_reading_where_no_terminal_ran_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no terminal has run here"):
        Database(tmp_path / "t.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    db = founded(tmp_path / "t.db")
    with pytest.raises(StoreError, match="not written"), db.transaction() as sql:
        sql.execute("INSERT INTO incident (at, kind, detail) VALUES ('', 'x', 'y')")
        sql.execute("INSERT INTO nowhere VALUES (1)")
    assert reads.counts(db)["incident"] == 0


def test_a_file_that_another_process_holds_is_a_sentence_after_a_moment(tmp_path: Path) -> None:
    db = founded(tmp_path / "t.db")
    db.sql.execute("PRAGMA busy_timeout = 10")
    technician = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    technician.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        writes.note_contact(db, "2026-11-23T11:00:00.000Z")
    technician.close()


FIRST = Path(__file__).with_name("schema-1.sql")


def test_the_first_schema_is_frozen(tmp_path: Path) -> None:
    """What was installed once is changed by a migration, never by another text: schema-1.sql is a ledger of it with a full outbox."""
    fresh = Database(tmp_path / "fresh.db")
    old = sqlite3.connect(tmp_path / "old.db")
    old.executescript(FIRST.read_text(encoding="utf-8"))
    made = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
    if len(MIGRATIONS) == 1:
        assert fresh.rows(made) == old.execute(made).fetchall()
    old.close()
    db = Database(tmp_path / "old.db")
    assert list(verify(db)) == []
    assert (standing(db).pending, len(epochs(db)), tail(db).place) == (
        10,
        2,
        (2, 10),
    )
