"""Files of every kind, known by their contents alone."""

import pytest

from agent.central.books.payments import Arrival
from agent.central.books.references import Reference
from agent.central.payments.documents import book_document, read_document
from agent.errors import CentralError
from tests.parts.payment_messages import WHOSE, OldReceipt, Receipt, old_receipt, soap_receipt
from tests.parts.settlement_messages import FlowMessage, Movement, Row, cash_book, flow_message
from tests.parts.wire import Central

SUMS = "year,number,day,euro,reason\n2026,7,2026-11-25,20.00,x\n"


def take(central: Central, data: bytes) -> str:
    document = read_document(data, WHOSE)
    return book_document(central.books, document, Arrival(central.clock.instant, data))


def test_each_kind_of_file_is_known_and_booked_once(central: Central, notice: Reference) -> None:
    receipt = soap_receipt(Receipt(notice.id))
    assert [take(central, receipt) for _ in range(2)] == ["credited", "duplicate"]
    assert take(central, old_receipt(OldReceipt(notice.id))) == "duplicate"
    flow = flow_message(FlowMessage((Row(notice.id),)))
    assert ": 1 payments, 0 revoked now" in take(central, flow)
    assert "was taken in before" in take(central, flow)
    assert [take(central, cash_book(Movement())) for _ in range(2)] == [
        "1 sums of the treasury"
    ] * 2
    assert take(central, cash_book()) == "0 sums of the treasury"
    assert take(central, SUMS.encode("utf-8-sig")) == "1 sums of the treasury"
    assert central.balance("a-1") == 2_000


def test_a_flow_in_another_encoding_is_a_flow(central: Central, notice: Reference) -> None:
    text = flow_message(FlowMessage((Row(notice.id),))).decode()
    for encoding in ("utf-16", "utf-8-sig"):
        data = text.encode(encoding)
        assert take(central, data).startswith("flow 2026-11-25BANKIT00-S000000001: ")


def test_a_parked_receipt_says_why(central: Central) -> None:
    assert "no reference of this town" in take(central, soap_receipt(Receipt("123")))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "columns year,number"), (b"<a/>", "it is no receipt"), (b"<RT", "not well-formed"),
     (b"\xff\x00\x01", "no XML; read as the treasury's CSV: the file is no CSV")],
)  # fmt: skip
def test_what_is_no_document_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(CentralError, match=sentence):
        read_document(data, WHOSE)
