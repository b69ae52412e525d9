"""Settlement flows (`FlussoRiversamento`): which payments a bank's transfer to the town holds.

Pure. A revoked payment (outcome 3) reverses the absolute amount: published schemas disagree on the
sign. Totals must match the rows.
"""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from agent.central.books.settlements import Flow, FlowRow
from agent.central.payments.receipt import receipt_key
from agent.central.payments.xml import child, children, descendants, optional_text, parse, text
from agent.errors import CentralError

FLOW_BYTES_MAX = 64 * 1024 * 1024
"""A flow of 100,000 payments has 45 MB."""

_PAID = ("0", "4", "8", "9")  # done; 4 and 8: in place of the node; 9: without a request
_REVOKED = "3"
_AMOUNT = re.compile(r"(?P<sign>-?)(?P<euro>[0-9]{1,12})\.(?P<cents>[0-9]{2})", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])", re.ASCII)


class SettlementFlow(NamedTuple):
    """A flow with its rows."""

    flow: Flow
    rows: list[FlowRow]


def read_flow(data: bytes, creditor: str) -> SettlementFlow:
    """Return a settlement flow. Raise `CentralError`."""
    flows = list(descendants(parse(data, FLOW_BYTES_MAX), "FlussoRiversamento"))
    if len(flows) != 1:
        raise CentralError(f"the document has {len(flows)} flows FlussoRiversamento, not 1")
    element = flows[0]
    flow_id = text(element, "identificativoFlusso")
    if not flow_id or len(flow_id) > 100 or not flow_id.isprintable():
        raise CentralError("identificativoFlusso does not have 1 to 100 characters")
    _require_receiver(element, creditor)
    rows, signed = [], []
    for single in children(element, "datiSingoliPagamenti"):
        amount = _cents(text(single, "singoloImportoPagato"), "singoloImportoPagato")
        rows.append(_row(single, amount, creditor))
        signed.append(amount)
    cents = _cents(text(element, "importoTotalePagamenti"), "importoTotalePagamenti")
    _require_totals(element, rows, {sum(signed), _net(rows)}, cents)
    revision = text(element, "dataOraFlusso")
    day = _day(text(element, "dataRegolamento"), "dataRegolamento")
    return SettlementFlow(Flow(flow_id, revision, day, _net(rows)), rows)


def _row(single: Element, amount: int, creditor: str) -> FlowRow:
    outcome = text(single, "codiceEsitoSingoloPagamento")
    if outcome not in (*_PAID, _REVOKED):
        raise CentralError("codiceEsitoSingoloPagamento is none of 0, 3, 4, 8, 9")
    if amount < 0 and outcome != _REVOKED:
        raise CentralError("a payment that is not revoked has a negative amount")
    iur = text(single, "identificativoUnivocoRiscossione")
    return FlowRow(
        iuv=text(single, "identificativoUnivocoVersamento"),
        external=receipt_key(creditor, iur, is_paid=True).external,
        cents=abs(amount),
        outcome="revoked" if outcome == _REVOKED else "paid",
        day=_day(text(single, "dataEsitoSingoloPagamento"), "dataEsitoSingoloPagamento"),
    )


def _net(rows: list[FlowRow]) -> int:
    """Return what the bank transfers: paid rows less revoked ones."""
    return sum(row.cents if row.outcome == "paid" else -row.cents for row in rows)


def _require_totals(element: Element, rows: list[FlowRow], sums: set[int], cents: int) -> None:
    count = text(element, "numeroTotalePagamenti")
    if re.fullmatch(r"[0-9]{1,9}", count, re.ASCII) is None or int(count) != len(rows):
        raise CentralError(f"the flow has {len(rows)} payments, numeroTotalePagamenti differs")
    if cents not in sums:
        raise CentralError("the flow's payments do not sum to importoTotalePagamenti")


def _require_receiver(element: Element, creditor: str) -> None:
    receivers = children(element, "istitutoRicevente")
    if receivers:
        named = child(receivers[0], "identificativoUnivocoRicevente")
        if optional_text(named, "codiceIdentificativoUnivoco") not in (None, creditor):
            raise CentralError("the flow is for another creditor")


def _cents(amount: str, name: str) -> int:
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise CentralError(f"{name} is not an amount like 20.00")
    cents = int(match["euro"]) * 100 + int(match["cents"])
    return -cents if match["sign"] else cents


def _day(value: str, name: str) -> str:
    match = _DAY.match(value)
    if match is None:
        raise CentralError(f"{name} is not a day like 2026-11-23")
    return match[0]
