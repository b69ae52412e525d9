"""Fixtures of the store's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store import writes
from agent.store.database import Database
from tests.store.disk import EPOCH, TERMINAL, TOWN, Disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A new database of a terminal, without records and entries."""
    disk = Disk(Database(tmp_path / "t.db"))
    writes.initialise(disk.db, town=TOWN, terminal=TERMINAL, epoch=EPOCH)
    yield disk
    disk.db.close()
