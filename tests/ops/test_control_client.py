"""The client of the control socket, at a socket that answers well, badly or not at all."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.ops.control_client import (
    ANSWER_BYTES_MAX,
    ANSWER_WAIT_S,
    READ_BYTES,
    VERSION,
    ask,
    read_line,
)


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """Run a server that sends one answer; yield the requests that it received."""
    requests: list[bytes] = []

    def serve() -> None:
        peer, _ = server.accept()
        with peer, contextlib.suppress(OSError):  # a client that has read enough is gone
            requests.append(read_line(peer, ANSWER_BYTES_MAX))
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def test_a_request_and_its_answer_are_one_line_each(path: Path) -> None:
    with answering(path, b'{"seq": 8}\n') as requests:
        assert ask(path, "storno", seq=7) == {"seq": 8}
    sent = {"v": VERSION, "id": "1", "do": "storno", "arguments": {"seq": 7}}
    assert json.loads(requests[0]) == sent


def test_a_refusal_is_an_error_with_its_sentence(path: Path) -> None:
    with answering(path, b'{"error": "no meal to undo"}\n'), pytest.raises(AgentError) as raised:
        ask(path, "storno")
    assert str(raised.value) == "no meal to undo"


def test_without_an_agent_the_error_says_what_to_check(path: Path) -> None:
    with pytest.raises(AgentError, match=r"control\.sock: no agent answers .*check that it runs"):
        ask(path, "status")


@pytest.mark.parametrize("answer", [b"", b"no JSON\n", b"x" * (2 * ANSWER_BYTES_MAX)])
def test_another_program_at_the_socket_is_no_agent(path: Path, answer: bytes) -> None:
    with answering(path, answer), pytest.raises(AgentError, match="no agent answers"):
        ask(path, "status")


def test_a_line_is_cut_at_its_limit() -> None:
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.sendall(b"x" * 3 * READ_BYTES)
        assert len(read_line(receiver, READ_BYTES + 1)) <= 2 * READ_BYTES


def test_a_peer_that_sends_byte_by_byte_does_not_hold_the_reader() -> None:
    receiver, sender = socket.socketpair()

    def drip() -> None:
        with contextlib.suppress(OSError):
            for _ in range(ANSWER_BYTES_MAX):
                sender.send(b"x")

    thread = threading.Thread(target=drip)
    with sender:
        with receiver:
            thread.start()
            received = read_line(receiver, ANSWER_BYTES_MAX, wait_s=0.05)
        thread.join()
    assert 0 < len(received) < ANSWER_BYTES_MAX


def test_an_answer_of_more_than_answer_bytes_max_is_not_read_to_its_end(path: Path) -> None:
    """The answer would be correct JSON: only its length is refused."""
    answer = b'{"x": "' + b"x" * 2 * ANSWER_BYTES_MAX + b'"}\n'
    with answering(path, answer), pytest.raises(AgentError, match="no agent answers"):
        ask(path, "status")


def test_a_silent_agent_is_left_soon_after_answer_wait_s(path: Path) -> None:
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen(1)
        with pytest.raises(AgentError, match="timed out"):
            ask(path, "status")
    assert ANSWER_WAIT_S <= time.monotonic() - began < 2 * ANSWER_WAIT_S
