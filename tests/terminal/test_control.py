"""The control socket: one line each way, within its limits, whatever a client sends."""

import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.ops.control_client import ANSWER_WAIT_S, ask
from agent.terminal.control import REQUEST_BYTES_MAX, SOCKET_MODE, ControlSocket, Request

Listen = Callable[[Callable[[Request], bool]], Path]


def echo(request: Request) -> bool:
    """Answer as the main loop does: from another thread. A full queue refuses."""
    if request.do == "full":
        return False
    threading.Thread(target=lambda: request.answer(did=request.do, **request.arguments)).start()
    return True


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Open the socket with a queue; return its path."""
    sockets: list[ControlSocket] = []

    def start(enqueue: Callable[[Request], bool]) -> Path:
        control = ControlSocket(tmp_path / "control.sock", enqueue)
        sockets.append(control)
        control.start()
        return tmp_path / "control.sock"

    yield start
    for control in sockets:
        control.close()


@pytest.fixture
def path(listen: Listen) -> Path:
    return listen(echo)


def answer_to(path: Path, line: bytes) -> dict[str, object]:
    """Send raw bytes and return the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(3 * ANSWER_WAIT_S)
        peer.connect(str(path))
        peer.sendall(line)
        answer: dict[str, object] = json.loads(peer.makefile("rb").readline())
        return answer


def test_an_answer_comes_back(path: Path) -> None:
    assert ask(path, "storno", seq=7) == {"did": "storno", "seq": 7}


def test_a_full_queue_is_reported(path: Path) -> None:
    with pytest.raises(AgentError, match="queue is full; try again"):
        ask(path, "full")


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\n", b"[" * 4_000 + b"\n"])
def test_a_malformed_request_is_refused_and_the_next_one_answered(path: Path, line: bytes) -> None:
    assert "a request is one line of JSON" in str(answer_to(path, line)["error"])
    assert ask(path, "status") == {"did": "status"}


def padded(request_bytes: int) -> bytes:
    """Return a request of so many bytes, its newline included."""
    start, end = b'{"do":"status","arguments":{"x":"', b'"}}\n'
    return start + b"x" * (request_bytes - len(start) - len(end)) + end


def test_a_request_has_at_most_request_bytes_max(path: Path) -> None:
    assert answer_to(path, padded(REQUEST_BYTES_MAX))["did"] == "status"
    refused = answer_to(path, padded(3 * REQUEST_BYTES_MAX))
    assert "a request is one line of JSON" in str(refused["error"])
    assert ask(path, "status") == {"did": "status"}


def test_a_client_that_hangs_up_does_not_stop_the_next_one(path: Path) -> None:
    for _ in range(3):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(path))
    assert ask(path, "status") == {"did": "status"}


def test_a_client_that_sends_nothing_is_left_after_answer_wait_s(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(path))
        began = time.monotonic()
        assert answer_to(path, b'{"do":"status","arguments":{}}\n')["did"] == "status"
        assert time.monotonic() - began < 2 * ANSWER_WAIT_S


def test_a_request_without_an_answer_is_abandoned_after_answer_wait_s(listen: Listen) -> None:
    """The main loop must not do what its client got as not done."""
    requests: list[Request] = []

    def keep(request: Request) -> bool:
        requests.append(request)
        return True

    path = listen(keep)
    began = time.monotonic()
    answer = answer_to(path, b'{"do":"storno","arguments":{}}\n')
    assert answer == {"error": f"nothing was done: no answer within {ANSWER_WAIT_S:.0f} s"}
    assert time.monotonic() - began >= ANSWER_WAIT_S
    assert not requests[0].claim()


def test_only_the_agents_user_and_group_may_open_the_socket(path: Path) -> None:
    assert SOCKET_MODE == 0o660
    assert stat.S_IMODE(path.stat().st_mode) == SOCKET_MODE


def test_a_socket_that_a_killed_agent_left_is_replaced(listen: Listen, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "control.sock"))
    assert ask(listen(echo), "status") == {"did": "status"}


def test_without_its_folder_the_reason_is_logged_once_and_a_later_start_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "control.sock"
    control = ControlSocket(path, echo)
    for _ in range(3):
        control.start()
    assert caplog.text.count("Control socket unavailable") == 1
    path.parent.mkdir()
    for _ in range(2):
        control.start()
    assert ask(path, "status") == {"did": "status"}
    control.close()
