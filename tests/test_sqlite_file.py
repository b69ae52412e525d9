"""A SQLite file of ours: never changed if it is another program's, and whole or not there."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FileKind, SqliteFile

KIND = FileKind(
    owner="a test's",
    application_id=0x7E57,
    migrations=("CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT) STRICT;\n",),
    pragmas=("journal_mode = WAL", "synchronous = FULL"),
    options="",
    functions={},
    busy_timeout_ms=0,
    error=StoreError,
    damaged=DamagedError,
)
NEWER = replace(KIND, migrations=(*KIND.migrations, "ALTER TABLE t ADD COLUMN y TEXT;\n"))
BROKEN = replace(
    KIND, migrations=(*KIND.migrations, "CREATE TABLE u (n);\nINSERT INTO missing VALUES (1);\n")
)
File = SqliteFile[tuple[Any, ...]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def file(path: Path) -> Iterator[File]:
    with closing(File(path, KIND, "rwc")) as opened:
        yield opened


def refusal(path: Path, kind: FileKind = KIND, error: type[StoreError] = StoreError) -> str:
    """Return why a file is not opened, and check that it was not changed."""
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(error) as raised:
        File(path, kind, "rw")
    assert raised.type is error
    assert (path.read_bytes() if path.exists() else None) == before
    return str(raised.value).removeprefix(f"{path}: ")


def test_a_new_file_is_created_complete_and_reads_back(file: File, path: Path) -> None:
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    with closing(File(path, KIND, "ro")) as reader:
        assert reader.rows("SELECT * FROM t") == [(1, "a")]
        assert reader.row("SELECT x FROM t WHERE n = ?", (2,)) is None
        assert reader.only_row("SELECT count(*) FROM t") == (1,)
    assert not path.with_name("x.db.new").exists()


def test_a_query_that_must_have_a_row_names_itself(file: File) -> None:
    with pytest.raises(StoreError, match=r"x\.db: no row for 'SELECT x FROM t'"):
        file.only_row("SELECT x FROM t")


def test_a_missing_file_is_created_only_on_request(path: Path) -> None:
    assert "unable to open" in refusal(path)
    assert not path.exists()


def test_a_file_missing_beside_its_write_ahead_log_is_put_back_first(path: Path) -> None:
    path.with_name("x.db-wal").write_bytes(b"x")
    assert "write-ahead log x.db-wal exists; put the file back first" in refusal(path)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.touch()
    assert refusal(path).startswith("is empty; put the file back")


def test_a_file_of_another_format_is_damaged(path: Path) -> None:
    path.write_bytes(b"not a database, and not empty")
    assert refusal(path, error=DamagedError).endswith("file is not a database")


def test_another_programs_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("CREATE TABLE theirs (n)")
    assert refusal(path).startswith("is a database, but not a test's")


def test_a_file_of_a_newer_program_is_refused(path: Path) -> None:
    File(path, NEWER, "rwc").close()
    assert refusal(path).startswith("has schema 2, this program knows 1; install the newer")


def test_a_damaged_page_is_a_damaged_file(path: Path) -> None:
    with closing(File(path, KIND, "rwc")) as file:
        for n in range(500):
            file.write_one("INSERT INTO t VALUES (?, ?)", (n, "x" * 100))
    content = bytearray(path.read_bytes())
    content[4_096:] = b"\xff" * (len(content) - 4_096)
    path.write_bytes(content)
    with closing(File(path, KIND, "ro")) as file, pytest.raises(DamagedError):
        file.rows("SELECT * FROM t")


def test_a_migration_keeps_a_copy_of_the_older_file(file: File, path: Path) -> None:
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    file.close()
    with closing(File(path, NEWER, "rw")) as newer:
        assert newer.only_row("SELECT n, x, y FROM t") == (1, "a", None)
        assert newer.only_row("PRAGMA user_version") == (2,)
    with closing(sqlite3.connect(path.with_name("x.db.schema-1"))) as copy:
        assert copy.execute("SELECT * FROM t").fetchall() == [(1, "a")]


def test_a_migration_that_fails_changes_nothing(file: File, path: Path) -> None:
    file.close()
    with pytest.raises(StoreError, match="missing"):
        File(path, BROKEN, "rw")
    with closing(File(path, KIND, "ro")) as older:
        assert older.only_row("PRAGMA user_version") == (1,)
        assert older.rows("SELECT name FROM sqlite_master") == [("t",)]


def test_a_transaction_that_raises_writes_nothing(file: File) -> None:
    with pytest.raises(ZeroDivisionError), file.transaction() as sql:
        sql.execute("INSERT INTO t VALUES (1, 'a')")
        _ = 1 // 0
    with pytest.raises(StoreError, match="not written: UNIQUE"), file.transaction() as sql:
        sql.execute("INSERT INTO t VALUES (2, 'b')")
        sql.execute("INSERT INTO t VALUES (2, 'c')")
    assert file.rows("SELECT * FROM t") == []


def test_a_busy_file_is_an_error_at_once(file: File, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))


def test_reads_in_a_block_see_one_snapshot(file: File, path: Path) -> None:
    with closing(File(path, KIND, "ro")) as reader:
        with reader.reading(), reader.reading():
            assert reader.only_row("SELECT count(*) FROM t") == (0,)
            file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
            assert reader.only_row("SELECT count(*) FROM t") == (0,)
        assert reader.only_row("SELECT count(*) FROM t") == (1,)


def test_an_error_in_a_block_of_reads_is_ours(file: File) -> None:
    with pytest.raises(StoreError, match="not readable: no such table"), file.reading() as sql:
        sql.execute("SELECT * FROM missing")


@pytest.mark.parametrize("removed", ["x.db", "x.db-wal"])
def test_a_removed_file_is_written_back_when_it_is_opened_again(
    file: File, path: Path, removed: str
) -> None:
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    assert file.is_in_place()
    path.with_name(removed).unlink()
    assert not file.is_in_place()
    file.reopen()
    assert file.is_in_place() and file.rows("SELECT * FROM t") == [(1, "a")]


def test_a_file_that_cannot_be_opened_again_keeps_its_connection(file: File, path: Path) -> None:
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    away = path.with_name("away")
    path.rename(away)
    path.write_bytes(b"another file, of another program")
    path.with_name("x.db-wal").unlink()
    with pytest.raises(DamagedError):
        file.reopen()
    assert file.rows("SELECT * FROM t") == [(1, "a")]


def test_only_transactions_of_this_connection_are_counted(file: File) -> None:
    before = file.transactions
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    with file.transaction():
        pass
    file.rows("SELECT * FROM t")
    assert file.transactions - before == 2


OTHER_PROGRAM = """
import sqlite3, sys
sql = sqlite3.connect(sys.argv[1])
print(sql.execute("SELECT count(*) FROM t").fetchone()[0])
sql.close()
"""


@pytest.mark.parametrize("opened_again", ["by itself", "to read beside it"])
def test_another_program_that_closes_the_file_leaves_its_log(
    file: File, path: Path, opened_again: str
) -> None:
    """Our locks say that the file is in use. Without them it would remove the write-ahead log."""
    file.write_one("INSERT INTO t VALUES (?, ?)", (1, "a"))
    if opened_again == "by itself":
        file.reopen()
    else:
        File(path, KIND, "ro").close()
    output = subprocess.check_output([sys.executable, "-c", OTHER_PROGRAM, path], text=True)
    assert output == "1\n" and file.is_in_place()
    file.write_one("INSERT INTO t VALUES (?, ?)", (2, "b"))
    with closing(File(path, KIND, "ro")) as reader:
        assert reader.only_row("SELECT count(*) FROM t") == (2,)


def test_a_schema_that_is_cut_off_is_damage_and_an_io_error_of_the_disk_is_not(path: Path) -> None:
    """SQLite 3.46 calls the first an I/O error, too, but one without a detail."""
    File(path, KIND, "rwc").close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA writable_schema = 1")
        raw.execute("UPDATE sqlite_master SET sql = substr(sql, 1, 20) WHERE name = 't'")
    with pytest.raises(DamagedError):
        File(path, KIND, "rwc")
    path.unlink()
    with closing(File(path, KIND, "rwc")) as file:
        for code, kind in ((sqlite3.SQLITE_IOERR, DamagedError), (266, StoreError)):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            assert type(file.fault("not read", error)) is kind
