"""What can be proved of a damaged or foreign ledger reaches the central under its own keys."""

from pathlib import Path

from agent.central.cli import cli
from agent.store.salvage import Owner, read_damaged
from agent.terminal.export import write_export
from tests.conftest import CARD
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.wire import Wire
from tests.store.damaged_ledger import beside, lunches
from tests.store.disk import TERMINAL, TOWN, Disk

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
