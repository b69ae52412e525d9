"""Who gets a certificate, and who does not."""

from datetime import timedelta

import pytest

from agent.central.books import enrolments
from agent.central.books.file import FileBooks
from agent.central.enrolment.authority import store_revocations
from agent.central.enrolment.enrolling import (
    CODE_HOURS,
    REFUSED,
    RENEWALS_DAYS,
    RENEWALS_MAX,
    Office,
    enrol,
    new_code,
    renew,
    revoke,
)
from agent.central.office.terminals import add_terminal, retire_terminal
from agent.domain.clock import Instant, format_instant, parse_instant
from agent.errors import CentralError
from agent.ops.keypair import certificate_request, new_key, sign
from agent.sync.enrolment import (
    FINGERPRINT_BYTES,
    Enrolment,
    EnrolRequest,
    Refusal,
    Renewal,
    RenewRequest,
)
from tests.central.conftest import AT
from tests.parts.wire import TOWN

SECRET = bytes(range(16))


def later(**time: float) -> Instant:
    return format_instant(parse_instant(AT) + timedelta(**time))


def code(books: FileBooks, office: Office, secret: bytes = SECRET, *, at: Instant = AT) -> None:
    new_code(books, office, "t-1", secret, at=at)


def asked(key: str, secret: bytes = SECRET) -> EnrolRequest:
    return EnrolRequest(secret.hex(), certificate_request(key))


def enrolled(books: FileBooks, office: Office, key: str) -> Enrolment:
    answer = enrol(books, office, asked(key), at=AT)
    assert isinstance(answer, Enrolment), answer
    return answer


def refusal(books: FileBooks, answer: object) -> str:
    """Return the words of a refusal, which must be an incident, too."""
    assert isinstance(answer, Refusal), answer
    rows = books.rows("SELECT detail FROM incident WHERE kind = ?", (REFUSED,))
    assert any(answer.error in detail for (detail,) in rows)
    return answer.error


def renewal(key: str, certificate: str, *, signer: str | None = None) -> RenewRequest:
    request = certificate_request(new_key())
    return RenewRequest(certificate, request, sign(signer or key, request.encode()).hex())


# Codes


def test_a_code_gives_a_box_all_that_it_needs(books: FileBooks, office: Office) -> None:
    made = new_code(books, office, "t-1", SECRET, at=AT)
    assert made.fingerprint == office.authority.fingerprint[:FINGERPRINT_BYTES]
    answer = enrolled(books, office, new_key())
    assert (answer.town, answer.terminal, answer.zone) == (TOWN, "t-1", "Europe/Rome")
    assert (answer.broker, answer.address) == (office.broker, "central.example.org:8884")
    assert (answer.card_key, answer.authority) == (office.card_key, office.authority.pem)
    (row,) = enrolments.standing(books)
    assert row.serial == office.authority.read(answer.certificate).serial
    assert (row.revoked_at, row.code_until) == (None, None)


def test_the_secret_itself_is_not_in_the_books(books: FileBooks, office: Office) -> None:
    """A backup of the books gives nobody a terminal."""
    code(books, office)
    dump = "\n".join(books.sql.iterdump())
    assert SECRET.hex() not in dump and "t-1" in dump


def test_a_box_whose_answer_was_lost_gets_the_same_again(books: FileBooks, office: Office) -> None:
    code(books, office)
    key = new_key()
    answers = [enrolled(books, office, key) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert books.rows("SELECT count(*) FROM certificate") == [(1,)]
    assert books.rows("SELECT count(*) FROM incident") == [(0,)]


def test_a_second_box_is_refused_and_shown_what_to_do(books: FileBooks, office: Office) -> None:
    code(books, office)
    enrolled(books, office, new_key())
    words = refusal(books, enrol(books, office, asked(new_key()), at=AT))
    assert "another box used the code" in words and "enrol revoke t-1" in words


@pytest.mark.parametrize(("hours", "is_good"), [(CODE_HOURS, True), (CODE_HOURS + 0.001, False)])
def test_a_code_is_good_for_a_day(
    books: FileBooks, office: Office, hours: float, is_good: bool
) -> None:
    code(books, office)
    answer = enrol(books, office, asked(new_key()), at=later(hours=hours))
    if is_good:
        assert isinstance(answer, Enrolment)
    else:
        assert "the code ended" in refusal(books, answer)


def test_a_wrong_secret_is_refused(books: FileBooks, office: Office) -> None:
    code(books, office)
    answer = enrol(books, office, asked(new_key(), bytes(16)), at=AT)
    assert "no such code" in refusal(books, answer)


def test_a_new_code_makes_the_earlier_one_void(books: FileBooks, office: Office) -> None:
    code(books, office)
    code(books, office, bytes(16))
    assert "no such code" in refusal(books, enrol(books, office, asked(new_key()), at=AT))
    assert isinstance(enrol(books, office, asked(new_key(), bytes(16)), at=AT), Enrolment)


def test_what_is_no_request_leaves_the_code_good(books: FileBooks, office: Office) -> None:
    code(books, office)
    answer = enrol(books, office, EnrolRequest(SECRET.hex(), "x"), at=AT)
    assert "no certificate request" in refusal(books, answer)
    enrolled(books, office, new_key())


def test_a_retired_or_unknown_terminal_gets_no_code_and_no_certificate(
    books: FileBooks, office: Office
) -> None:
    code(books, office)
    retire_terminal(books, "t-1")
    assert "retired" in refusal(books, enrol(books, office, asked(new_key()), at=AT))
    for terminal in ("t-1", "t-2"):
        with pytest.raises(CentralError, match="--site"):
            new_code(books, office, terminal, SECRET, at=AT)


def test_many_refusals_are_one_incident_with_a_count(books: FileBooks, office: Office) -> None:
    """Somebody who tries codes fills no disk."""
    for number in range(20):
        enrol(books, office, asked(new_key(), bytes([number] * 16)), at=AT)
    rows = books.rows("SELECT detail FROM incident WHERE kind = ?", (REFUSED,))
    assert len(rows) == 1 and "(20 times, last" in rows[0][0]


# A new box in the place of an old one


def test_a_new_box_takes_the_certificate_of_the_old_one_back(
    books: FileBooks, office: Office
) -> None:
    code(books, office)
    old = enrolled(books, office, new_key())
    code(books, office, bytes(16))
    new = enrol(books, office, asked(new_key(), bytes(16)), at=AT)
    assert isinstance(new, Enrolment)
    serials = [office.authority.read(answer.certificate).serial for answer in (old, new)]
    assert enrolments.revoked(books, at=AT) == [serials[0]]


def test_a_revoked_terminal_cannot_renew_and_its_code_is_void(
    books: FileBooks, office: Office
) -> None:
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    code(books, office, bytes(16))
    assert revoke(books, office.kept, "t-1", at=AT) == 1
    assert "taken back" in refusal(books, renew(books, office, renewal(key, certificate), at=AT))
    assert "taken back" in refusal(books, enrol(books, office, asked(key), at=AT))
    answer = enrol(books, office, asked(new_key(), bytes(16)), at=AT)
    assert "no such code" in refusal(books, answer)
    assert revoke(books, office.kept, "t-1", at=AT) == 0
    with pytest.raises(CentralError, match="no terminal t-9"):
        revoke(books, office.kept, "t-9", at=AT)


# Renewal


def test_a_terminal_renews_and_its_earlier_certificate_stays_good(
    books: FileBooks, office: Office
) -> None:
    """The answer may be lost."""
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    for _ in range(2):
        answer = renew(books, office, renewal(key, certificate), at=later(days=300))
        assert isinstance(answer, Renewal)
        assert office.authority.read(answer.certificate).serial not in certificate
    assert enrolments.revoked(books, at=AT) == []
    assert books.rows("SELECT count(*) FROM certificate") == [(3,)]


def test_who_lacks_the_key_of_a_certificate_cannot_renew_it(
    books: FileBooks, office: Office
) -> None:
    """A certificate is no secret: the broker and every listener see it."""
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    stolen = renewal(key, certificate, signer=new_key())
    assert "not signed" in refusal(books, renew(books, office, stolen, at=AT))


def test_a_terminal_that_the_restored_books_do_not_know_renews(
    books: FileBooks, office: Office
) -> None:
    """It was enrolled after the backup."""
    key, at = new_key(), parse_instant(AT)
    made = office.authority.issue_terminal(certificate_request(key), f"{TOWN}/t/t-1", at)
    assert isinstance(renew(books, office, renewal(key, made.pem), at=AT), Renewal)


def test_what_was_revoked_after_the_backup_does_not_renew(books: FileBooks, office: Office) -> None:
    key, at = new_key(), parse_instant(AT)
    made = office.authority.issue_terminal(certificate_request(key), f"{TOWN}/t/t-1", at)
    store_revocations(office.kept.folder, office.authority, [made.serial], at)
    assert "taken back" in refusal(books, renew(books, office, renewal(key, made.pem), at=AT))


@pytest.mark.parametrize("name", [f"{TOWN}/central", f"{TOWN}/t/t-9", "other/t/t-1"])
def test_a_certificate_that_is_no_terminals_is_not_renewed(
    books: FileBooks, office: Office, name: str
) -> None:
    key, at = new_key(), parse_instant(AT)
    made = office.authority.issue_terminal(certificate_request(key), name, at)
    assert "taken back" in refusal(books, renew(books, office, renewal(key, made.pem), at=AT))
    assert "no certificate" in refusal(books, renew(books, office, renewal(key, "x"), at=AT))


def test_a_certificate_that_has_ended_is_not_renewed(books: FileBooks, office: Office) -> None:
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    answer = renew(books, office, renewal(key, certificate), at=later(days=366))
    assert "has ended" in refusal(books, answer)


def test_a_terminal_that_renews_again_and_again_is_refused(
    books: FileBooks, office: Office
) -> None:
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    answers = [
        renew(books, office, renewal(key, certificate), at=later(hours=hour))
        for hour in range(RENEWALS_MAX)
    ]
    assert all(isinstance(answer, Renewal) for answer in answers[:-1])
    assert "look at its clock" in refusal(books, answers[-1])
    after = later(days=RENEWALS_DAYS + 1)
    assert isinstance(renew(books, office, renewal(key, certificate), at=after), Renewal)


def test_a_retired_terminal_is_not_renewed_and_an_added_one_is(
    books: FileBooks, office: Office
) -> None:
    code(books, office)
    key = new_key()
    certificate = enrolled(books, office, key).certificate
    retire_terminal(books, "t-1")
    assert "taken back" in refusal(books, renew(books, office, renewal(key, certificate), at=AT))
    add_terminal(books, "t-1", "primaria")
    assert isinstance(renew(books, office, renewal(key, certificate), at=AT), Renewal)
