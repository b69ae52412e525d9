"""What `check` reads."""

from agent.central.books import checks, incidents
from agent.central.books.checks import AccountSum, BrokenEpoch
from agent.central.books.incidents import Incident
from tests.central.conftest import AT
from tests.parts.foreign_terminal import ForeignTerminal, meal


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
