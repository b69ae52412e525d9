"""What the tables themselves refuse."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import accounts, incidents
from agent.central.books.accounts import Account
from agent.central.books.file import FileBooks
from agent.central.books.migrations.steps import APPLICATION_ID, SQLITE_STEPS
from agent.domain.ledger import SEQ_MAX
from tests.conftest import CARD
from tests.parts.wire import Wire

ENTRY = (
    "INSERT INTO entry (terminal, epoch, seq, hash, prev, kind, status, reason, body)"
    " VALUES ('t', 'e', ?, 'h', 'p', 'meal', 'applied', '', '{}')"
)
CHAIN = "INSERT INTO chain VALUES ('t', 'e', ?, 'h', 1, 1)"
POSTING = "INSERT INTO posting (account, cents, kind, at, reason) VALUES ('a', 1, ?, '', '')"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entry",
        "UPDATE entry SET body = ''",
        "UPDATE entry SET hash = ''",
        "DELETE FROM posting",
        "UPDATE posting SET cents = 0",
    ],
)
def test_entries_and_postings_cannot_be_rewritten(wire: Wire, statement: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        wire.central.books.sql.execute(statement)


@pytest.mark.parametrize(("statement", "lowest"), [(ENTRY, 1), (CHAIN, 0)])
def test_a_seq_is_within_the_contracts_limits(
    books: FileBooks, statement: str, lowest: int
) -> None:
    for wrong in (lowest - 1, SEQ_MAX + 1):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            books.sql.execute(statement, (wrong,))
    books.sql.execute(statement, (SEQ_MAX,))


def test_a_posting_has_a_known_kind(books: FileBooks) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        books.sql.execute(POSTING, ("gift",))


def test_an_incident_needs_no_terminal(books: FileBooks) -> None:
    incidents.add(books, incidents.Incident("at", "kind", "detail"))
    assert books.rows("SELECT terminal, epoch FROM incident")[0] == (None, None)


def test_postings_of_an_older_schema_are_kept(tmp_path: Path) -> None:
    """The migration that adds kinds writes the table again."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        for script in SQLITE_STEPS[:3]:
            older.executescript(script)
        older.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 3")
        for kind in ("top_up", "refund"):
            older.execute(POSTING, (kind,))
    with closing(FileBooks(path)) as books:
        assert books.rows("SELECT n, account, kind FROM posting") == [
            (1, "a", "top_up"),
            (2, "a", "refund"),
        ]
        books.sql.execute(POSTING, ("voucher",))
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            books.sql.execute("DELETE FROM posting")


def test_accounts_and_messages_of_an_older_schema_are_kept(tmp_path: Path) -> None:
    """They get no family; and a message's text may go, as in a new file."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        for script in SQLITE_STEPS[:4]:
            older.executescript(script)
        older.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 4")
        older.execute(
            "INSERT INTO account VALUES ('a', 's', 'pupil', 'active', '1A', NULL, 'veg', 5, 1)"
        )
        older.execute("INSERT INTO arrival VALUES (1, 1, '2026', 'h', x'78', 'credited')")
    with closing(FileBooks(path)) as books:
        account = Account("a", "s", "pupil", "active", "1A", None, "veg", None)
        assert accounts.find(books, "a") == account and accounts.balance_cents(books, "a") == 5
        books.sql.execute("UPDATE arrival SET body = NULL")
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            books.sql.execute("UPDATE arrival SET body = x'79'")
