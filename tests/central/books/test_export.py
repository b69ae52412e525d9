"""The tables that the office can export: all of them, or with a reason why not."""

import stat
from pathlib import Path

import pytest

from agent.central.books import export
from agent.central.books.file import Books
from agent.errors import CentralError
from tests.conftest import CARD
from tests.parts.wire import Wire


def test_every_table_is_exported_or_has_a_reason(books: Books) -> None:
    rows = books.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in rows} == {*export.TABLES, *export.LEFT_OUT}
    assert not set(export.TABLES) & set(export.LEFT_OUT)


def test_no_raw_message_and_no_hello_is_exported(books: Books) -> None:
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


def test_a_copy_that_cannot_be_made_is_refused(books: Books, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "copy"
    with pytest.raises(CentralError, match="cannot be copied"), export.copied(books, nowhere):
        raise AssertionError("there is no copy")
