"""What can be proved of a damaged or foreign ledger reaches the central under its own keys."""

import shutil
from pathlib import Path

import pytest

from agent.central.cli import cli
from agent.errors import StoreError
from agent.store import reads
from agent.store.salvage import Owner, read_damaged, salvage
from agent.terminal.export import write_export
from tests.conftest import CARD
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.wire import Box, Wire
from tests.store.damaged_ledger import DAY_MS, ENDS, beside, lunches
from tests.store.disk import TERMINAL, TOWN, Disk

OWNER = Owner(TOWN, TERMINAL)


def replace_by_a_new_disk(box: Box) -> None:
    """Start a terminal on an empty disk, as after an exchange of its SD card."""
    box.db.close()
    for end in ENDS:
        beside(box.path, end).unlink(missing_ok=True)
    box.start()


def entry_counts(path: Path, box: Box, epoch_bits: str) -> list[int]:
    """Salvage a file; return the number of entries of each epoch."""
    return [len(copy.entries) for copy in salvage(path, box.path, epoch_bits)]


def test_meals_of_the_same_day_on_an_old_disk_are_given_back(two: Wire, tmp_path: Path) -> None:
    two.disconnect()
    box = two.boxes["t-1"]
    box.tap(CARD)
    box.db.checkpoint()
    shutil.copyfile(box.path, tmp_path / "old.db")
    replace_by_a_new_disk(box)
    two.connect()
    assert box.tap(CARD) == "served"  # the new disk has no lunch before it
    box.db.close()
    assert entry_counts(tmp_path / "old.db", box, "b" * 16) == [1]
    box.start()
    two.connect()
    two.settle()
    assert two.central.value("SELECT count(*) FROM entry WHERE kind = 'meal'") == 2
    assert two.central.balance("a-1") == -366


def test_a_ledger_of_another_terminal_is_refused(two: Wire) -> None:
    for box in two.boxes.values():
        box.db.checkpoint()
    own, other = two.boxes["t-1"].path, two.boxes["t-2"].path
    with pytest.raises(StoreError, match=r"belongs to borgofiorito/t-2, this terminal is .*/t-1"):
        salvage(other, own, "c" * 16)


def test_salvage_creates_no_ledger_and_needs_its_source(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no terminal has run here yet"):
        salvage(wire.box.path, tmp_path / "nothing.db", "c" * 16)
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(StoreError, match=r"absent\.db: does not exist"):
        salvage(tmp_path / "absent.db", wire.box.path, "c" * 16)


def test_a_ledger_from_an_old_disk_is_salvaged_once(wire: Wire, tmp_path: Path) -> None:
    wire.disconnect()
    lunches(wire, 2)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, tmp_path / "old.db")
    replace_by_a_new_disk(wire.box)
    wire.clock.pass_ms(DAY_MS)
    wire.connect()
    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.close()
    assert entry_counts(tmp_path / "old.db", wire.box, "b" * 16) == [4]
    assert salvage(tmp_path / "old.db", wire.box.path, "c" * 16) == []
    wire.box.start()
    # Salvaged entries are older and are no floor for the clock.
    assert reads.newest_confirmed_at(wire.box.db, "another boot") == wire.clock.instant
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -3 * 366
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


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


def test_folders_that_look_like_a_working_copy_stay(wire: Wire, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    (desk / "salvage-2026").mkdir(parents=True)
    (desk / "old.db.copy-of-mine").mkdir()
    lunches(wire, 1)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, desk / "old.db")
    assert salvage(desk / "old.db", wire.box.path, "b" * 16) == []
    names = sorted(path.name for path in desk.iterdir())
    assert names == ["old.db", "old.db.copy-of-mine", "salvage-2026"]


def test_reading_a_damaged_file_does_not_change_it(disk: Disk) -> None:
    disk.meal()
    before = {end: beside(disk.db.path, end).read_bytes() for end in ("", "-wal")}
    read_damaged(disk.db.path, OWNER)
    assert before == {end: beside(disk.db.path, end).read_bytes() for end in ("", "-wal")}
