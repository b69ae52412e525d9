"""Database files in memory: only the opening of a file is replaced, all else is the program's."""

import sqlite3
from pathlib import Path
from typing import Any

from agent.central.books.file import FileBooks
from agent.sqlite_file import SqliteFile
from agent.store.database import FORM, Database

PAGES_MAX = 2**30  # of a disk that is not full


class InMemory(SqliteFile[Any]):
    """A file whose bytes are in SQLite's memory VFS.

    All connections of this process that name the file share it. The last one that closes deletes
    it. The folder holds an empty stand-in, for code that checks whether the file exists. Torn disks
    are tested by tests/crash.
    """

    def _create(self) -> None:
        self.path.write_bytes(b"SQLite format 3\0")

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        return connect(path)

    def is_in_place(self) -> bool:
        return True


def connect(path: Path) -> sqlite3.Connection:
    sql = sqlite3.connect(f"file:{path}?vfs=memdb", uri=True, isolation_level=None)
    for name, function in FORM.functions.items():
        sql.create_function(name, 1, function, deterministic=True)
    return sql


def image_of(sql: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a file, in a memory of its own."""
    copy = sqlite3.connect(":memory:")
    sql.backup(copy)
    return copy


class LedgerInMemory(InMemory, Database):
    """A terminal's file. Its disk may be full, also after the file is opened again."""

    pages_max = PAGES_MAX

    def _open(self, path: Path, mode: str) -> None:
        super()._open(path, mode)
        self.sql.execute(f"PRAGMA max_page_count = {self.pages_max}")

    def _fullness(self) -> str:
        """Return the same words in every run. The machine's own disk is not the simulated one."""
        return "0.0 MB free on the simulated disk; free some space"


class BooksInMemory(InMemory, FileBooks):
    """The central's file."""
