"""One-time codes of new boxes, and the certificates that terminals received."""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant


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
    books.sql.execute("INSERT INTO enrolment VALUES (?, ?, ?, ?, ?, ?, ?)", code)


def void_codes(books: Books, terminal: str) -> None:
    """Delete the codes of a terminal that nobody used."""
    books.sql.execute("DELETE FROM enrolment WHERE terminal = ? AND used_at IS NULL", (terminal,))


def find_code(books: Books, secret: str) -> CodeRow | None:
    """Return a code by the SHA-256 of its secret, None if there is none."""
    row = books.row("SELECT * FROM enrolment WHERE secret = ?", (secret,))
    return CodeRow(*row) if row else None


def use_code(books: Books, secret: str, key: str, serial: str, *, at: Instant) -> None:
    """Note who used a code, and for which certificate."""
    books.sql.execute(
        "UPDATE enrolment SET used_at = ?, key = ?, serial = ? WHERE secret = ?",
        (at, key, serial, secret),
    )


def add_certificate(books: Books, certificate: Certificate) -> None:
    """Add a certificate."""
    books.sql.execute("INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?)", certificate)


def find_certificate(books: Books, serial: str) -> Certificate | None:
    """Return a certificate by its number, None if it was never made here."""
    row = books.row("SELECT * FROM certificate WHERE serial = ?", (serial,))
    return Certificate(*row) if row else None


def revoke_certificates(books: Books, terminal: str, *, at: Instant) -> int:
    """Take back all certificates of a terminal; return how many were still good."""
    cursor = books.sql.execute(
        "UPDATE certificate SET revoked_at = ? WHERE terminal = ? AND revoked_at IS NULL"
        " AND until > ?",
        (at, terminal, at),
    )
    return cursor.rowcount


def revoked(books: Books, *, at: Instant) -> list[str]:
    """Return the numbers of the certificates that were taken back and have not ended."""
    rows = books.rows(
        "SELECT serial FROM certificate WHERE revoked_at IS NOT NULL AND until > ? ORDER BY serial",
        (at,),
    )
    return [row[0] for row in rows]


def standing(books: Books) -> list[Enrolled]:
    """Return how each terminal stands, by terminal."""
    rows = books.rows(
        "SELECT t.id, c.serial, c.until, c.revoked_at, e.until FROM terminal t"
        " LEFT JOIN certificate c ON c.serial = (SELECT serial FROM certificate"
        "  WHERE terminal = t.id ORDER BY at DESC, until DESC LIMIT 1)"
        " LEFT JOIN enrolment e ON e.terminal = t.id AND e.used_at IS NULL ORDER BY t.id"
    )
    return [Enrolled(*row) for row in rows]
