"""The treasury's sums: its cash book in OPI's XML, or a CSV of sums to be assigned.

Pure. A sum covers many payments: it is compared with a flow's total, and credits no card. The
reason of a sum has a flow's id with blanks in any place, so blanks are removed.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple
from xml.etree.ElementTree import Element

from agent.central.books.settlements import TreasurySum
from agent.central.payments.xml import descendants, optional_text, parse, text
from agent.domain.money import parse_euro
from agent.errors import AgentError, CentralError

CASH_BOOK_BYTES_MAX = 64 * 1024 * 1024
"""A day of a city's treasury has 10 MB."""
COLUMNS = ("year", "number", "day", "euro", "reason")

_YEAR = re.compile(r"[0-9]{4}", re.ASCII)
_PAGE = re.compile(r"[0-9]{1,6}", re.ASCII)
_DAY = re.compile(r"(?P<year>[0-9]{4})-[0-9]{2}-[0-9]{2}", re.ASCII)
_UNDONE = "STORNATO"


class CashBook(NamedTuple):
    """The sums of a page of the cash book, and which page of how many it is."""

    sums: list[TreasurySum]
    page: int
    pages: int


def read_treasury(data: bytes) -> CashBook:
    """Return the sums of a cash book or a CSV. Raise `CentralError`."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _read_xml(data)
    return CashBook(list(_read_csv(data)), 1, 1)


def _read_xml(data: bytes) -> CashBook:
    document = parse(data, CASH_BOOK_BYTES_MAX)
    movements = descendants(document, "movimento_conto_evidenza")
    sums = [_sum(element) for element in movements if _is_arrival(element)]
    page, pages = (_number(optional_text(document, name)) for name in ("pagina", "pagine_totali"))
    return CashBook(sums, page, pages)


def _is_arrival(element: Element) -> bool:
    """Return whether a movement is money that came and waits for its assignment."""
    document = " ".join((optional_text(element, "tipo_documento") or "").split())
    return text(element, "tipo_movimento") == "ENTRATA" and document == "SOSPESO ENTRATA"


def _sum(element: Element) -> TreasurySum:
    day = _DAY.match(text(element, "data_movimento"))
    if day is None or not _is_day(day[0]):
        raise CentralError("data_movimento is not a day like 2026-11-23")
    amount = text(element, "importo")
    if re.fullmatch(r"[0-9]{1,7}\.[0-9]{2}", amount, re.ASCII) is None:
        raise CentralError("importo is not an amount like 20.00")
    return TreasurySum(
        year=int(day["year"]),
        number=text(element, "numero_documento"),
        day=day[0],
        cents=parse_euro(amount),
        is_undone=text(element, "tipo_operazione") == _UNDONE,
        reason=_without_blanks(optional_text(element, "causale") or ""),
    )


def _read_csv(data: bytes) -> Iterator[TreasurySum]:
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CentralError(f"the file is no CSV in UTF-8: {error}") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise CentralError(f"the file does not begin with the columns {','.join(COLUMNS)}")
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(COLUMNS) or not _YEAR.fullmatch(row[0]) or not _is_day(row[2]):
            raise CentralError(f"row {number} does not have the columns {','.join(COLUMNS)}")
        try:
            cents = parse_euro(row[3])
        except AgentError as error:
            raise CentralError(f"row {number}: {error}") from None
        reason = _without_blanks(row[4])
        yield TreasurySum(int(row[0]), row[1], row[2], cents, False, reason)


def _without_blanks(reason: str) -> str:
    return "".join(reason.split())


def _number(value: str | None) -> int:
    return int(value) if value is not None and _PAGE.fullmatch(value) else 1


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
