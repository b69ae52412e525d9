"""pagoPA receipts of the older form, `RT` 6.2.0: a file by itself, or inside an envelope.

Its key is that of the newer form (the creditor and the IUR), so that a payment which comes in both
forms is a duplicate.
"""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element

from agent.central.payments.receipt import (
    Whose,
    cents_of,
    is_school_meals,
    receipt_key,
)
from agent.central.payments.reported import Outcome, Park, ReportedPayment
from agent.central.payments.xml import child, children, descendants, optional_text, parse, text
from agent.errors import CentralError

ROWS_MAX = 5
"""Single payments of one receipt, by its schema."""
_DONE, _PARTLY = "0", "2"
_IUV = re.compile(r"[!-~]{1,35}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Z+-].*)?")


class _Row(NamedTuple):
    """A single payment. `cents` is 0 for a row that was not paid."""

    cents: int
    iur: str
    is_ours: bool
    day: str | None


def read_old_receipt(data: bytes, whose: Whose) -> ReportedPayment:
    """Return the payment of an older receipt. Raise `CentralError`."""
    receipts = list(descendants(parse(data), "RT"))
    if len(receipts) != 1:
        raise CentralError(f"the document has {len(receipts)} receipts RT, not 1")
    receipt = receipts[0]
    domain = text(child(receipt, "dominio"), "identificativoDominio")
    data_paid = child(receipt, "datiPagamento")
    outcome = text(data_paid, "codiceEsitoPagamento")
    if outcome not in ("0", "1", "2", "3", "4"):
        raise CentralError("codiceEsitoPagamento is none of 0 to 4")
    iuv = text(data_paid, "identificativoUnivocoVersamento")
    if _IUV.fullmatch(iuv) is None:
        raise CentralError("identificativoUnivocoVersamento does not have 1 to 35 characters")
    rows = [_row(element) for element in children(data_paid, "datiSingoloPagamento")]
    if len(rows) > ROWS_MAX:
        raise CentralError(f"there are {len(rows)} single payments, more than {ROWS_MAX}")
    is_paid = outcome in (_DONE, _PARTLY)
    if is_paid and not any(row.cents for row in rows):
        raise CentralError("the receipt is paid, but no single payment is")
    # rows of one receipt share the IUR, or have each its own: the first of ours names the payment
    named = [row.iur for row in rows if row.is_ours and row.cents] or [
        text(data_paid, "CodiceContestoPagamento")
    ]
    ours = sum(row.cents for row in rows if row.is_ours) if domain == whose.creditor else 0
    total = cents_of(text(data_paid, "importoTotalePagato"), "importoTotalePagato")
    fault = None if ours else Park.NOT_OURS
    if sum(row.cents for row in rows) != total:
        fault = Park.PARTS_DIFFER
    return ReportedPayment(
        key=receipt_key(domain, named[0], is_paid=is_paid),
        reference=iuv,
        cents=ours,
        outcome=Outcome.PAID if is_paid else Outcome.NOT_PAID,
        paid_at=next((row.day for row in rows if row.day), None),
        fault=fault,
    )


def _row(element: Element) -> _Row:
    day = optional_text(element, "dataEsitoSingoloPagamento")
    if day is not None and _DAY.fullmatch(day) is None:
        raise CentralError("dataEsitoSingoloPagamento is not a day")
    return _Row(
        cents=cents_of(text(element, "singoloImportoPagato"), "singoloImportoPagato"),
        iur=text(element, "identificativoUnivocoRiscossione"),
        is_ours=is_school_meals(text(element, "datiSpecificiRiscossione")),
        day=day[:10] if day else None,
    )
