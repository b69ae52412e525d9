"""The tables that the office can export: all of them, or with a reason why not."""

import stat
import sys
from pathlib import Path

import pytest

from agent.central.books import export, incidents
from agent.central.books.file import FileBooks
from agent.central.books.incidents import Incident
from agent.central.books.postgres import Server
from agent.errors import CentralError
from tests.conftest import CARD
from tests.parts.both_engines import on_postgresql
from tests.parts.process import Process
from tests.parts.wire import Wire


def test_every_table_is_exported_or_has_a_reason(books: FileBooks) -> None:
    rows = books.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in rows} == {*export.TABLES, *export.LEFT_OUT}
    assert not set(export.TABLES) & set(export.LEFT_OUT)


def test_no_raw_message_and_no_hello_is_exported(books: FileBooks) -> None:
    """They may name payers, and are no reading for an office."""
    columns = {table.name: table.columns for table in export.tables(books)}
    assert "body" not in columns["arrival"] and "body" not in columns["entry"]
    assert "payload" not in columns["set_aside"]
    assert not {"hello", "state"} & set(columns["terminal"])


def test_a_copy_has_what_the_books_had_and_lets_the_central_write(
    wire: Wire, tmp_path: Path
) -> None:
    wire.box.tap(CARD)
    wire.settle()
    path = tmp_path / "copy"
    path.write_bytes(b"of a command that was killed")
    with export.copied(wire.central.books, path) as copy:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        rows = export.rows(copy, "posting")
        first = next(rows)
        wire.central.credit("a-1", 100, "1")  # while the export reads
        assert [first, *rows] == list(export.rows(copy, "posting")) and first[2] == -366
    assert not path.exists()
    counts = {table.name: table.rows for table in export.tables(wire.central.books)}
    assert (counts["posting"], counts["entry"]) == (2, 1)


def test_a_copy_is_of_one_moment_while_another_program_writes(wire: Wire, tmp_path: Path) -> None:
    """Each of its transactions writes the same number at both ends of the file."""
    with wire.central.books.transaction():
        for n in range(30_000):  # 30 MB: it writes several times during a copy
            incidents.add(wire.central.books, Incident(wire.clock.instant, "kind", f"{n:01000}"))
    script = (
        "import sqlite3, sys, threading\n"
        "file = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)\n"
        "file.execute('PRAGMA synchronous = OFF')\n"
        "pause = threading.Event()\n"
        "update = 'UPDATE incident SET at = ? WHERE n IN (1, 30000)'\n"
        "for number in range(1_000_000):\n"
        "    file.execute(update, (str(number),))\n"
        "    pause.wait(0.002)\n"  # readers get their turn, as beside a central
    )
    command: list[str | Path] = [sys.executable, "-c", script, wire.central.books.path]
    seen: set[str] = set()
    with Process(command, tmp_path / "log") as writer:
        while len(seen) < 10:
            assert writer.is_running, writer.output()
            with export.copied(wire.central.books, tmp_path / "copy") as copy:
                assert isinstance(copy, FileBooks)
                first, last = copy.rows("SELECT at FROM incident WHERE n IN (1, 30000)")
                assert first == last
                seen.add(first[0])


def test_a_copy_that_cannot_be_made_is_refused(books: FileBooks, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "copy"
    with pytest.raises(CentralError, match="cannot be copied"), export.copied(books, nowhere):
        raise AssertionError("there is no copy")


def test_both_engines_export_the_same_and_postgresql_without_a_copy(
    wire: Wire, server: Server, tmp_path: Path
) -> None:
    wire.central.credit("a-1", 100, "1")
    wire.box.tap(CARD)
    wire.settle()
    books, path = wire.central.books, tmp_path / "copy"
    other = on_postgresql(books, server, "export")
    with export.copied(other, path) as snapshot:
        assert export.tables(snapshot) == export.tables(books)
        for table in export.TABLES:
            assert list(export.rows(snapshot, table)) == list(export.rows(books, table))
        assert not path.exists()
