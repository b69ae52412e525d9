"""What can be proved of a damaged or foreign ledger reaches the central under its own keys."""

from pathlib import Path

import pytest

from agent.central.cli import cli
from agent.store import writes
from agent.store.rows import Incident
from agent.store.salvage import Owner, read_damaged
from agent.terminal.export import write_export
from tests.conftest import CARD
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.wire import Wire
from tests.store.damaged_ledger import beside, lunches
from tests.store.disk import AT, TERMINAL, TOWN, Disk

OWNER = Owner(TOWN, TERMINAL)


def test_an_export_and_the_network_together_book_once(wire: Wire, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    import_stick = ["--db", str(wire.central.path), "import-ledger", str(stick)]
    wire.disconnect()
    lunches(wire, 60)
    assert write_export(wire.box.db, stick) == 120
    for _ in range(2):
        cli(import_stick, standalone_mode=False)
    assert wire.central.balance("a-1") == -60 * 366
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -60 * 366
    cli(import_stick, standalone_mode=False)
    wire.box.tap(CARD)
    wire.pass_time(400_000)
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_reading_a_damaged_file_does_not_change_it(disk: Disk) -> None:
    disk.meal()
    names = sorted(path.name for path in disk.db.path.parent.iterdir())
    before = {end: beside(disk.db.path, end).read_bytes() for end in ("", "-wal")}
    assert len(read_damaged(disk.db.path, OWNER).epochs[0].newest.entries) == 1
    assert before == {end: beside(disk.db.path, end).read_bytes() for end in ("", "-wal")}
    assert names == sorted(path.name for path in disk.db.path.parent.iterdir())


@pytest.mark.parametrize("damage", ["base_seq = base_seq", "base_seq = 0", "base_seq = 1"])
def test_what_a_wipe_deleted_does_not_come_back_from_the_raw_bytes(disk: Disk, damage: str) -> None:
    """A card may keep the blocks of before, and the row that says what was deleted be damaged."""
    for day in range(1, 4):
        disk.meal(day=f"2026-11-0{day}")
    disk.db.checkpoint()
    path, before = disk.db.path, disk.db.path.read_bytes()
    writes.wipe(disk.db, "o-2", Incident(at=AT, kind="wipe", detail="by order o-2"))
    disk.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    disk.db.sql.execute(f"UPDATE epoch SET {damage}")
    disk.db.close()
    path.write_bytes(path.read_bytes() + before)
    damaged = read_damaged(path, OWNER)
    assert damaged.is_wiped
    assert [
        copy for epoch in damaged.epochs for copy in (epoch.newest, *epoch.earlier) if copy.entries
    ] == []
