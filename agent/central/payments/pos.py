"""The treasury's virtual POS: an order with its MAC, and the bank's notification, XPay style.

Pure. The MAC covers fields that are glued without separators, so every field's form is checked
before: else 1 and 12 euro could be glued to the same text. Names, e-mail and card are not signed:
they are not read.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.central.books.postings import PaymentKey
from agent.central.books.references import Reference
from agent.central.payments.reported import Outcome, ReportedPayment
from agent.central.payments.settings import Pos
from agent.domain.clock import format_instant
from agent.errors import CentralError

CHANNEL = "pos"

_FORMS = {
    "codTrans": r"[A-Za-z0-9]{2,30}",
    "esito": r"OK|KO|ANNULLO|ERRORE|PEN",
    "importo": r"[1-9][0-9]{0,8}",
    "divisa": r"EUR",
    "data": r"[0-9]{8}",
    "orario": r"[0-9]{6}",
    "codAut": r"[A-Za-z0-9]{0,6}",
}
SIGNED = tuple(_FORMS)
"""The fields of a notification that its MAC covers, in its order."""
_MAC = re.compile(r"[0-9a-f]{40}")
_OUTCOMES = {"OK": Outcome.PAID, "PEN": Outcome.UNDECIDED}


class Door(NamedTuple):
    """The bank's key, and the zone of its times."""

    secret: str
    zone: ZoneInfo


class Addresses(NamedTuple):
    """Where the bank sends the browser after a payment, and without one; where it notifies."""

    paid: str
    abandoned: str
    notify: str


def order_fields(order: Reference, pos: Pos, addresses: Addresses) -> dict[str, str]:
    """Return the fields with which the browser goes to the bank."""
    signed = {"codTrans": order.id, "divisa": "EUR", "importo": str(order.cents)}
    return {
        "alias": pos.alias,
        **signed,
        "mac": _mac(signed, pos.secret),
        "url": addresses.paid,
        "url_back": addresses.abandoned,
        "urlpost": addresses.notify,
    }


def notification_mac(fields: Mapping[str, str], secret: str) -> str:
    """Return the MAC of a notification's fields."""
    return _mac({name: fields.get(name, "") for name in _FORMS}, secret)


def read_notification(fields: Mapping[str, str], door: Door) -> ReportedPayment:
    """Return the payment of a notification. Raise `CentralError` for one the bank did not sign."""
    for name, form in _FORMS.items():
        if re.fullmatch(form, fields.get(name, ""), re.ASCII) is None:
            raise CentralError(f"{name} of a notification is missing or has another form")
    mac = fields.get("mac", "")
    if _MAC.fullmatch(mac) is None or not hmac.compare_digest(
        mac, notification_mac(fields, door.secret)
    ):
        raise CentralError("the MAC of a notification is not the bank's; compare the key with it")
    code, outcome = fields["codTrans"], fields["esito"]
    attempt = "" if outcome == "OK" else f"#{outcome}-{fields['data']}{fields['orario']}"
    return ReportedPayment(
        key=PaymentKey(CHANNEL, code + attempt),
        reference=code,
        cents=int(fields["importo"]),
        outcome=_OUTCOMES.get(outcome, Outcome.NOT_PAID),
        paid_at=_instant(fields["data"] + fields["orario"], door.zone),
    )


def _mac(fields: Mapping[str, str], secret: str) -> str:
    glued = "".join(f"{name}={value}" for name, value in fields.items())
    return hashlib.sha1((glued + secret).encode(), usedforsecurity=False).hexdigest()


def _instant(digits: str, zone: ZoneInfo) -> str:
    try:
        return format_instant(datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise CentralError("data and orario of a notification are no time") from None
