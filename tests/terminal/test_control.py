"""The control socket: one line each way, whoever asks and however badly."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.ops.control_client import ask
from agent.terminal.control import ControlSocket, Request


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    def answer(request: Request) -> bool:
        if request.do == "busy":
            return False
        threading.Thread(target=lambda: request.answer(did=request.do, **request.arguments)).start()
        return True

    control = ControlSocket(tmp_path / "control.sock", answer)
    control.start()
    yield tmp_path / "control.sock"
    control.close()


def test_an_answer_comes_back(path: Path) -> None:
    assert ask(path, "storno", seq=7) == {"did": "storno", "seq": 7}


def test_a_busy_agent_says_so(path: Path) -> None:
    with pytest.raises(AgentError, match="queue is full"):
        ask(path, "busy")


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\n", b"x" * 9_000])
def test_nonsense_is_answered_and_the_next_one_served(path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        peer.sendall(line)
        assert b"a request is one line of JSON" in peer.recv(1_000)
    assert ask(path, "status") == {"did": "status"}


def test_a_peer_that_hangs_up_harms_nobody(path: Path) -> None:
    for _ in range(3):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(str(path))
    assert ask(path, "status") == {"did": "status"}


def test_where_no_agent_runs_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="no agent answers"):
        ask(tmp_path / "control.sock", "status")
