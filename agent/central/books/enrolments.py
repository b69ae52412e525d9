"""One-time codes of new boxes, and the certificates that terminals received."""

from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.domain.clock import Instant

_CERTIFICATE = tables.certificate.c
_CODE = tables.enrolment.c
_TERMINAL = tables.terminal.c
_ADD_CODE = Query(insert(tables.enrolment))
_VOID_CODES = Query(
    delete(tables.enrolment).where(_CODE.terminal == value("terminal"), _CODE.used_at.is_(None))
)
_FIND_CODE = Query(select(tables.enrolment).where(_CODE.secret == value("secret")))
_USE_CODE = Query(
    update(tables.enrolment)
    .values(used_at=value("used_at"), key=value("key"), serial=value("serial"))
    .where(_CODE.secret == value("of_secret"))
)
_ADD_CERTIFICATE = Query(insert(tables.certificate))
_COUNT_CERTIFICATES = Query(
    select(func.count())
    .select_from(tables.certificate)
    .where(_CERTIFICATE.terminal == value("terminal"), _CERTIFICATE.at >= value("since"))
)
_FIND_CERTIFICATE = Query(select(tables.certificate).where(_CERTIFICATE.serial == value("serial")))
_REVOKE = Query(
    update(tables.certificate)
    .values(revoked_at=value("now"))
    .where(
        _CERTIFICATE.terminal == value("of_terminal"),
        _CERTIFICATE.revoked_at.is_(None),
        _CERTIFICATE.until > value("now"),
    )
)
_REVOKED = Query(
    select(_CERTIFICATE.serial)
    .where(_CERTIFICATE.revoked_at.is_not(None), _CERTIFICATE.until > value("now"))
    .order_by(_CERTIFICATE.serial)
)
_NEWEST = tables.certificate.alias("newest")
_NEWEST_SERIAL = (
    select(_CERTIFICATE.serial)
    .where(_CERTIFICATE.terminal == _TERMINAL.id)
    .order_by(_CERTIFICATE.at.desc(), _CERTIFICATE.until.desc(), _CERTIFICATE.serial.desc())
    .limit(1)
    .correlate(tables.terminal)
    .scalar_subquery()
)
_STANDING = Query(
    select(_TERMINAL.id, _NEWEST.c.serial, _NEWEST.c.until, _NEWEST.c.revoked_at, _CODE.until)
    .outerjoin_from(tables.terminal, _NEWEST, _NEWEST.c.serial == _NEWEST_SERIAL)
    .outerjoin(tables.enrolment, (_CODE.terminal == _TERMINAL.id) & _CODE.used_at.is_(None))
    .order_by(_TERMINAL.id)
)


class Certificate(NamedTuple):
    """A terminal's certificate. `serial` is its number in hex digits."""

    serial: str
    terminal: str
    pem: str
    at: Instant
    until: Instant
    revoked_at: Instant | None = None


class CodeRow(NamedTuple):
    """A code. `secret` is the SHA-256 of its secret, `key` that of the key of who used it."""

    secret: str
    terminal: str
    at: Instant
    until: Instant
    used_at: Instant | None = None
    key: str | None = None
    serial: str | None = None


class Enrolled(NamedTuple):
    """How a terminal stands: its newest certificate, and until when a code waits for it."""

    terminal: str
    serial: str | None
    certificate_until: Instant | None
    revoked_at: Instant | None
    code_until: Instant | None


def add_code(books: Books, code: CodeRow) -> None:
    """Add a code. A terminal's earlier code that nobody used is void from now on."""
    void_codes(books, code.terminal)
    books.run(_ADD_CODE, **code._asdict())


def void_codes(books: Books, terminal: str) -> None:
    """Delete the codes of a terminal that nobody used."""
    books.run(_VOID_CODES, terminal=terminal)


def find_code(books: Books, secret: str) -> CodeRow | None:
    """Return a code by the SHA-256 of its secret, None if there is none."""
    row = books.first(_FIND_CODE, secret=secret)
    return CodeRow(*row) if row else None


def use_code(books: Books, secret: str, key: str, serial: str, *, at: Instant) -> None:
    """Note who used a code, and for which certificate."""
    books.run(_USE_CODE, of_secret=secret, used_at=at, key=key, serial=serial)


def add_certificate(books: Books, certificate: Certificate) -> None:
    """Add a certificate."""
    books.run(_ADD_CERTIFICATE, **certificate._asdict())


def count_certificates(books: Books, terminal: str, *, since: Instant) -> int:
    """Return how many certificates a terminal received since a time."""
    return int(books.only(_COUNT_CERTIFICATES, terminal=terminal, since=since)[0])


def find_certificate(books: Books, serial: str) -> Certificate | None:
    """Return a certificate by its number, None if it was never made here."""
    row = books.first(_FIND_CERTIFICATE, serial=serial)
    return Certificate(*row) if row else None


def revoke_certificates(books: Books, terminal: str, *, at: Instant) -> int:
    """Take back all certificates of a terminal; return how many were still good."""
    return books.run(_REVOKE, of_terminal=terminal, now=at)


def revoked(books: Books, *, at: Instant) -> list[str]:
    """Return the numbers of the certificates that were taken back and have not ended."""
    return [row[0] for row in books.all(_REVOKED, now=at)]


def standing(books: Books) -> list[Enrolled]:
    """Return how each terminal stands, by terminal."""
    return [Enrolled(*row) for row in books.all(_STANDING)]
