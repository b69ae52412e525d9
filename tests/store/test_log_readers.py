"""A program that reads a ledger for long is named, since the log grows meanwhile."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.store.database import Database
from agent.store.log_readers import log_readers

READER = """
import sqlite3, sys
sql = sqlite3.connect(sys.argv[1], isolation_level=None)
sql.execute("BEGIN"); sql.execute("SELECT count(*) FROM entry").fetchone()
print("reading", flush=True)
sys.stdin.readline()
sql.execute("ROLLBACK")
print("idle", flush=True)
sys.stdin.readline()
"""


@contextmanager
def reading(ledger: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a program that has a transaction open on a ledger."""
    program = subprocess.Popen(
        [sys.executable, "-c", READER, str(ledger)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None and program.stdin is not None
    assert program.stdout.readline() == "reading\n"
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        program.stdin.close()
        program.stdout.close()


def test_a_program_with_an_open_transaction_is_named_until_it_ends(tmp_path: Path) -> None:
    database = Database(tmp_path / "t.db")
    with reading(database.path) as program:
        assert program.stdin is not None and program.stdout is not None
        name = Path(f"/proc/{program.pid}/comm").read_text().strip()
        assert log_readers(database.path) == [f"{name} (pid {program.pid})"]
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "idle\n"
        assert log_readers(database.path) == []
    database.close()


def test_this_process_is_not_named(tmp_path: Path) -> None:
    database = Database(tmp_path / "t.db")
    own = sqlite3.connect(database.path, isolation_level=None)
    own.execute("BEGIN")
    own.execute("SELECT count(*) FROM entry").fetchone()
    assert log_readers(database.path) == []
    own.close()
    database.close()


def test_what_is_not_a_reader_of_this_file_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "t.db-shm").write_bytes(b"")
    status = os.stat(tmp_path / "t.db-shm")
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    (tmp_path / "locks").write_text(
        f"1: POSIX  ADVISORY  READ 4194301 {file} 128 128\n"  # every open connection
        f"2: POSIX  ADVISORY  WRITE 4194302 {file} 123 123\n"
        f"3: POSIX  ADVISORY  READ 4194303 {file} 120 122\n"
    )
    assert log_readers(tmp_path / "t.db", tmp_path) == []
    (tmp_path / "locks").write_text(f"1: POSIX  ADVISORY  READ 4194304 {file} 127 127\n")
    assert log_readers(tmp_path / "t.db", tmp_path) == ["a program (pid 4194304)"]
