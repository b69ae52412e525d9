"""The control socket: one line each way, within its limits, whatever a client sends."""

import contextlib
import grp
import json
import os
import pwd
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from agent.errors import AgentError
from agent.ops.control_client import ANSWER_WAIT_S, VERSION, ask
from agent.terminal.control import (
    CONNECTIONS_MAX,
    IDLE_S,
    LOOKING,
    NEWS_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_EVERY_MS,
    REQUESTS_AT_ONCE_MAX,
    SOCKET_MODE,
    WATCHERS_MAX,
    ControlSocket,
    Request,
    Watchers,
    own_group,
)
from tests.parts.process import wait_for

Listen = Callable[[Callable[[Request], bool]], Path]


def echo(request: Request) -> bool:
    """Answer as the main loop does: from another thread. A full queue refuses."""
    did = msgspec.to_builtins(request.ask)
    if did.get("text") == "full":
        return False
    threading.Thread(target=lambda: request.answer(did=did.pop("do"), **did)).start()
    return True


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Open the socket with a queue; return its path."""
    sockets: list[ControlSocket] = []

    def start(enqueue: Callable[[Request], bool]) -> Path:
        control = ControlSocket(tmp_path / "control.sock", enqueue, Watchers())
        sockets.append(control)
        control.start()
        return tmp_path / "control.sock"

    yield start
    for control in sockets:
        control.close()


@pytest.fixture
def path(listen: Listen) -> Path:
    return listen(echo)


def line_of(do: str, version: int = VERSION, **arguments: object) -> bytes:
    message = {"v": version, "id": "7", "do": do, "arguments": arguments}
    return json.dumps(message).encode() + b"\n"


def answer_to(path: Path, line: bytes) -> dict[str, object]:
    """Send raw bytes and return the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(3 * ANSWER_WAIT_S)
        peer.connect(str(path))
        peer.sendall(line)
        answer: dict[str, object] = json.loads(peer.makefile("rb").readline())
        return answer


def test_an_answer_comes_back(path: Path) -> None:
    assert ask(path, "storno", seq=7) == {"did": "storno", "seq": 7, "epoch": None}


def test_a_full_queue_is_reported(path: Path) -> None:
    with pytest.raises(AgentError, match="queue is full; try again"):
        ask(path, "search", text="full")


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\n", b"[" * 4_000 + b"\n"])
def test_a_malformed_request_is_refused_and_the_next_one_answered(path: Path, line: bytes) -> None:
    assert "a request is one line of JSON" in str(answer_to(path, line)["error"])
    assert ask(path, "status") == {"did": "status"}


def padded(request_bytes: int) -> bytes:
    """Return a request of so many bytes, its newline included."""
    start, end = b'{"v":1,"id":"1","do":"search","arguments":{"text":"', b'"}}\n'
    return start + b"x" * (request_bytes - len(start) - len(end)) + end


def test_a_request_has_at_most_request_bytes_max(path: Path) -> None:
    assert answer_to(path, padded(REQUEST_BYTES_MAX))["did"] == "search"
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
        assert answer_to(path, line_of("status"))["did"] == "status"
        assert time.monotonic() - began < 2 * ANSWER_WAIT_S


def test_a_request_without_an_answer_is_abandoned_after_answer_wait_s(listen: Listen) -> None:
    """The main loop must not do what its client got as not done."""
    requests: list[Request] = []

    def keep(request: Request) -> bool:
        requests.append(request)
        return True

    path = listen(keep)
    began = time.monotonic()
    answer = answer_to(path, line_of("storno", seq=1))
    assert answer["error"] == f"nothing was done: no answer within {ANSWER_WAIT_S:.0f} s"
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
    control = ControlSocket(path, echo, Watchers())
    for _ in range(3):
        control.start()
    assert caplog.text.count("Control socket unavailable") == 1
    path.parent.mkdir()
    for _ in range(2):
        control.start()
    assert ask(path, "status") == {"did": "status"}
    control.close()


def test_one_connection_takes_many_requests_and_each_answer_has_its_id(path: Path) -> None:
    with connected(path) as (peer, lines):
        for number in range(5):
            peer.sendall(line_of("status").replace(b'"7"', f'"{number}"'.encode()))
            assert json.loads(lines.readline()) == {"id": str(number), "did": "status"}


@contextlib.contextmanager
def connected(path: Path) -> Iterator[tuple[socket.socket, BinaryIO]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(3 * ANSWER_WAIT_S)
        peer.connect(str(path))
        with peer.makefile("rb") as lines:
            yield peer, lines


def test_another_version_is_refused_with_a_sentence(path: Path) -> None:
    refused = answer_to(path, line_of("status", version=VERSION + 1))
    assert refused == {
        "id": "7",
        "error": f"this agent speaks version {VERSION} of the control interface",
    }


def test_a_program_that_loops_is_stopped(path: Path) -> None:
    with connected(path) as (peer, lines):
        peer.sendall(line_of("status") * (REQUESTS_AT_ONCE_MAX + 20))
        answers = [json.loads(line) for line in lines]
    assert answers[-1] == {"error": "too many requests; wait a second"}
    assert REQUESTS_AT_ONCE_MAX < len(answers) < REQUESTS_AT_ONCE_MAX + 20
    assert REQUEST_EVERY_MS * 20 <= 1_000 <= IDLE_S * 1_000


def test_so_many_programs_may_be_connected(path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            peer, lines = stack.enter_context(connected(path))
            peer.sendall(line_of("status"))
            lines.readline()
        _, lines = stack.enter_context(connected(path))
        refused = json.loads(lines.readline())
        assert refused == {"error": f"{CONNECTIONS_MAX} programs are connected; close one"}
    wait_for(lambda: "did" in answer_to(path, line_of("status")), "a free place")


def test_the_socket_for_looking_takes_nothing_that_changes_anything(tmp_path: Path) -> None:
    path = tmp_path / "watch.sock"
    control = ControlSocket(path, echo, Watchers(), allowed=LOOKING)
    control.start()
    for do in ("storno", "meal", "closing", "day", "credit", "class", "search"):
        refused = str(answer_to(path, line_of(do))["error"])
        assert refused == f"this socket is for looking; {do} needs control.sock"
    assert ask(path, "status") == {"did": "status"}
    control.close()


def test_a_socket_is_given_only_to_a_group_that_the_process_is_in() -> None:
    mine = grp.getgrgid(os.getegid()).gr_name
    assert own_group(mine) == mine
    others = [group.gr_name for group in grp.getgrall() if group.gr_gid not in os.getgroups()]
    assert own_group(others[-1]) is None
    assert own_group("no-such-group") is None


def test_a_group_that_does_not_exist_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = ControlSocket(tmp_path / "watch.sock", echo, Watchers(), group="no-such-group")
    control.start()
    assert "there is no group" in caplog.text and "no-such-group" in caplog.text
    control.close()


def snapshot(request: Request) -> bool:
    request.answer(kind="snapshot", number=1)
    return True


def test_a_watcher_gets_a_snapshot_and_then_every_later_line(tmp_path: Path) -> None:
    path, watchers = tmp_path / "control.sock", Watchers()
    control = ControlSocket(path, snapshot, watchers)
    control.start()
    assert not watchers
    with connected(path) as (peer, lines):
        peer.sendall(line_of("watch"))
        assert json.loads(lines.readline()) == {"id": "7", "kind": "snapshot", "number": 1}
        for number in range(1, 4):  # the first one is in the snapshot
            watchers.send(json.dumps({"number": number}).encode() + b"\n")
        assert [json.loads(lines.readline())["number"] for _ in range(2)] == [2, 3]
    wait_for(lambda: not watchers, "the end of the watcher")
    control.close()


def test_so_many_programs_may_watch_and_others_are_still_answered(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    control = ControlSocket(path, snapshot, Watchers())
    control.start()
    with contextlib.ExitStack() as stack:
        for _ in range(WATCHERS_MAX):
            peer, lines = stack.enter_context(connected(path))
            peer.sendall(line_of("watch"))
            assert json.loads(lines.readline())["kind"] == "snapshot"
        refused = answer_to(path, line_of("watch"))
        assert refused == {"id": "7", "error": f"{WATCHERS_MAX} programs watch; close a screen"}
        assert answer_to(path, line_of("status"))["kind"] == "snapshot"
    wait_for(lambda: "kind" in answer_to(path, line_of("watch")), "a free place")
    control.close()


def test_a_watcher_that_reads_nothing_is_dropped_and_holds_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, watchers = tmp_path / "control.sock", Watchers()
    control = ControlSocket(path, snapshot, watchers)
    control.start()
    with connected(path) as (peer, lines):
        peer.sendall(line_of("watch"))
        lines.readline()
        line = json.dumps({"number": 2, "x": "x" * 4_000}).encode() + b"\n"
        began = time.monotonic()
        for _ in range(10 * NEWS_MAX):
            watchers.send(line)
        assert time.monotonic() - began < 1
        assert not watchers and "too slow and was dropped" in caplog.text
        assert sum(1 for _ in lines) <= 10 * NEWS_MAX  # and the connection ends
    control.close()


@pytest.mark.parametrize(
    ("do", "arguments", "sentence"),
    [
        ("strono", {}, "does not know the request 'strono'; did you mean 'storno'?"),
        ("meal", {"acount": "a-1"}, "unknown argument 'acount'; did you mean 'account'?"),
        ("meal", {}, "request 'meal': argument 'account' is missing"),
        ("closing", {"trays": "many"}, "request 'closing': Expected `int`, got `str`"),
        ("closing", {"trays": -1}, "request 'closing': Expected `int` >= 0"),
        ("day", {"day": "yesterday"}, "request 'day': "),
        ("status", {"verbose": True}, "request 'status': unknown argument 'verbose'"),
    ],
)
def test_a_request_that_cannot_be_done_has_a_sentence(
    path: Path, do: str, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(AgentError) as raised:
        ask(path, do, **arguments)
    assert sentence in str(raised.value)


def test_a_request_carries_the_user_whose_program_sent_it(listen: Listen) -> None:
    def answer_user(request: Request) -> bool:
        request.answer(user=request.user)
        return True

    own = pwd.getpwuid(os.getuid())
    assert ask(listen(answer_user), "status") == {"user": f"{own.pw_uid} {own.pw_name}"}
