"""Whether a box gets a certificate: rules over the books and the authority.

A code is good for a day and for one key: a box whose answer was lost asks again and gets the same.
Every refusal is an incident: if another box used the code first, somebody else has seen it.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from agent.central.books import enrolments, incidents, terminals, town
from agent.central.books.database import Books
from agent.central.books.enrolments import Certificate, CodeRow
from agent.central.books.incidents import Incident
from agent.central.enrolment.authority import (
    Authority,
    is_signed,
    key_fingerprint,
)
from agent.central.enrolment.kept import Kept, certificate_of
from agent.domain.clock import Instant, format_instant, parse_instant
from agent.errors import CentralError
from agent.sync.enrolment import (
    Address,
    Code,
    Enrolment,
    EnrolRequest,
    Refusal,
    Renewal,
    RenewRequest,
)
from agent.sync.topics import Topics

CODE_HOURS = 24
RENEWALS_MAX, RENEWALS_DAYS = 10, 30
"""Of a terminal: a clock that is years ahead, or a thief, must not fill the books."""
REFUSED = "enrolment_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Where enrolment happens: the town's authority and card key, its broker and this server."""

    kept: Kept
    card_key: str
    broker: str
    address: Address

    @property
    def authority(self) -> Authority:
        """The town's authority."""
        return self.kept.authority


def new_code(books: Books, office: Office, terminal: str, secret: bytes, *, at: Instant) -> Code:
    """Return a new code for a terminal at a site; an earlier one is void.

    Raise `CentralError` for a terminal that is unknown or retired.
    """
    with books.transaction():
        known = terminals.find(books, terminal)
        if known is None or known.site is None:
            raise CentralError(
                f"terminal {terminal} has no site; write: canteen-central enrol new {terminal}"
                " --site SITE"
            )
        until = parse_instant(at) + timedelta(hours=CODE_HOURS)
        enrolments.add_code(books, CodeRow(_hash(secret), terminal, at, format_instant(until)))
    return Code(office.address, office.authority.fingerprint[: len(secret)], secret)


def enrol(
    books: Books, office: Office, request: EnrolRequest, *, at: Instant
) -> Enrolment | Refusal:
    """Return what a box gets for its code. Its terminal's earlier certificates are taken back."""
    with books.transaction():
        code = enrolments.find_code(books, _hash(bytes.fromhex(request.secret)))
        if code is None:
            return _refuse(books, None, "no such code, or a newer code replaced it", at)
        try:
            key = key_fingerprint(request.request)
        except CentralError as error:
            return _refuse(books, code.terminal, str(error), at)
        if (reason := _refusal(books, code, key, at)) is not None:
            return _refuse(books, code.terminal, reason, at)
        if code.serial is not None:
            made = enrolments.find_certificate(books, code.serial)
            assert made is not None
        else:
            office.kept.recall(books, at)
            enrolments.revoke_certificates(books, code.terminal, at=at)
            made = _issue(books, office, code.terminal, request.request, at)
            enrolments.use_code(books, code.secret, key, made.serial, at=at)
        present = town.find(books)
    # After the commit: a box whose enrolment failed keeps what it has. A repeated call repeats it.
    office.kept.take_back(books, code.terminal, made.at)
    return Enrolment(
        town=present.name,
        terminal=code.terminal,
        zone=present.zone,
        broker=office.broker,
        address=str(office.address),
        card_key=office.card_key,
        authority=office.authority.pem,
        certificate=made.pem,
    )


def renew(books: Books, office: Office, request: RenewRequest, *, at: Instant) -> Renewal | Refusal:
    """Return a terminal's next certificate. Its present one stays good until it ends."""
    with books.transaction():
        try:
            own = office.authority.read(request.certificate)
            key_fingerprint(request.request)
        except CentralError as error:
            return _refuse(books, None, str(error), at)
        present = enrolments.find_certificate(books, own.serial)
        is_new = present is None
        if present is None:
            # Of a terminal that was enrolled after the backup which is now in use.
            terminal = own.name.removeprefix(Topics(town.find(books).name).identity(""))
            present = certificate_of(own, terminal, request.certificate)
        signature = bytes.fromhex(request.signature)
        if not is_signed(signature, request.request.encode("ascii"), present.pem):
            return _refuse(books, present.terminal, "not signed with the certificate's key", at)
        known = terminals.find(books, present.terminal)
        is_in_use = known is not None and known.site is not None
        is_void = is_in_use and office.kept.is_taken_back(own, present.terminal)
        if is_new and is_in_use:
            # So that the list for the broker has it, now or after a revocation.
            present = present._replace(revoked_at=at if is_void else None)
            enrolments.add_certificate(books, present)
        if present.revoked_at is not None or is_void or not is_in_use:
            return _refuse(books, present.terminal, "the certificate was taken back", at)
        month_ago = format_instant(parse_instant(at) - timedelta(days=RENEWALS_DAYS))
        if enrolments.count_certificates(books, present.terminal, since=month_ago) >= RENEWALS_MAX:
            words = f"{RENEWALS_MAX} certificates in {RENEWALS_DAYS} days; look at its clock"
            return _refuse(books, present.terminal, words, at)
        if present.until <= at:
            return _refuse(
                books, present.terminal, "the certificate has ended; make a new code", at
            )
        made = _issue(books, office, present.terminal, request.request, at)
    return Renewal(authority=office.authority.pem, certificate=made.pem)


def revoke(books: Books, kept: Kept, terminal: str, *, at: Instant) -> int:
    """Take back all certificates and codes of a terminal; return how many certificates."""
    with books.transaction():
        if terminals.find(books, terminal) is None:
            raise CentralError(f"there is no terminal {terminal}")
        enrolments.void_codes(books, terminal)
        kept.recall(books, at)
        count = enrolments.revoke_certificates(books, terminal, at=at)
    kept.take_back(books, terminal, at)
    return count


def _refusal(books: Books, code: CodeRow, key: str, at: Instant) -> str | None:
    """Return why a code is not good for a key, None if it is."""
    known = terminals.find(books, code.terminal)
    made = enrolments.find_certificate(books, code.serial) if code.serial else None
    if at > code.until:
        return f"the code ended at {code.until}; make a new one"
    if known is None or known.site is None:
        return "the terminal is retired"
    if code.key is not None and code.key != key:
        return (
            f"another box used the code at {code.used_at}; if that was not you, write:"
            f" canteen-central enrol revoke {code.terminal}"
        )
    if made is not None and made.revoked_at is not None:
        return "the certificate of this code was taken back; make a new code"
    return None


def _issue(books: Books, office: Office, terminal: str, request: str, at: Instant) -> Certificate:
    identity = Topics(town.find(books).name).identity(terminal)
    issued = office.authority.issue_terminal(request, identity, parse_instant(at))
    office.kept.keep(issued)
    until = format_instant(issued.until)
    made = Certificate(issued.serial, terminal, issued.pem, at, until)
    enrolments.add_certificate(books, made)
    return made


def _refuse(books: Books, terminal: str | None, reason: str, at: Instant) -> Refusal:
    incidents.add_or_count(books, Incident(at, REFUSED, reason, terminal))
    return Refusal(reason)


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
