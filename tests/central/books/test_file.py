"""The books' file: created once, safe in a power cut, and never another program's."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import town
from agent.central.books.file import PAGE_FAULTS_MAX, FileBooks
from agent.central.books.town import Town
from agent.errors import CentralError


def test_books_are_created_once(tmp_path: Path, books: FileBooks) -> None:
    with pytest.raises(CentralError, match="already exists"):
        FileBooks(books.path, create=True)
    with pytest.raises(CentralError, match="canteen-central init"):
        FileBooks(tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()


def test_a_commit_survives_a_power_cut(books: FileBooks) -> None:
    """EXTRA also flushes the folder when the rollback journal is deleted."""
    (extra,) = books.rows("PRAGMA synchronous")[0]
    (mode,) = books.rows("PRAGMA journal_mode")[0]
    assert (extra, mode) == (3, "delete")


def test_the_version_changes_when_another_process_has_committed(books: FileBooks) -> None:
    before = books.version()
    with closing(FileBooks(books.path)) as other, other.transaction():
        town.set_labels(other, True)
    assert books.version() != before


def test_a_write_to_a_locked_file_is_a_sentence_and_changes_nothing(books: FileBooks) -> None:
    books.sql.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(books.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CentralError, match="not written"), books.transaction():
            town.set_labels(books, True)
        other.execute("ROLLBACK")
    assert not town.sends_labels(books)


def test_a_transaction_that_fails_leaves_nothing(books: FileBooks) -> None:
    with pytest.raises(CentralError, match="not written"), books.transaction():
        town.next_position(books)
        books.sql.execute("INSERT INTO central VALUES (2, 'x', 'y', 'z', 0, 0)")
    assert town.standing(books).position == 0


def test_a_damaged_file_has_as_many_sentences_as_a_person_reads(books: FileBooks) -> None:
    books.sql.execute("PRAGMA ignore_check_constraints = ON")
    for n in range(PAGE_FAULTS_MAX + 1):
        books.sql.execute("INSERT INTO price VALUES ('a', 's', ?, -1)", (f"{n}",))
    books.sql.execute("PRAGMA ignore_check_constraints = OFF")
    assert len(books.page_faults()) == PAGE_FAULTS_MAX


def test_another_program_file_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "photo.db"
    path.write_bytes(b"\xff\xd8\xff\xe0 a photo")
    with pytest.raises(CentralError, match="file is not a database"):
        FileBooks(path)
    assert path.read_bytes().startswith(b"\xff\xd8")


def test_two_towns_have_two_files(tmp_path: Path, books: FileBooks) -> None:
    with closing(FileBooks(tmp_path / "other.db", create=True)) as other:
        town.initialise(other, Town("altrove", "Europe/Rome"), "ab" * 16, at="")
        assert town.find(other).name != town.find(books).name


def test_what_is_deleted_can_be_erased_from_the_file(books: FileBooks) -> None:
    books.sql.execute("INSERT INTO set_aside VALUES (1, '', '', 0, x'', 'a name of a payer')")
    books.erase_deleted()
    books.sql.execute("DELETE FROM set_aside")
    assert b"a name of a payer" not in books.path.read_bytes()
