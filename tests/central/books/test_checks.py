"""What `check` reads, and the look at the file before the central serves."""

from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import checks, incidents
from agent.central.books.checks import AccountSum, BrokenEpoch
from agent.central.books.file import FileBooks
from agent.central.books.incidents import Incident
from agent.central.office.check import check
from agent.errors import CentralError
from tests.central.conftest import AT
from tests.conftest import CARD
from tests.invariants import both_sides_are_equal
from tests.parts.foreign_terminal import ForeignTerminal, meal
from tests.parts.wire import Wire


def test_an_accounts_balance_stands_beside_its_postings(foreign: ForeignTerminal) -> None:
    foreign.central.credit("a-1", 1_000, "r-1")
    foreign.send(meal())
    foreign.central.books.sql.execute("UPDATE account SET balance = 7 WHERE id = 'a-1'")
    sums = list(checks.account_sums(foreign.central.books))
    assert sums == [AccountSum("a-1", 7, 634), AccountSum("a-2", 0, 0)]


def test_an_entrys_postings_leave_out_what_was_given_back(foreign: ForeignTerminal) -> None:
    foreign.send(meal(), meal(mono_ms=2), meal(account="nobody"))
    sums = [(row.entry.seq, row.posted_cents) for row in checks.entry_sums(foreign.central.books)]
    assert sums == [(1, -366), (2, -366), (3, None)]
    assert [entry.seq for entry in checks.all_entries(foreign.central.books)] == [1, 2, 3]


def test_only_holes_and_forks_break_an_epoch(foreign: ForeignTerminal) -> None:
    books = foreign.central.books
    for kind in ("hole", "fork", "fork", "restored_disk"):
        incidents.add(books, Incident(AT, kind, "", "t-1", f"{kind}-epoch"))
    assert checks.broken_epochs(books) == {
        BrokenEpoch("t-1", "hole-epoch"),
        BrokenEpoch("t-1", "fork-epoch"),
    }


def damage(books: FileBooks) -> None:
    """Change one bit of a key in the index by account: its page stays well formed."""
    (root,) = books.only_row("SELECT rootpage FROM sqlite_master WHERE name = 'posting_by_account'")
    (size,) = books.only_row("PRAGMA page_size")
    books.close()
    content = bytearray(books.path.read_bytes())
    place = content.find(b"a-1", (root - 1) * size, root * size)
    assert place > 0
    content[place] ^= 2
    books.path.write_bytes(content)


def test_a_damaged_central_is_refused_and_its_backup_ends_equal(wire: Wire, tmp_path: Path) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.central.back_up(tmp_path / "backup.db")
    wire.clock.pass_ms(24 * 3_600_000)
    wire.box.tap(CARD)
    wire.settle()
    checks.require_whole(wire.central.books)
    damage(wire.central.books)
    with closing(FileBooks(wire.central.path)) as books:
        with pytest.raises(CentralError, match=r"is damaged: .* new-generation; terminals send"):
            checks.require_whole(books)
        assert any("posting_by_account" in sentence for sentence in check(books))
    wire.central.restore(tmp_path / "backup.db")
    wire.connect()
    wire.pass_time(400_000)
    checks.require_whole(wire.central.books)
    assert wire.central.balance("a-1") == -2 * 366
    both_sides_are_equal(wire)
