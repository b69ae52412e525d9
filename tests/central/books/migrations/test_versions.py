"""Files of earlier programs, and the steps that make them files of this one.

`frozen/` has files that the programs of schema 1 and schema 2 wrote, as SQL text: meals of two
terminals and of another maker's, a storno, a refusal, a closing, a meal for an earlier day, a
double meal, found and unknown cards, wrong clocks, a fork, an unreadable entry, payments, blocked
and replaced cards, a retired terminal, messages set aside, a restored backup.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import accounts, entries, towns
from agent.central.books.file import FileBooks
from agent.central.books.migrations.steps import APPLICATION_ID, NEWEST, SQLITE_STEPS
from agent.central.books.postgres import Server
from agent.central.office.check import check
from agent.central.office.terminals import add_terminal
from agent.readers.events import Signal
from tests.conftest import CARD
from tests.invariants import the_books_are_consistent
from tests.parts.both_engines import on_postgresql
from tests.parts.town import run_central
from tests.parts.wire import SITE, Wire

FROZEN = Path(__file__).parents[1] / "frozen"
SCHEMAS = (1, 2)
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
DEFINITIONS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 2"

Row = tuple[object, ...]


@pytest.fixture(params=SCHEMAS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file of an earlier program."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FROZEN / f"schema-{request.param}.sql").read_text("utf-8"))
    return path


def rows_of(path: Path, columns: dict[str, list[str]]) -> dict[str, list[Row]]:
    """Return the rows of tables, with these columns."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}"), key=repr)
            for table, names in columns.items()
        }


def columns_of(path: Path) -> dict[str, list[str]]:
    """Return the columns of every table."""
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for (table,) in connection.execute(TABLES).fetchall()
        }


def definitions(connection: sqlite3.Connection) -> list[Row]:
    """Return what a schema has, without comments and blanks."""
    return [
        (kind, name, re.sub(r"\s+", "", re.sub(r"--.*", "", sql)).replace('"', ""))
        for kind, name, sql in connection.execute(DEFINITIONS)
    ]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_first_steps_make_the_schema_of_the_program_of_then(schema: int) -> None:
    with closing(sqlite3.connect(":memory:")) as then, closing(sqlite3.connect(":memory:")) as now:
        then.executescript((FROZEN / f"schema-{schema}.sql").read_text("utf-8"))
        for script in SQLITE_STEPS[:schema]:
            now.executescript(script)
        assert definitions(then) == definitions(now)


def test_a_frozen_file_has_rows_in_every_table(older: Path) -> None:
    rows = rows_of(older, columns_of(older))
    assert [table for table in rows if not rows[table]] == []


def test_an_older_file_keeps_every_row(older: Path) -> None:
    columns = columns_of(older)
    before = rows_of(older, columns)
    FileBooks(older).close()
    assert rows_of(older, columns) == before


def test_an_older_file_gets_the_schema_of_a_new_one(older: Path, tmp_path: Path) -> None:
    with (
        closing(FileBooks(older)) as migrated,
        closing(FileBooks(tmp_path / "new.db", create=True)) as new,
    ):
        assert migrated.rows("PRAGMA user_version") == [(NEWEST,)]
        assert migrated.rows("PRAGMA application_id") == [(APPLICATION_ID,)]
        assert columns_of(older) == columns_of(tmp_path / "new.db")
        named = {(kind, name) for kind, name, _ in definitions(new.sql)}
        assert {(kind, name) for kind, name, _ in definitions(migrated.sql)} == named


def test_the_office_finds_nothing_wrong_in_an_older_file(older: Path) -> None:
    counted = "5 balances, 16 entries: all correct\n"
    assert run_central("--db", older, "check") == counted
    with closing(FileBooks(older)) as books:
        the_books_are_consistent(books)


def test_the_times_of_schema_1_are_confirmed_unless_the_clock_was_wrong(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FROZEN / "schema-1.sql").read_text("utf-8"))
    with closing(FileBooks(path)) as books:
        unconfirmed = books.rows("SELECT kind, clock FROM entry WHERE dated = 0 ORDER BY terminal")
    assert unconfirmed == [("meal", "unset"), ("unreadable", None), ("meal", "unset")]


def test_a_terminal_syncs_with_an_older_file(older: Path, tmp_path: Path) -> None:
    """It is new, with an epoch of its own, and gets all accounts and the meals' balances."""
    with closing(Wire(tmp_path, "t-5")) as wire:
        wire.central.restore(older)
        add_terminal(wire.central.books, "t-5", SITE)
        box = wire.boxes["t-5"]
        with closing(sqlite3.connect(older)) as connection:
            balances = dict(connection.execute("SELECT id, balance FROM account"))
        wire.connect()
        own = ("a-1", "a-2", "a-3")
        assert {account: box.balance(account) for account in own} == {
            account: balances[account] for account in own
        }
        wire.clock.pass_ms(24 * 3_600_000)
        assert box.tap(CARD) is Signal.SERVED
        wire.settle()
        assert wire.central.balance("a-1") == balances["a-1"] - 366
        assert box.ask("status")["pending"] == 0
        assert list(check(wire.central.books)) == []


def test_an_older_file_becomes_a_town_on_postgresql(older: Path, server: Server) -> None:
    with closing(FileBooks(older)) as books:
        town = on_postgresql(books, server, "older")
        assert list(check(town)) == []
        assert entries.count(town) == entries.count(books)
        assert accounts.balance_cents(town, "a-1") == accounts.balance_cents(books, "a-1")
    towns.remove(server, town.town)
