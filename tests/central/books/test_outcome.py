"""An outcome is written whole: entries, postings, balances, and what terminals receive again."""

from agent.central.books import accounts, boots, entries, outcome
from agent.central.books.accounts import Account
from agent.central.books.boots import Boot, BootTime
from agent.central.books.file import FileBooks
from agent.central.books.outcome import Outcome
from agent.central.books.postings import Posting
from agent.central.books.tombstones import Gone
from tests.parts.booked_entry import entry

AT = "2026-11-23T12:00:00.000Z"


def test_an_outcome_is_written_whole(books: FileBooks) -> None:
    accounts.add_all(books, [Account("a-1", "primaria", "pupil", "active")])
    entries.add_all(books, [entry(1)])
    changed = entry(1, cents=-100, reason="booked_later")
    boot, time = Boot("t-1", "b"), BootTime(AT, 5)
    computed = Outcome(
        new={entry(2).key: entry(2)},
        changed={changed.key: changed},
        postings=[Posting("a-1", 266, "meal", AT), Posting("a-1", -366, "meal", AT)],
        moved_cents={"a-1": -100, "nobody": 0},
        remarks={changed.key},
        boots={boot: time},
        gone=[Gone("primaria", "account", "nobody")],
    )
    outcome.write(books, computed)
    assert entries.find(books, changed.key) == changed
    assert entries.find(books, entry(2).key) == entry(2)
    assert accounts.balance_cents(books, "a-1") == -100
    assert boots.find(books, boot) == time
    assert books.rows("SELECT sum(cents), count(*) FROM posting") == [(-100, 2)]
    positions = books.rows(
        "SELECT p FROM remark UNION SELECT p FROM tombstone UNION SELECT p FROM account"
    )
    assert len(positions) == 3, "each record has a position of its own"


def test_an_empty_outcome_writes_nothing(books: FileBooks) -> None:
    before = books.rows("SELECT position FROM central")
    outcome.write(books, Outcome())
    assert books.rows("SELECT position FROM central") == before
