"""Opening balances: the older cards' credit, once for each account, and all of it."""

from pathlib import Path

import pytest

from agent.central.office.opening import book_opening, plan_opening
from agent.central.office.roster_xlsx import write_xlsx
from agent.errors import CentralError
from tests.invariants import the_books_are_consistent
from tests.parts.wire import Wire

ROWS = 'account,euro\na-1,12.30\na-2,"-3,66"\n'
TOTAL = 864


def file_of(folder: Path, text: str = ROWS) -> Path:
    path = folder / "old.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_older_credit_is_booked_once_as_an_adjustment(wire: Wire, tmp_path: Path) -> None:
    books, path = wire.central.books, file_of(tmp_path)
    wire.central.credit("a-1", 100, "1")
    shown = plan_opening(books, path, TOTAL)
    assert shown.new == [("a-1", 1_230, 100, 1_330), ("a-2", -366, 0, -366)]
    assert wire.central.balance("a-1") == 100, "a plan books nothing"
    assert book_opening(books, path, TOTAL, wire.clock.instant) == shown
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (1_330, -366)
    again = book_opening(books, path, TOTAL, wire.clock.instant)
    assert (again.new, again.booked_before) == ([], 2)
    rows = books.rows("SELECT kind, channel, external FROM posting WHERE channel = 'migration'")
    assert rows == [("adjustment", "migration", "a-1"), ("adjustment", "migration", "a-2")]
    the_books_are_consistent(books)


def test_a_workbook_is_read_too_and_a_zero_books_nothing(wire: Wire, tmp_path: Path) -> None:
    path = tmp_path / "old.xlsx"
    path.write_bytes(write_xlsx([["account", "euro"], ["a-1", "0.00"], ["a-2", "5.00"]]))
    plan = book_opening(wire.central.books, path, 500, wire.clock.instant)
    assert ([row.account for row in plan.new], plan.zero) == (["a-2"], 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ROWS.replace("12.30", "12.31"), r"its rows sum to 8\.65 euro, not to the total 8\.64"),
        (ROWS.replace("a-2", "a-1"), "line 3: account a-1 comes twice"),
        (ROWS.replace("a-2", "a-9"), "line 3: account 'a-9' does not exist"),
        (ROWS.replace("12.30", "12.3"), "line 2: '12.3' is not an amount"),
        (ROWS + "a-1\n", "line 4: does not have 2 cells"),
        ("account,cents\n", "does not begin with the columns account,euro"),
    ],
)
def test_a_file_with_a_fault_books_nothing(
    wire: Wire, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(CentralError, match=sentence):
        book_opening(wire.central.books, file_of(tmp_path, text), TOTAL, wire.clock.instant)
    assert wire.central.balance("a-1") == 0


def test_an_account_that_was_taken_over_with_another_amount_is_a_fault(
    wire: Wire, tmp_path: Path
) -> None:
    book_opening(wire.central.books, file_of(tmp_path), TOTAL, wire.clock.instant)
    with pytest.raises(CentralError, match=r"account a-1 was booked with 12\.30 euro"):
        book_opening(
            wire.central.books,
            file_of(tmp_path, ROWS.replace("12.30", "1.00")),
            -266,
            wire.clock.instant,
        )
