"""A file of any kind that money comes in: receipt, settlement flow, or the treasury's sums.

Reading is apart from booking: what cannot be read is refused for ever, and what cannot be booked
now is booked later. Both raise `CentralError`.
"""

from typing import assert_never

from agent.central.books.database import Books
from agent.central.books.payments import Arrival
from agent.central.payments.doors import read_receipt_file
from agent.central.payments.intake import take_in
from agent.central.payments.receipt import Whose
from agent.central.payments.reported import WORDS, Park, ReportedPayment
from agent.central.payments.ruling import Result
from agent.central.payments.settlement import SettlementFlow, read_flow
from agent.central.payments.settling import book_flow, book_sums
from agent.central.payments.treasury import CashBook, read_treasury
from agent.errors import CentralError

Document = ReportedPayment | SettlementFlow | CashBook

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def read_document(data: bytes, whose: Whose) -> Document:
    """Return what a file says, by its contents; its name decides nothing."""
    is_xml = data.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith(b"<")
    if is_xml and _names(data, "FlussoRiversamento"):
        return read_flow(data, whose.creditor)
    if _names(data, "flusso_giornale_di_cassa"):
        return read_treasury(data)
    if not is_xml:
        try:
            return read_treasury(data)
        except CentralError as error:
            raise CentralError(f"it is no XML; read as the treasury's CSV: {error}") from error
    if not _names(data, "RT"):  # the end of paSendRT, and the name of the older form
        raise CentralError("it is no receipt, no settlement flow and no cash book")
    return read_receipt_file(data, whose)


def book_document(books: Books, document: Document, arrival: Arrival) -> str:
    """Book a document, and return what became of it in words. Once, whatever comes again."""
    match document:
        case ReportedPayment():
            ruling = take_in(books, document, arrival)
            if ruling.result is Result.PARKED:
                return f"parked: {WORDS[Park(ruling.reason)]}"
            return ruling.result.value
        case SettlementFlow():
            flow = book_flow(books, document, arrival)
            if not flow.is_new:
                return f"flow {flow.flow}: was taken in before"
            return f"flow {flow.flow}: {flow.rows} payments, {flow.revoked} revoked now"
        case CashBook():
            book_sums(books, document)
            return f"{len(document.sums)} sums of the treasury"
        case _:
            assert_never(document)


def _names(data: bytes, element: str) -> bool:
    return any(element.encode(encoding) in data for encoding in _ENCODINGS)
