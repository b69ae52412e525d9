"""Messages of the node and of the bank, written from their published forms. Fictitious people."""

from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from agent.central.payments.pos import Door, notification_mac
from agent.central.payments.receipt import NAMESPACE, SOAP, Whose

CREDITOR = "80012345678"
OTHER_CREDITOR = "80087654321"
WHOSE = Whose(CREDITOR, ZoneInfo("Europe/Rome"))
SECRET = "a-key-of-the-bank-0123456789"
DOOR = Door(SECRET, WHOSE.zone)
MEALS = "9/0107101TS/"
DEBTOR = "Bianchi Aurora"


class Transfer(NamedTuple):
    """A part of a receipt."""

    euro: str
    creditor: str = CREDITOR
    category: str = MEALS


class Receipt(NamedTuple):
    """What differs between the receipts of tests."""

    iuv: str
    receipt: str = "receipt-1"
    total: str = "20.00"
    transfers: tuple[Transfer, ...] = (Transfer("20.00"),)
    outcome: str = "OK"
    id_pa: str = CREDITOR
    paid_at: str = "2026-11-23T12:01:00"


def soap_receipt(receipt: Receipt, request: str = "paSendRTReq") -> bytes:
    """Return a receipt in its SOAP envelope."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Header/><s:Body>'
        f'<p:{request} xmlns:p="{NAMESPACE}">{_request(receipt)}</p:{request}>'
        "</s:Body></s:Envelope>"
    ).encode()


def default_namespace_receipt(receipt: Receipt, request: str = "paSendRTV2Request") -> bytes:
    """Return the same with a default namespace and `xmlns=""`, as other nodes send it."""
    inner = _request(receipt).replace("<receipt>", '<receipt xmlns="">')
    return (
        f'<Envelope xmlns="{SOAP}"><Body><{request} xmlns="{NAMESPACE}">{inner}</{request}>'
        "</Body></Envelope>"
    ).encode()


def _request(receipt: Receipt) -> str:
    transfers = "".join(
        f"<transfer><idTransfer>{n}</idTransfer><transferAmount>{part.euro}</transferAmount>"
        f"<fiscalCodePA>{part.creditor}</fiscalCodePA><IBAN>IT00X</IBAN>"
        "<remittanceInformation>mensa</remittanceInformation>"
        f"<transferCategory>{part.category}</transferCategory></transfer>"
        for n, part in enumerate(receipt.transfers, start=1)
    )
    return (
        f"<idPA>{receipt.id_pa}</idPA><idBrokerPA>{CREDITOR}</idBrokerPA>"
        f"<idStation>{CREDITOR}_01</idStation><receipt><receiptId>{receipt.receipt}</receiptId>"
        f"<noticeNumber>3{receipt.iuv}</noticeNumber><fiscalCode>{CREDITOR}</fiscalCode>"
        f"<outcome>{receipt.outcome}</outcome>"
        f"<creditorReferenceId>{receipt.iuv}</creditorReferenceId>"
        f"<paymentAmount>{receipt.total}</paymentAmount><description>mensa</description>"
        "<companyName>Comune di Borgofiorito</companyName>"
        f"<debtor><fullName>{DEBTOR}</fullName></debtor>"
        f"<transferList>{transfers}</transferList><idPSP>PSP1</idPSP>"
        "<PSPCompanyName>Banca Esempio</PSPCompanyName><fee>1.50</fee>"
        f"<paymentDateTime>{receipt.paid_at}</paymentDateTime></receipt>"
    )


class OldReceipt(NamedTuple):
    """What differs between the older receipts of tests."""

    iuv: str
    outcome: str = "0"
    total: str = "20.00"
    rows: tuple[str, ...] = ("20.00",)
    iur: str = "receipt-1"
    domain: str = CREDITOR


def old_receipt(receipt: OldReceipt) -> bytes:
    """Return a receipt RT 6.2.0."""
    rows = "".join(
        f"<datiSingoloPagamento><singoloImportoPagato>{euro}</singoloImportoPagato>"
        "<esitoSingoloPagamento>ok</esitoSingoloPagamento>"
        "<dataEsitoSingoloPagamento>2026-11-23</dataEsitoSingoloPagamento>"
        f"<identificativoUnivocoRiscossione>{receipt.iur}</identificativoUnivocoRiscossione>"
        "<causaleVersamento>mensa</causaleVersamento>"
        f"<datiSpecificiRiscossione>{MEALS}</datiSpecificiRiscossione></datiSingoloPagamento>"
        for euro in receipt.rows
    )
    return (
        '<RT xmlns="http://www.digitpa.gov.it/schemas/2011/Pagamenti/"><versioneOggetto>6.2.0'
        f"</versioneOggetto><dominio><identificativoDominio>{receipt.domain}"
        "</identificativoDominio></dominio><datiPagamento>"
        f"<codiceEsitoPagamento>{receipt.outcome}</codiceEsitoPagamento>"
        f"<importoTotalePagato>{receipt.total}</importoTotalePagato>"
        f"<identificativoUnivocoVersamento>{receipt.iuv}</identificativoUnivocoVersamento>"
        f"<CodiceContestoPagamento>{receipt.iur}</CodiceContestoPagamento>{rows}"
        "</datiPagamento></RT>"
    ).encode()


class Notification(NamedTuple):
    """What differs between the notifications of tests."""

    code: str
    outcome: str = "OK"
    cents: str = "2000"
    time: str = "120100"


def notification(given: Notification, secret: str = SECRET) -> dict[str, str]:
    """Return the fields of the bank's notification, signed, with fields that are not."""
    fields = {
        "codTrans": given.code,
        "esito": given.outcome,
        "importo": given.cents,
        "divisa": "EUR",
        "data": "20261123",
        "orario": given.time,
        "codAut": "A1B2C3" if given.outcome == "OK" else "",
    }
    return {**fields, "mac": notification_mac(fields, secret), "nome": DEBTOR, "pan": "4***1"}


def form(fields: dict[str, str]) -> bytes:
    """Return fields as the body of a form."""
    return urlencode(fields).encode()
