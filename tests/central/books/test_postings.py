"""Postings: what moves a balance, and why."""

import pytest

from agent.central.books import accounts, postings
from agent.central.books.accounts import Account
from agent.central.books.file import FileBooks
from agent.central.books.postings import Payment, PaymentKey, Posting
from agent.domain.ledger import EntryKey
from agent.errors import CentralError
from tests.central.conftest import AT

KEY = PaymentKey("pos", "iuv-1")
MEAL = EntryKey("t-1", "1-aa", 7, "ab")


@pytest.fixture(autouse=True)
def account(books: FileBooks) -> None:
    with books.transaction():
        accounts.add(books, Account("a-1", "primaria", "pupil", "active"))


def test_a_posting_moves_the_balance_and_keeps_its_cause(books: FileBooks) -> None:
    postings.post(books, Posting("a-1", 2_000, "top_up", AT, "desk", KEY))
    postings.post(books, Posting("a-1", -366, "meal", AT, entry=MEAL))
    assert accounts.balance_cents(books, "a-1") == 1_634
    rows = books.rows(
        "SELECT cents, kind, reason, channel, external, terminal, epoch, seq, hash FROM posting"
    )
    assert rows == [
        (2_000, "top_up", "desk", *KEY, None, None, None, None),
        (-366, "meal", "", None, None, *MEAL),
    ]


def test_postings_that_are_only_added_leave_the_balance_to_the_caller(books: FileBooks) -> None:
    postings.add_all(books, [Posting("a-1", -366, "meal", AT, entry=MEAL)])
    assert accounts.balance_cents(books, "a-1") == 0


def test_a_payment_is_found_by_channel_and_id(books: FileBooks) -> None:
    postings.post(books, Posting("a-1", 2_000, "top_up", AT, payment=KEY))
    assert postings.find_payment(books, KEY) == Payment("a-1", 2_000, KEY)
    assert postings.find_payment(books, PaymentKey("desk", "iuv-1")) is None


def test_a_payment_is_in_the_books_once(books: FileBooks) -> None:
    posting = Posting("a-1", 2_000, "top_up", AT, payment=KEY)
    with books.transaction():
        postings.post(books, posting)
    with pytest.raises(CentralError, match="UNIQUE"), books.transaction():
        postings.post(books, posting)
    assert accounts.balance_cents(books, "a-1") == 2_000
