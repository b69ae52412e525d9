"""A day's totals by channel and kind, in the town's zone."""

from pathlib import Path

from agent.central.books.file import FileBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import credit
from agent.central.office.takings import takings
from tests.parts.wire import ZONE, Central, Clock


def test_a_day_ends_at_midnight_of_the_town(tmp_path: Path) -> None:
    central = Central(tmp_path, Clock())
    central.add_account("a-1")
    books: FileBooks = central.books
    for n, (at, cents) in enumerate(
        [
            ("2026-11-22T22:59:59.999Z", 1),
            ("2026-11-22T23:00:00.000Z", 2_000),
            ("2026-11-23T22:59:59.999Z", 500),
            ("2026-11-23T23:00:00.000Z", 2),
            ("2026-11-23T12:00:00.000Z", -100),
        ]
    ):
        credit(books, Payment("a-1", cents, PaymentKey("desk", str(n))), at=at)
    assert takings(books, "2026-11-23", ZONE) == [
        ("desk", "refund", 1, -100),
        ("desk", "top_up", 2, 2_500),
    ]
    assert takings(books, "2026-11-25", ZONE) == []
    books.close()
