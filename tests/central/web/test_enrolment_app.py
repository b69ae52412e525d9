"""The enrolment server over real HTTPS: what it answers to what is no box."""

import http.client
import json
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.central.web.rate import REQUESTS_MAX
from agent.sync.enrolment import CA_PATH, ENROL_PATH, MESSAGE_BYTES_MAX, RENEW_PATH
from tests.parts.enrolment import (
    EnrolmentSite,
    enrol_box,
    enrolment_server,
    enrolment_site,
    new_site,
)

DESCRIPTORS = 1_024
"""What systemd gives a process."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EnrolmentSite]:
    with enrolment_site(tmp_path) as site:
        yield site


@contextmanager
def slow_clients(port: int, count: int) -> Iterator[None]:
    """Hold connections, half of them with TLS, which send a byte now and then, until the end."""
    ended, opened = threading.Event(), threading.Event()
    context = ssl._create_unverified_context()

    def one(number: int) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port), 20)
        client.settimeout(5)
        if number % 10 == 0:
            with suppress(OSError):
                client = context.wrap_socket(client)
        if client.fileno() < 0:  # it lost its place during the handshake
            client = socket.create_connection(("127.0.0.1", port), 20)
        client.settimeout(0)
        return client

    def run() -> None:
        clients = [one(number) for number in range(count)]
        opened.set()
        number = 0
        while not ended.wait(0.001):
            number += 1
            client = clients[number % count]
            try:
                client.send(b"P")
            except OSError:  # it lost its place, and takes another
                client.close()
                clients[number % count] = one(number)
        for client in clients:
            client.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert opened.wait(60)
        yield
    finally:
        ended.set()
        thread.join()


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
        (b"x" * (MESSAGE_BYTES_MAX + 1), "more than"),
        (b'{"secret":"\xff', "cannot be read"),
        (b'{"certificate":"","request":"","signature":"abc"}', "cannot be read"),
    ],
)
def test_what_is_no_request_is_answered_with_a_sentence(
    server: EnrolmentSite, body: bytes, words: str
) -> None:
    for path in (ENROL_PATH, RENEW_PATH):
        status, text = request(server, "POST", path, body)
        assert status >= 400 and words in json.loads(text)["error"]


TRIES_MAX = 2 * REQUESTS_MAX


def test_who_tries_codes_waits_a_minute(server: EnrolmentSite) -> None:
    body = json.dumps({"secret": "00" * 16, "request": "x"}).encode()
    tries = 0
    while (answer := request(server, "POST", ENROL_PATH, body))[0] == 403 and tries < TRIES_MAX:
        tries += 1
    assert answer[0] == 429 and "wait a minute" in answer[1]
    assert REQUESTS_MAX <= tries <= TRIES_MAX  # more than one minute's only if a minute has ended
    assert request(server, "GET", CA_PATH)[0] == 200


def test_slow_clients_keep_no_box_from_enrolling(tmp_path: Path) -> None:
    """A thousand connections, which a script opens again and again, and one box."""
    site = new_site(tmp_path / "central")
    with enrolment_server(site) as server:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        with slow_clients(site.port, DESCRIPTORS + 100):
            printed = enrol_box(tmp_path / "box", site.new_code(), exit_code=1)
        assert "this box is terminal t-1" in printed
        assert "Too many open files" not in site.log.read_text()


def test_other_paths_are_not_there(server: EnrolmentSite) -> None:
    assert request(server, "GET", "/")[0] == 404
    assert request(server, "GET", ENROL_PATH)[0] == 405
