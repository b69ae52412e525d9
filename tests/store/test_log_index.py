"""The index of the log has real blocks, and SQLite's locks on it stay."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.database import WAL_PAGES_MAX, Database
from agent.store.log_index import INDEX_BYTES, LogIndex

BEGIN = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute("BEGIN IMMEDIATE")
"""


def index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def another_process_may_write(path: Path) -> bool:
    command = [sys.executable, "-c", BEGIN, str(path)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def test_the_index_has_real_blocks_for_twice_the_longest_log(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(Database(path)) as db:
        for _ in range(2):
            status = os.stat(index_of(path))
            assert status.st_size == INDEX_BYTES <= 512 * status.st_blocks
            db.reopen()
    assert INDEX_BYTES // 8 >= 2 * WAL_PAGES_MAX


def test_a_file_that_is_opened_again_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(Database(path)) as db:
        db.reopen()
        with db.transaction():
            assert not another_process_may_write(path)
        assert another_process_may_write(path)


def test_a_medium_that_gives_the_index_no_blocks_costs_a_line_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = LogIndex(tmp_path / "missing" / "t.db")
    index.allocate()
    index.close()
    (line,) = caplog.messages
    assert line.startswith("Index of the log has no blocks of its own")
