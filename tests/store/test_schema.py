"""The schema is frozen, and it refuses what the ledger may never contain."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.database import Database
from agent.store.schema import APPLICATION_ID, MIGRATIONS, PAGE_BYTES
from agent.store.standing import epochs, standing, tail
from agent.store.verify import verify
from tests.store.disk import Disk, account

FIRST_SCHEMA = Path(__file__).with_name("schema-1.sql")
DEFINITIONS = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"


def test_the_first_schema_is_frozen(tmp_path: Path) -> None:
    """An installed schema is changed by a migration. schema-1.sql is a ledger with an outbox."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript(FIRST_SCHEMA.read_text(encoding="utf-8"))
        old_definitions = old.execute(DEFINITIONS).fetchall()
    if len(MIGRATIONS) == 1:
        with closing(Database(tmp_path / "new.db")) as new:
            assert new.rows(DEFINITIONS) == old_definitions
    with closing(Database(tmp_path / "old.db")) as db:
        assert list(verify(db)) == []
        assert (standing(db).pending, len(epochs(db)), tail(db).place) == (10, 2, (2, 10))


def test_every_migration_changes_a_definition() -> None:
    """By the definitions, a wrong number in the header is distinguished from a newer file."""
    with closing(sqlite3.connect(":memory:")) as sql:
        sql.create_function("crc32", 1, zlib.crc32)
        seen = [sql.execute(DEFINITIONS).fetchall()]
        for migration in MIGRATIONS:
            sql.executescript(migration)
            seen.append(sql.execute(DEFINITIONS).fetchall())
    assert all(seen.count(definitions) == 1 for definitions in seen)


def test_a_file_carries_the_terminals_id_and_page_size(disk: Disk) -> None:
    assert disk.db.only_row("PRAGMA application_id") == (APPLICATION_ID,)
    assert disk.db.only_row("PRAGMA page_size") == (PAGE_BYTES,)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entry SET cents = 0", "UPDATE entry SET hash = zeroblob(32)", "DELETE FROM entry"],
)
def test_an_entry_is_neither_changed_nor_deleted(disk: Disk, statement: str) -> None:
    disk.meal()
    with pytest.raises(sqlite3.IntegrityError, match="an entry is"):
        disk.db.sql.execute(statement)


def test_a_meal_that_adds_money_is_refused(disk: Disk) -> None:
    with pytest.raises(StoreError, match="CHECK"):
        disk.meal(cents=1)


@pytest.mark.parametrize(
    "values",
    [
        "'storno', -1, 7, zeroblob(32)",
        "'storno', 1, NULL, zeroblob(32)",
        "'refusal', 1, NULL, zeroblob(32)",
        "'meal', 0, 7, zeroblob(32)",
        "'top_up', 0, NULL, zeroblob(32)",
        "'refusal', 0, NULL, zeroblob(31)",
    ],
)
def test_an_impossible_entry_is_refused(disk: Disk, values: str) -> None:
    insert = "INSERT INTO entry (n, meal_number, kind, cents, reverses, hash, body)"
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        disk.db.sql.execute(f"{insert} VALUES (8589934593, 0, {values}, '{{}}')")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO terminal VALUES (2, 'x', 'y', 0, NULL, 0, 0, 0, NULL, NULL, NULL, 0, 0, NULL)",
        "UPDATE terminal SET pruning = 2",
        "UPDATE record SET body = '{'",
        "UPDATE record SET p = 'five'",
    ],
)
def test_a_second_terminal_or_a_malformed_record_is_refused(disk: Disk, statement: str) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    with pytest.raises(sqlite3.IntegrityError):
        disk.db.sql.execute(statement)
