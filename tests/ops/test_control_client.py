"""The client of the control socket: one answer, or a sentence, within a bounded time and size."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.ops.control_client import ANSWER_BYTES_MAX, ANSWER_WAIT_S, READ_BYTES, ask, read_line

Serve = Callable[[Callable[[socket.socket], None]], Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answer one connection with a function; return the socket's path."""
    path = tmp_path / "control.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    threads: list[threading.Thread] = []

    def answer_once(answer: Callable[[socket.socket], None]) -> Path:
        def run() -> None:
            peer, _ = listener.accept()
            with peer:
                answer(peer)

        listener.bind(str(path))
        listener.listen()
        threads.append(threading.Thread(target=run))
        threads[0].start()
        return path

    yield answer_once
    for thread in threads:
        thread.join()
    listener.close()


def test_a_request_is_one_line_and_its_answer_another(serve: Serve) -> None:
    requests = []

    def answer(peer: socket.socket) -> None:
        requests.append(json.loads(peer.recv(READ_BYTES)))
        peer.sendall(b'{"seq":7}\n')

    assert ask(serve(answer), "storno", seq=7) == {"seq": 7}
    assert requests == [{"do": "storno", "arguments": {"seq": 7}}]


def test_an_answer_with_error_is_raised_as_its_sentence(serve: Serve) -> None:
    path = serve(lambda peer: peer.sendall(b'{"error":"there is no meal to undo"}\n'))
    with pytest.raises(AgentError, match=r"^there is no meal to undo$"):
        ask(path, "storno")


def test_without_an_agent_the_sentence_names_the_socket(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"control\.sock: no agent answers .* check that it runs"):
        ask(tmp_path / "control.sock", "status")


@pytest.mark.parametrize("answer", [b"", b"{", b"\xff\n"])
def test_a_torn_answer_is_a_sentence(serve: Serve, answer: bytes) -> None:
    path = serve(lambda peer: peer.sendall(answer))
    with pytest.raises(AgentError, match="no agent answers"):
        ask(path, "status")


def test_no_more_than_answer_bytes_max_is_read() -> None:
    with_room, other = socket.socketpair()
    with with_room, other:
        sender = threading.Thread(target=send_until_closed, args=(other,))
        sender.start()
        with_room.settimeout(ANSWER_WAIT_S)
        line = read_line(with_room, ANSWER_BYTES_MAX)
        with_room.close()
        sender.join()
    assert ANSWER_BYTES_MAX <= len(line) < ANSWER_BYTES_MAX + READ_BYTES


def send_until_closed(peer: socket.socket) -> None:
    try:
        while True:
            peer.sendall(b"x" * READ_BYTES)
    except OSError:
        return


def test_a_peer_that_sends_byte_by_byte_is_left_after_answer_wait_s() -> None:
    """The time-out is for the whole line: a slow client must not block the next one."""
    reader, peer = socket.socketpair()
    done = threading.Event()

    def send_slowly() -> None:
        while not done.wait(0.2):
            peer.sendall(b"x")

    with reader, peer:
        sender = threading.Thread(target=send_slowly)
        sender.start()
        reader.settimeout(ANSWER_WAIT_S)
        began = time.monotonic()
        line = read_line(reader, ANSWER_BYTES_MAX)
        waited_s = time.monotonic() - began
        done.set()
        sender.join()
    assert line and b"\n" not in line
    assert ANSWER_WAIT_S <= waited_s < 2 * ANSWER_WAIT_S


def test_a_line_ends_at_its_newline_without_waiting() -> None:
    reader, peer = socket.socketpair()
    with reader, peer:
        peer.sendall(b'{"seq":7}\n')
        assert read_line(reader, ANSWER_BYTES_MAX) == b'{"seq":7}\n'
