"""The enrolment server over real HTTPS: what it answers to what is no box."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.central.web.rate import REQUESTS_MAX
from agent.sync.enrolment import CA_PATH, ENROL_PATH, MESSAGE_BYTES_MAX, RENEW_PATH
from tests.parts.enrolment import EnrolmentSite, enrolment_site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EnrolmentSite]:
    with enrolment_site(tmp_path) as site:
        yield site


def request(site: EnrolmentSite, method: str, path: str, body: bytes = b"") -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(site.authority / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=20, context=context)
    try:
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_it_shows_the_authoritys_certificate_and_no_key(server: EnrolmentSite) -> None:
    status, text = request(server, "GET", CA_PATH)
    assert (status, text) == (200, (server.authority / "ca.crt").read_text())
    assert "PRIVATE" not in text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"secret":"00","request":"x"}', "cannot be read"),
        (b"\xff" * 100, "cannot be read"),
        (b"x" * (MESSAGE_BYTES_MAX + 1), "try again later"),
    ],
)
def test_what_is_no_request_is_answered_with_a_sentence(
    server: EnrolmentSite, body: bytes, words: str
) -> None:
    for path in (ENROL_PATH, RENEW_PATH):
        status, text = request(server, "POST", path, body)
        assert status >= 400 and words in json.loads(text)["error"]


def test_who_tries_codes_waits_a_minute(server: EnrolmentSite) -> None:
    body = json.dumps({"secret": "00" * 16, "request": "x"}).encode()
    answers = [request(server, "POST", ENROL_PATH, body) for _ in range(REQUESTS_MAX + 1)]
    assert [status for status, _ in answers] == [403] * REQUESTS_MAX + [429]
    assert "wait a minute" in answers[-1][1]
    assert request(server, "GET", CA_PATH)[0] == 200


def test_other_paths_are_not_there(server: EnrolmentSite) -> None:
    assert request(server, "GET", "/")[0] == 404
    assert request(server, "GET", ENROL_PATH)[0] == 405
