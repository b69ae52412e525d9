"""A file of credits: all of it or nothing, each row once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books.payments import Arrival
from agent.central.books.postings import PaymentKey
from agent.central.office.credit_file import (
    COLUMNS,
    CREDIT_FILE_BYTES_MAX,
    book_credits,
    plan_credits,
)
from agent.central.office.roster_xlsx import write_xlsx
from agent.central.payments.intake import take_in
from agent.central.payments.reported import ReportedPayment
from agent.errors import CentralError
from tests.invariants import the_books_are_consistent
from tests.parts.wire import Central, Clock

HEAD = ",".join(COLUMNS)
DESK = "desk-2,r-1,top_up,a-1,20.00,cash"
VOUCHER = "municipality,v-1,voucher,a-1,40.00,first child"
OUT = 'desk,t-1,transfer,a-1,"-5,00",to the sister'
IN = "desk,t-1,transfer,a-2,5.00,to the sister"
BACK = "desk,b-1,refund,a-2,-1.50,moved away"


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    central = Central(tmp_path, Clock())
    central.add_account("a-1")
    central.add_account("a-2")
    with closing(central.books):
        yield central
        the_books_are_consistent(central.books)


def file_of(folder: Path, *rows: str) -> Path:
    path = folder / "credits.csv"
    path.write_text("\n".join([HEAD, *rows, ""]), encoding="utf-8")
    return path


def test_a_file_is_booked_once_by_the_id_of_its_rows(central: Central, tmp_path: Path) -> None:
    path = file_of(tmp_path, DESK, VOUCHER, OUT, IN, BACK)
    at = central.clock.instant
    assert len(plan_credits(central.books, path).new) == 5
    assert central.balance("a-1") == 0, "a plan books nothing"
    assert [len(book_credits(central.books, path, at).new) for _ in range(2)] == [5, 0]
    assert (central.balance("a-1"), central.balance("a-2")) == (5_500, 350)
    kinds = central.books.rows("SELECT kind FROM posting ORDER BY n")
    assert [kind for (kind,) in kinds] == ["top_up", "voucher", "transfer", "transfer", "refund"]
    more = book_credits(central.books, file_of(tmp_path, DESK, DESK.replace("r-1", "r-2")), at)
    assert (len(more.new), more.booked_before) == (1, 1)


def test_a_payment_that_waits_is_not_booked_from_a_file(central: Central, tmp_path: Path) -> None:
    """It could be assigned later, and its family would have its credit twice."""
    reported = ReportedPayment(PaymentKey("desk-2", "r-1"), "unknown", 2_000)
    take_in(central.books, reported, Arrival(central.clock.instant, b"a message"))
    with pytest.raises(CentralError, match="r-1 of desk-2 was reported, and is parked"):
        plan_credits(central.books, file_of(tmp_path, DESK))


def test_a_workbook_is_read_too(central: Central, tmp_path: Path) -> None:
    path = tmp_path / "credits.xlsx"
    path.write_bytes(write_xlsx([COLUMNS, DESK.split(",")]))
    assert len(book_credits(central.books, path, central.clock.instant).new) == 1


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((DESK.replace("20.00", "-20.00"),), "line 2: -20.00 euro has not the sign of a top_up"),
        ((DESK.replace("20.00", "0.00"),), "has not the sign"),
        ((DESK.replace("20.00", "20.0"),), "is not an amount"),
        ((DESK.replace("top_up", "gift"),), "kind is none of top_up"),
        ((DESK.replace("a-1", "a-9"),), "account 'a-9' does not exist"),
        ((DESK.replace("r-1", ""),), "channel or id is empty"),
        ((DESK + ",x",), "does not have 6 cells"),
        ((DESK, DESK), "id r-1 comes twice"),
        ((DESK, DESK.replace("a-1", "a-2")), "id r-1 comes twice"),
        ((OUT,), "its rows do not sum to 0"),
        ((OUT, IN.replace("5.00", "6.00")), "its rows do not sum to 0"),
    ],
)
def test_a_file_with_a_fault_books_nothing(
    central: Central, tmp_path: Path, rows: tuple[str, ...], sentence: str
) -> None:
    path = (
        file_of(tmp_path, VOUCHER, *rows) if "line 2" not in sentence else file_of(tmp_path, *rows)
    )
    with pytest.raises(CentralError, match=sentence):
        book_credits(central.books, path, central.clock.instant)
    assert central.balance("a-1") == 0


def test_an_id_that_was_booked_with_something_else_is_a_fault(
    central: Central, tmp_path: Path
) -> None:
    book_credits(central.books, file_of(tmp_path, DESK), central.clock.instant)
    for changed in (DESK.replace("20.00", "19.00"), DESK.replace("a-1", "a-2")):
        with pytest.raises(CentralError, match="is booked with another amount or account"):
            plan_credits(central.books, file_of(tmp_path, changed))


def test_another_file_is_refused(central: Central, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("account,euro\n")
    with pytest.raises(CentralError, match="does not begin with the columns"):
        plan_credits(central.books, path)
    path.write_text("")
    with pytest.raises(CentralError, match="does not begin with the columns"):
        plan_credits(central.books, path)
    with pytest.raises(CentralError, match="cannot be read"):
        plan_credits(central.books, tmp_path / "nowhere.csv")


def test_a_file_has_at_most_credit_file_bytes_max(central: Central, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with open(path, "wb") as file:
        file.truncate(CREDIT_FILE_BYTES_MAX + 1)
    with pytest.raises(CentralError, match=f"more than {CREDIT_FILE_BYTES_MAX} bytes"):
        plan_credits(central.books, path)
