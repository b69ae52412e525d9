"""pagoPA receipts as the node pushes them: `paSendRTReq` and `paSendRTV2Request`, in SOAP.

Pure: a message becomes a `ReportedPayment` or a sentence. The fee is the payer's bank's, and is
never credited. The payer's and the debtor's names decide nothing.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from agent.central.books.postings import PaymentKey
from agent.central.payments.reported import Outcome, Park, ReportedPayment
from agent.central.payments.xml import child, children, local, namespace, optional_text, parse, text
from agent.domain.clock import format_instant
from agent.errors import CentralError

CHANNEL = "pagopa"
NAMESPACE = "http://pagopa-api.pagopa.gov.it/pa/paForNode.xsd"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TRANSFERS_MAX = 5
"""Transfers of one receipt, by the node's schema."""
ID_LENGTH_MAX = 255
"""Characters of a receipt's id, by the node's schema."""
SCHOOL_MEALS = "0107101TS"
"""The taxonomy's middle part; 6/, 7/, 8/ or 9/ before it and / after it, or nothing."""

_REQUESTS = {"paSendRTReq": "paSendRTRes", "paSendRTV2Request": "paSendRTV2Response"}
_AMOUNT = re.compile(r"(?P<euro>[0-9]{1,9})\.(?P<cents>[0-9]{2})")
_FISCAL_CODE = re.compile(r"[0-9]{11}")
_REFERENCE = re.compile(r"[!-~]{1,35}")


class Fault(StrEnum):
    """Why a receipt is answered with KO, in the node's words."""

    SYNTAX = "PAA_SINTASSI_XSD"
    DOMAIN = "PAA_ID_DOMINIO_ERRATO"
    SYSTEM = "PAA_SYSTEM_ERROR"


FAULT_WORDS = {
    Fault.SYNTAX: "The message does not have the form of a receipt",
    Fault.DOMAIN: "The receipt is for another creditor",
    Fault.SYSTEM: "The receipt could not be stored now; send it again",
}


class ReceiptMessage(NamedTuple):
    """A receipt with whom it was sent to. `response` is the name of its answer's element."""

    response: str
    id_pa: str
    payment: ReportedPayment


class Whose(NamedTuple):
    """The creditor whose part counts, and the zone of times that name none."""

    creditor: str
    zone: ZoneInfo


def read_receipt(data: bytes, whose: Whose) -> ReceiptMessage:
    """Return the receipt of a SOAP message, or of its bare request. Raise `CentralError`."""
    request = parse(data)
    if local(request) == "Envelope" and namespace(request) == SOAP:
        body = list(child(request, "Body"))
        if len(body) != 1:
            raise CentralError(f"Body has {len(body)} elements, not 1")
        request = body[0]
    response = _REQUESTS.get(local(request))
    if response is None or namespace(request) != NAMESPACE:
        raise CentralError("the message is no paSendRTReq and no paSendRTV2Request of the node")
    id_pa = _matching(_FISCAL_CODE, text(request, "idPA"), "idPA")
    return ReceiptMessage(response, id_pa, _payment(child(request, "receipt"), whose))


def answer(response: str, fault: Fault | None, creditor: str) -> bytes:
    """Return the SOAP answer to a receipt: OK, or KO with a fault."""
    result = "<outcome>OK</outcome>"
    if fault is not None:
        result = (
            f"<outcome>KO</outcome><fault><faultCode>{fault}</faultCode>"
            f"<faultString>{FAULT_WORDS[fault]}</faultString><id>{creditor}</id>"
            f"<description>{FAULT_WORDS[fault]}</description></fault>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="{SOAP}" xmlns:pa="{NAMESPACE}"><soapenv:Body>'
        f"<pa:{response}>{result}</pa:{response}></soapenv:Body></soapenv:Envelope>\n"
    ).encode()


def cents_of(amount: str, name: str) -> int:
    """Return the cents of an amount in euro with two decimals. Raise `CentralError`."""
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise CentralError(f"{name} is not an amount like 20.00")
    return int(match["euro"]) * 100 + int(match["cents"])


def is_school_meals(category: str) -> bool:
    """Return whether a transfer's taxonomy is that of school meals."""
    return re.fullmatch(rf"(?:[6-9]/)?{SCHOOL_MEALS}/?", category) is not None


def instant_of(when: str, zone: ZoneInfo) -> str:
    """Return a time as an instant; without a zone it is the town's. Raise `CentralError`."""
    try:
        moment = datetime.fromisoformat(when)
        return format_instant(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise CentralError("a time is not written as 2026-10-03T12:01:00") from None


def receipt_key(creditor: str, receipt: str, *, is_paid: bool) -> PaymentKey:
    """Return a receipt's key. An attempt that failed has another: it may succeed later."""
    return PaymentKey(CHANNEL, f"{creditor}:{receipt}" + ("" if is_paid else "#KO"))


def _payment(receipt: Element, whose: Whose) -> ReportedPayment:
    receipt_id = text(receipt, "receiptId")
    if not 1 <= len(receipt_id) <= ID_LENGTH_MAX or not receipt_id.isprintable():
        raise CentralError(f"receiptId does not have 1 to {ID_LENGTH_MAX} characters")
    creditor = _matching(_FISCAL_CODE, text(receipt, "fiscalCode"), "fiscalCode")
    outcome = text(receipt, "outcome")
    if outcome not in ("OK", "KO"):
        raise CentralError("outcome is neither OK nor KO")
    paid_at = optional_text(receipt, "paymentDateTime")
    cents, fault = _our_part(receipt, whose)
    return ReportedPayment(
        key=receipt_key(creditor, receipt_id, is_paid=outcome == "OK"),
        reference=_matching(_REFERENCE, text(receipt, "creditorReferenceId"), "the IUV"),
        cents=cents,
        outcome=Outcome.PAID if outcome == "OK" else Outcome.NOT_PAID,
        paid_at=instant_of(paid_at, whose.zone) if paid_at else None,
        fault=fault,
    )


class _Part(NamedTuple):
    """Our part of a receipt, and why it cannot be credited."""

    cents: int
    fault: Park | None


def _our_part(receipt: Element, whose: Whose) -> _Part:
    transfers = children(child(receipt, "transferList"), "transfer")
    if not 1 <= len(transfers) <= TRANSFERS_MAX:
        raise CentralError(f"there are {len(transfers)} transfers, not 1 to {TRANSFERS_MAX}")
    total = ours = 0
    for transfer in transfers:
        cents = cents_of(text(transfer, "transferAmount"), "transferAmount")
        total += cents
        is_ours = text(transfer, "fiscalCodePA") == whose.creditor
        if is_ours and is_school_meals(text(transfer, "transferCategory")):
            ours += cents
    if total != cents_of(text(receipt, "paymentAmount"), "paymentAmount"):
        return _Part(ours, Park.PARTS_DIFFER)
    return _Part(ours, None if ours else Park.NOT_OURS)


def _matching(form: re.Pattern[str], value: str, name: str) -> str:
    if form.fullmatch(value) is None:
        raise CentralError(f"{name} does not have the form that the node's schema states")
    return value
