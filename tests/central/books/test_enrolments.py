"""Codes and certificates in the books."""

from agent.central.books import enrolments, terminals
from agent.central.books.enrolments import Certificate, CodeRow
from agent.central.books.file import FileBooks
from tests.central.conftest import AT

LATER, EARLIER = "2030-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"


def certificate(serial: str, *, until: str = LATER, terminal: str = "t-1") -> Certificate:
    return Certificate(serial, terminal, "pem", AT, until)


def test_a_terminal_without_certificate_or_code_is_listed(books: FileBooks) -> None:
    terminals.add(books, "t-1", "primaria")
    assert enrolments.standing(books) == [("t-1", None, None, None, None)]


def test_the_newest_certificate_and_the_code_that_waits_are_listed(books: FileBooks) -> None:
    terminals.add(books, "t-1", "primaria")
    enrolments.add_certificate(books, certificate("a", until="2029-01-01T00:00:00.000Z"))
    enrolments.add_certificate(books, certificate("b"))
    enrolments.add_code(books, CodeRow("hash", "t-1", AT, LATER))
    assert enrolments.standing(books) == [("t-1", "b", LATER, None, LATER)]
    enrolments.use_code(books, "hash", "key", "b", at=AT)
    assert enrolments.standing(books) == [("t-1", "b", LATER, None, None)]
    used = enrolments.find_code(books, "hash")
    assert used is not None and (used.key, used.serial, used.used_at) == ("key", "b", AT)


def test_what_ended_by_itself_is_not_revoked(books: FileBooks) -> None:
    """The list at the broker stays short."""
    for made in (certificate("a"), certificate("b", until=EARLIER)):
        enrolments.add_certificate(books, made)
    enrolments.add_certificate(books, certificate("c", terminal="t-2"))
    assert enrolments.revoke_certificates(books, "t-1", at=AT) == 1
    assert enrolments.revoked(books, at=AT) == ["a"]
    assert enrolments.revoked(books, at=LATER) == []
