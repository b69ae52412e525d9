"""The doors: a message in a channel's form becomes a payment of the intake, and gets its answer.

What cannot be read is set aside with the reason, and listed by `canteen-central incidents`.
"""

import contextlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from agent.central.books import incidents
from agent.central.books.database import Books
from agent.central.books.incidents import Incident, UnusableMessage
from agent.central.books.payments import Arrival
from agent.central.payments import pos, receipt
from agent.central.payments.intake import take_in
from agent.central.payments.old_receipt import read_old_receipt
from agent.central.payments.receipt import Fault, Whose, read_receipt
from agent.central.payments.reported import ReportedPayment
from agent.central.payments.ruling import Ruling
from agent.domain.clock import Instant
from agent.errors import CentralError, cut_reason


class Soap(NamedTuple):
    """The answer to a receipt, and what became of it; None if it was not taken."""

    body: bytes
    ruling: Ruling | None


def receive_soap(books: Books, data: bytes, whose: Whose, at: Instant) -> Soap:
    """Take in a receipt that the node pushes, and return its answer.

    A receipt whose answer is lost is sent again, and is then a duplicate, answered OK.
    """
    response, fault, ruling = "paSendRTRes", None, None
    try:
        message = read_receipt(data, whose)
    except CentralError as error:
        set_aside(books, Arrival(at, data), "receipt", error)
        return Soap(receipt.answer(response, Fault.SYNTAX, whose.creditor), None)
    response = message.response
    if message.id_pa != whose.creditor:
        fault = Fault.DOMAIN
    else:
        try:
            ruling = take_in(books, message.payment, Arrival(at, data))
        except CentralError:
            # the node sends it again; the books say what is wrong with the file
            fault = Fault.SYSTEM
            recover(books)
    return Soap(receipt.answer(response, fault, whose.creditor), ruling)


def receive_file(books: Books, data: bytes, whose: Whose, at: Instant) -> Ruling:
    """Take in a receipt from a file, of the newer or the older form. Raise `CentralError`."""
    return take_in(books, read_receipt_file(data, whose), Arrival(at, data))


def read_receipt_file(data: bytes, whose: Whose) -> ReportedPayment:
    """Return the payment of a receipt of the newer or the older form. Raise `CentralError`."""
    try:
        return read_receipt(data, whose).payment
    except CentralError as error:
        if b"FlussoRiversamento" in data or b"RT" not in data:
            raise
        try:
            return read_old_receipt(data, whose)
        except CentralError as older:
            raise CentralError(f"{error}; read as an older receipt: {older}") from older


def receive_notification(
    books: Books, fields: Mapping[str, str], door: pos.Door | None, at: Instant
) -> Ruling | None:
    """Take in a notification of the bank, or the browser's return; None if the bank signed none.

    What is kept is what the bank signed: other fields may be names. Anybody may send a wrong one,
    so those are counted in one incident, and not kept. Raise `CentralError` if it cannot be stored.
    """
    try:
        if door is None:
            raise CentralError("this town has no virtual POS; write [pos] into payments.toml")
        reported = pos.read_notification(fields, door)
    except CentralError as error:
        with books.transaction():
            incidents.add_or_count(books, Incident(at, "payment_unsigned", str(error)))
        return None
    signed = {name: fields.get(name, "") for name in (*pos.SIGNED, "mac")}
    return take_in(books, reported, Arrival(at, urlencode(signed).encode()))


def recover(books: Books) -> None:
    """Open the file again after a fault, unless it is only locked: the next message needs it."""
    with contextlib.suppress(CentralError):
        if books.is_usable():
            return
    with contextlib.suppress(CentralError):
        books.reopen()


def set_aside(books: Books, arrival: Arrival, door: str, error: CentralError) -> None:
    """Keep a message that cannot be read, with the reason."""
    reason = cut_reason(str(error))
    with books.transaction():
        incidents.set_aside(books, UnusableMessage(arrival.at, door, arrival.body, reason))
