"""What is taken back after a restore of the books, though they do not name it."""

import secrets
from datetime import timedelta
from pathlib import Path

import pytest

from agent.central.books import enrolments, town
from agent.central.books.file import FileBooks
from agent.central.books.town import Town
from agent.central.enrolment.enrolling import Office, enrol, new_code, renew, revoke
from agent.central.office.terminals import add_terminal
from agent.domain.clock import Instant, format_instant, parse_instant
from agent.errors import CentralError
from agent.ops.keypair import certificate_request, new_key, sign
from agent.sync.enrolment import (
    SECRET_BYTES,
    Enrolment,
    EnrolRequest,
    Refusal,
    Renewal,
    RenewRequest,
)
from tests.central.conftest import AT
from tests.parts.wire import TOWN


def later(**time: float) -> Instant:
    return format_instant(parse_instant(AT) + timedelta(**time))


def enrolled(books: FileBooks, office: Office, key: str, terminal: str = "t-1") -> str:
    """Enrol a box and return its certificate."""
    secret = secrets.token_bytes(SECRET_BYTES)
    new_code(books, office, terminal, secret, at=AT)
    request = EnrolRequest(secret.hex(), certificate_request(key))
    answer = enrol(books, office, request, at=AT)
    assert isinstance(answer, Enrolment)
    return answer.certificate


def renewed(
    books: FileBooks, office: Office, key: str, certificate: str, at: Instant
) -> Renewal | Refusal:
    request = certificate_request(new_key())
    message = RenewRequest(certificate, request, sign(key, request.encode()).hex())
    return renew(books, office, message, at=at)


def backup(folder: Path) -> FileBooks:
    """Return the books as they were before any box enrolled."""
    books = FileBooks(folder / "backup.db", create=True)
    town.initialise(books, Town(TOWN, "Europe/Rome"), "0" * 32, at=AT)
    add_terminal(books, "t-1", "primaria")
    return books


def serial(office: Office, certificate: str) -> str:
    return office.authority.read(certificate).serial


def test_a_new_enrolment_takes_the_old_certificate_back_at_once(
    books: FileBooks, office: Office
) -> None:
    """Not only when the broker's files are written the next time."""
    old = enrolled(books, office, new_key())
    enrolled(books, office, new_key())
    assert office.kept.revoked() == [serial(office, old)]


def test_a_revocation_reaches_what_was_made_after_the_backup(
    books: FileBooks, office: Office, tmp_path: Path
) -> None:
    key = new_key()
    first = enrolled(books, office, key)
    second = renewed(books, office, key, first, AT)
    assert isinstance(second, Renewal)
    restored = backup(tmp_path)
    assert revoke(restored, office.kept, "t-1", at=later(days=1)) == 2
    made = sorted(serial(office, pem) for pem in (first, second.certificate))
    assert sorted(office.kept.revoked()) == sorted(enrolments.revoked(restored, at=AT)) == made
    restored.close()


def test_a_new_enrolment_reaches_what_was_made_after_the_backup(
    books: FileBooks, office: Office, tmp_path: Path
) -> None:
    old = enrolled(books, office, new_key())
    restored = backup(tmp_path)
    enrolled(restored, office, new_key())
    assert office.kept.revoked() == [serial(office, old)]
    restored.close()


def test_a_certificate_that_no_file_names_is_void_if_it_is_older_than_the_revocation(
    books: FileBooks, office: Office, tmp_path: Path
) -> None:
    """The whole machine was restored. The list has it from its next renewal on."""
    key = new_key()
    certificate = enrolled(books, office, key)
    for path in (office.kept.folder / "made").iterdir():
        path.unlink()
    restored = backup(tmp_path)
    assert revoke(restored, office.kept, "t-1", at=later(days=1)) == 0
    answer = renewed(restored, office, key, certificate, later(days=300))
    assert isinstance(answer, Refusal) and "taken back" in answer.error
    office.kept.list_revoked(restored, later(days=300))
    assert office.kept.revoked() == [serial(office, certificate)]
    restored.close()


def test_a_certificate_that_no_file_names_is_revoked_once_it_was_renewed(
    books: FileBooks, office: Office, tmp_path: Path
) -> None:
    key = new_key()
    certificate = enrolled(books, office, key)
    for path in (office.kept.folder / "made").iterdir():
        path.unlink()
    (office.kept.folder / "taken-back" / "t-1").unlink()
    restored = backup(tmp_path)
    assert isinstance(renewed(restored, office, key, certificate, later(days=300)), Renewal)
    assert revoke(restored, office.kept, "t-1", at=later(days=301)) == 2
    assert serial(office, certificate) in office.kept.revoked()
    restored.close()


def test_who_is_enrolled_again_after_a_revocation_renews(books: FileBooks, office: Office) -> None:
    """Also if the clock was a year ahead when the old box was revoked."""
    enrolled(books, office, new_key())
    revoke(books, office.kept, "t-1", at=later(days=400))
    key = new_key()
    certificate = enrolled(books, office, key)
    answer = renewed(books, office, key, certificate, later(days=300))
    assert isinstance(answer, Renewal)


def test_another_terminals_certificates_stay_good(
    books: FileBooks, office: Office, tmp_path: Path
) -> None:
    add_terminal(books, "t-2", "primaria")
    enrolled(books, office, new_key())
    other = enrolled(books, office, new_key(), "t-2")
    restored = backup(tmp_path)
    assert revoke(restored, office.kept, "t-1", at=later(days=1)) == 1
    assert serial(office, other) not in office.kept.revoked()
    restored.close()


def test_files_of_certificates_that_have_ended_are_deleted(
    books: FileBooks, office: Office
) -> None:
    enrolled(books, office, new_key())
    office.kept.recall(books, later(days=366))
    assert list((office.kept.folder / "made").iterdir()) == []


def test_a_strange_file_is_no_certificate(books: FileBooks, office: Office) -> None:
    enrolled(books, office, new_key())
    strange = office.kept.folder / "made" / "abc.pem"
    strange.write_bytes(b"\xff")
    assert revoke(books, office.kept, "t-1", at=AT) == 1


@pytest.mark.parametrize("name", ["made", "taken-back"])
def test_a_folder_that_cannot_be_written_is_named(
    books: FileBooks, office: Office, name: str
) -> None:
    """And the same code is good once it can."""
    (office.kept.folder / name).write_text("a file")
    with pytest.raises(CentralError, match=f"{name}: cannot be used"):
        enrolled(books, office, new_key())
    (office.kept.folder / name).unlink()
    enrolled(books, office, new_key())


def test_a_time_that_cannot_be_read_is_named(books: FileBooks, office: Office) -> None:
    key = new_key()
    certificate = enrolled(books, office, key)
    (office.kept.folder / "taken-back" / "t-1").write_text("yesterday")
    with pytest.raises(CentralError, match="t-1: cannot be used"):
        renewed(books, office, key, certificate, later(days=300))
