"""What a file of another disk proves is brought into the ledger, and reaches the central once."""

import os
import shutil
from pathlib import Path

import pytest

from agent.central.cli import cli
from agent.errors import StoreError
from agent.store import reads
from agent.store.old_card import NAMES_MAX
from tests.conftest import CARD
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.disks import remount, run_again_as_namespace_root, tmpfs_at
from tests.parts.wire import Box, Wire
from tests.store.damaged_ledger import DAY_MS, ENDS, beside, damage_entry, lunches, salvage_into


def replace_by_a_new_disk(box: Box) -> None:
    """Start a terminal on an empty disk, as after an exchange of its SD card."""
    box.db.close()
    for end in ENDS:
        beside(box.path, end).unlink(missing_ok=True)
    box.start()


def entry_counts(path: Path, box: Box, epoch_bits: str) -> list[int]:
    """Salvage a file; return the number of entries of each epoch."""
    return [len(copy.entries) for copy in salvage_into(path, box.path, epoch_bits).taken]


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
        salvage_into(other, own)


def test_salvage_creates_no_ledger_and_needs_its_source(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no terminal has run here yet"):
        salvage_into(wire.box.path, tmp_path / "nothing.db")
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(StoreError, match=r"absent\.db: does not exist"):
        salvage_into(tmp_path / "absent.db", wire.box.path)


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
    assert salvage_into(tmp_path / "old.db", wire.box.path) == ([], [])
    wire.box.start()
    # Salvaged entries are older and are no floor for the clock.
    assert reads.newest_confirmed_at(wire.box.db, "another boot") == wire.clock.instant
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -3 * 366
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_entries_before_a_damaged_place_go_to_the_office_as_a_file(
    wire: Wire, tmp_path: Path
) -> None:
    wire.disconnect()
    lunches(wire, 10)
    damage_entry(wire, 15)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, tmp_path / "old.db")
    replace_by_a_new_disk(wire.box)
    wire.box.db.close()
    taken, exported = salvage_into(tmp_path / "old.db", wire.box.path)
    assert [(copy.base.seq, len(copy.entries)) for copy in taken] == [(15, 5)]
    assert exported == ["14 in t-1.db.salvaged-1.part-1.ledger"]
    part = beside(wire.box.path, ".salvaged-1.part-1.ledger")
    cli(["--db", str(wire.central.path), "import-ledger", str(part)], standalone_mode=False)
    wire.box.start()
    wire.connect()
    wire.settle()
    assert wire.central.value("SELECT count(*) FROM entry") == 19  # all but the damaged one
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_a_run_behind_a_gap_in_the_own_epoch_goes_to_the_office_as_well(
    wire: Wire, tmp_path: Path
) -> None:
    """The own ledger has entries 1 to 4; the file lost entry 5 and has 6 to 20."""
    wire.disconnect()
    lunches(wire, 2)
    wire.box.db.checkpoint()
    wire.box.db.close()
    own = wire.box.path.read_bytes()
    wire.box.start()
    lunches(wire, 8)
    damage_entry(wire, 5)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, tmp_path / "old.db")
    replace_by_a_new_disk(wire.box)
    wire.box.db.close()
    wire.box.path.write_bytes(own)
    taken, exported = salvage_into(tmp_path / "old.db", wire.box.path)
    assert taken == [] and exported == ["15 in t-1.db.salvaged-1.part-1.ledger"]
    wire.box.start()


def test_salvage_reads_a_medium_that_cannot_be_written(
    wire: Wire, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    wire.disconnect()
    lunches(wire, 2)
    wire.box.db.checkpoint()
    with tmpfs_at(tmp_path / "card"):
        old = tmp_path / "card" / "old.db"
        shutil.copyfile(wire.box.path, old)
        remount(tmp_path / "card", "ro")
        replace_by_a_new_disk(wire.box)
        wire.box.db.close()
        assert entry_counts(old, wire.box, "b" * 16) == [4]
        assert [path.name for path in old.parent.iterdir()] == ["old.db"]
    wire.box.start()


def test_beyond_names_max_files_for_the_office_none_is_made(wire: Wire, tmp_path: Path) -> None:
    wire.disconnect()
    lunches(wire, 10)
    damage_entry(wire, 15)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, tmp_path / "old.db")
    replace_by_a_new_disk(wire.box)
    for number in range(1, NAMES_MAX + 1):
        beside(wire.box.path, f".salvaged-{number}.part-1.ledger").touch()
    with pytest.raises(StoreError, match=f"{NAMES_MAX} such files exist already; move them"):
        salvage_into(tmp_path / "old.db", wire.box.path)


def test_a_file_that_may_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    """As another user than root, who may read everything; pytest's folders are their owner's."""
    (tmp_path / "card").mkdir()
    (tmp_path / "card").chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65_534)
    try:
        with pytest.raises(StoreError, match="cannot be read: Permission denied"):
            salvage_into(tmp_path / "card" / "old.db", tmp_path / "t.db")
    finally:
        os.seteuid(user)
        (tmp_path / "card").chmod(0o700)
