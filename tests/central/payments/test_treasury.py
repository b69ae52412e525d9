"""The treasury's sums, from its cash book or from CSV."""

import pytest

from agent.central.payments.treasury import CASH_BOOK_BYTES_MAX, COLUMNS, read_treasury
from agent.errors import CentralError
from tests.parts.settlement_messages import FLOW_ID, Movement, cash_book

HEAD = ",".join(COLUMNS)


def test_money_that_waits_for_its_assignment_is_a_sum() -> None:
    book = read_treasury(
        cash_book(
            Movement(),
            Movement(number="8", operation="STORNATO"),
            Movement(number="9", kind="USCITA"),
            Movement(number="10", document="MANDATO"),
        )
    )
    assert (book.page, book.pages) == (1, 2)
    assert [(row.number, row.is_undone) for row in book.sums] == [("7", False), ("8", True)]
    assert book.sums[0].cents == 2_000 and FLOW_ID in book.sums[0].reason


@pytest.mark.parametrize("broken", [" ", "  ", "\n", "\r\n", "\t", "\n    ", "\u00a0"])
def test_a_reason_names_its_flow_wherever_it_is_broken(broken: str) -> None:
    for at in range(1, len(FLOW_ID)):
        reason = f"/URI/{FLOW_ID[:at]}{broken}{FLOW_ID[at:]}"
        text = f'{HEAD}\n2026,7,2026-11-25,20.00,"{reason}"\n'
        for data in (cash_book(Movement(reason=reason)), text.encode()):
            (row,) = read_treasury(data).sums
            assert FLOW_ID in row.reason


def test_a_csv_has_the_same_sums() -> None:
    text = f'\ufeff{HEAD}\n2026,7,2026-11-25,"20,00",/URI/ {FLOW_ID[:5]} {FLOW_ID[5:]}\n\n'
    (row,) = read_treasury(text.encode()).sums
    assert (row.year, row.number, row.cents) == (2026, "7", 2_000)
    assert FLOW_ID in row.reason


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "does not begin with the columns"),
        (b"a,b\n", "does not begin with the columns"),
        (HEAD.encode() + b"\n2026,7,2026-11-25,20.00\n", "row 2 does not have the columns"),
        (HEAD.encode() + b"\n2026,7,25/11/2026,20.00,x\n", "row 2 does not have"),
        (HEAD.encode() + b"\n2026,7,2026-11-25,20.0,x\n", "row 2: '20.0' is not an amount"),
        (HEAD.encode() + b"\n99999999999999999999,7,2026-11-25,20.00,x\n", "row 2 does not have"),
        (HEAD.encode() + "\n202\u00b2,7,2026-11-25,20.00,x\n".encode(), "row 2 does not have"),
        (HEAD.encode() + b"\n2026,7,2026-99-99,20.00,x\n", "row 2 does not have"),
        (cash_book(Movement()).replace(b">2026-11-25", b">2026-99-99"), "data_movimento"),
        (b"\xff\xfe", "no CSV in UTF-8"),
        (cash_book(Movement(euro="20,00")), "importo is not an amount"),
        (cash_book(Movement()).replace(b">2026-11-25", b">25/11/2026"), "data_movimento"),
        (b"<a", "not well-formed"),
    ],
)
def test_what_is_no_list_of_sums_is_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(CentralError, match=sentence):
        read_treasury(data)


def test_a_cash_book_has_at_most_cash_book_bytes_max() -> None:
    with pytest.raises(CentralError, match=f"more than {CASH_BOOK_BYTES_MAX}"):
        read_treasury(b"<" + b" " * CASH_BOOK_BYTES_MAX)
