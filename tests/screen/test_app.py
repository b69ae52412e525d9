"""The page without a terminal; tests/system/test_screen.py has a browser and a terminal."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.screen.app import BODY_BYTES_MAX, PING_S, READING, RETRY_S, SECURITY, WRITING
from tests.parts.browser import screen_of


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with screen_of(tmp_path / "state", tmp_path) as url:
        yield url


def answer_to(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def asked(url: str, do: str, body: bytes, origin: str | None = None) -> tuple[int, str]:
    headers = {"Origin": origin or url}
    return answer_to(urllib.request.Request(f"{url}/ask/{do}", body, headers))


def test_a_request_without_a_terminal_is_answered_so(url: str) -> None:
    assert asked(url, "search", b'{"text":"x"}') == (503, '{"unavailable":true}')


def test_a_body_has_at_most_body_bytes_max(url: str) -> None:
    padding = b" " * (BODY_BYTES_MAX - 2)
    assert asked(url, "search", b"{}" + padding)[0] == 503
    assert asked(url, "search", b"{}" + padding + b" ")[0] == 400


@pytest.mark.parametrize(
    "body", [b"", b"[", b"7", b"null", b"[[1, 2]]", b'["ab"]', b"[" * 4_000, b"\xff", b'"do"']
)
def test_a_body_that_is_no_object_is_refused(url: str, body: bytes) -> None:
    assert asked(url, "search", body)[0] == 400


@pytest.mark.parametrize("name", ["do", "socket", "self", "v", "id"])
def test_any_name_of_an_argument_is_passed_on(url: str, name: str) -> None:
    assert asked(url, "search", f'{{"{name}": 1}}'.encode())[0] == 503


def test_a_body_without_end_is_refused_before_it_is_read(url: str) -> None:
    """A page of a gigabyte would otherwise be in the memory of the box."""
    host, port = url.removeprefix("http://").split(":")
    head = f"POST /ask/search HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {url}\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(f"{head}Content-Length: 1000000000\r\n\r\n".encode())
        peer.sendall(b" " * (BODY_BYTES_MAX + 1))
        assert peer.recv(12) == b"HTTP/1.1 400"


def test_another_origin_may_ask_nothing(url: str) -> None:
    for do in READING | WRITING:
        assert asked(url, do, b"{}", origin="http://127.0.0.1:1")[0] == 403
    assert asked(url, "watch", b"{}")[0] == 404


def test_the_languages_are_switched_by_the_address(url: str) -> None:
    _, italian = answer_to(urllib.request.Request(f"{url}/"))
    _, english = answer_to(urllib.request.Request(f"{url}/?lang=en"))
    assert '<html lang="it">' in italian and "Ultime tessere" in italian
    assert '<html lang="en">' in english and "Last taps" in english


@pytest.mark.parametrize("path", ["/", "/static/screen.js", "/nothing"])
def test_every_answer_is_secured(url: str, path: str) -> None:
    try:
        headers = urllib.request.urlopen(f"{url}{path}", timeout=10).headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    for name, value in SECURITY.items():
        assert headers[name] == value


def test_nothing_on_the_page_comes_from_outside(url: str) -> None:
    texts = [answer_to(urllib.request.Request(f"{url}{path}"))[1] for path in (
        "/", "/static/screen.js", "/static/screen.css"
    )]  # fmt: skip
    assert not any("http://" in text or "https://" in text for text in texts)
    assert "Storage" not in texts[1] and "cookie" not in texts[1]


def test_a_terminal_that_is_gone_is_on_the_stream_soon(url: str) -> None:
    assert RETRY_S <= 1 < PING_S
    with urllib.request.urlopen(f"{url}/events", timeout=10) as stream:
        assert stream.readline() == b"event: gone\n"
