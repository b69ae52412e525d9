"""A socket in the state directory by which commands on the same machine speak to a running agent.

One JSON line each way. Its thread only hands requests to the main loop and waits for the answer; who may open the
socket is a matter of file permissions.
"""

import contextlib
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.errors import AgentError

REQUEST_BYTES_MAX = 4_096
ANSWER_BYTES_MAX = 1_048_576
ANSWER_WAIT_S = 5.0

log = logging.getLogger("agent.control")


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks of the agent: `do` and its arguments. `answers` takes one answer.

    `abandoned` is set when the asker was told that no answer came: then nothing must happen any more.
    """

    do: str
    arguments: dict[str, Any]
    answers: "queue.Queue[dict[str, Any]]" = field(
        default_factory=lambda: queue.Queue(maxsize=1), compare=False
    )
    abandoned: threading.Event = field(default_factory=threading.Event, compare=False)

    def answer(self, **members: Any) -> None:
        """Give the answer: `ok` with members, or `error` with a sentence."""
        self.answers.put_nowait(members)


class ControlSocket:
    """Listens for as long as it is open. `enqueue` must only enqueue."""

    def __init__(self, path: Path, enqueue: Callable[[Request], bool]) -> None:
        self._path = path
        self._enqueue = enqueue
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Listen. Where the socket cannot be made children are served without it, and whoever calls tries again later."""
        if self._thread.is_alive():
            return
        try:
            self._path.unlink(
                missing_ok=True
            )  # the lock on the state directory is ours: nobody else listens here
            self._socket.bind(str(self._path))
            self._path.chmod(0o660)
        except OSError as error:
            log.warning("%s: commands are not heard: %s", self._path, error.strerror)
            return
        self._socket.listen(4)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._path.unlink(missing_ok=True)
            self._thread.join(timeout=ANSWER_WAIT_S + 1)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(ANSWER_WAIT_S)
                try:
                    peer.sendall(
                        json.dumps(self._ask(_line(peer, REQUEST_BYTES_MAX))).encode() + b"\n"
                    )
                except OSError:
                    continue  # the asker went away

    def _ask(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
            request = Request(str(message["do"]), dict(message["arguments"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": "a request is one line of JSON with 'do' and 'arguments'"}
        if not self._enqueue(request):
            return {"error": "the agent is too busy to answer"}
        try:
            return request.answers.get(timeout=ANSWER_WAIT_S)
        except queue.Empty:
            request.abandoned.set()
            return {
                "error": f"nothing was done: the agent did not answer within {ANSWER_WAIT_S:.0f} s"
            }


def ask(path: Path, do: str, **arguments: Any) -> dict[str, Any]:
    """Ask the running agent and return its answer. Raise `AgentError` when none runs or it says no."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(ANSWER_WAIT_S + 1)
        try:
            peer.connect(str(path))
            peer.sendall(json.dumps({"do": do, "arguments": arguments}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(_line(peer, ANSWER_BYTES_MAX))
        except (OSError, ValueError) as error:
            raise AgentError(
                f"{path}: no agent answers here ({error}); is it running, and may you open the socket?"
            ) from error
    if "error" in answer:
        raise AgentError(str(answer["error"]))
    return answer


def _line(peer: socket.socket, bytes_max: int) -> bytes:
    received = b""
    deadline = (
        time.monotonic() + ANSWER_WAIT_S
    )  # for the whole line: a peer that drips must not keep others waiting
    while (
        not received.endswith(b"\n") and len(received) < bytes_max and time.monotonic() < deadline
    ):
        part = peer.recv(4_096)
        if not part:
            break
        received += part
    return received
