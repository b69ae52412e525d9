"""The control socket in the state directory: commands on the same machine ask the running agent.

Its thread only hands requests to the main loop and waits for the answer. Who may open the socket
is a matter of file permissions.
"""

import contextlib
import json
import logging
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.ops.control_client import ANSWER_WAIT_S, read_line

REQUEST_BYTES_MAX = 4_096
SOCKET_MODE = 0o660

log = logging.getLogger("agent.control")

Answer = dict[str, object]
"""The members of an answer, or `error` with a sentence."""


@dataclass(frozen=True, slots=True)
class Request:
    """A person's request: `do` and its arguments. `answers` takes one answer.

    The first claim decides: the loop claims it and does it, or the socket after a time-out.
    """

    do: str
    arguments: dict[str, object]
    answers: "queue.Queue[Answer]" = field(
        default_factory=lambda: queue.Queue(maxsize=1), compare=False
    )
    _claimed: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def claim(self) -> bool:
        """Return whether this is the first claim."""
        return self._claimed.acquire(blocking=False)

    def answer(self, **members: object) -> None:
        """Give the one answer."""
        self.answers.put_nowait(members)


class ControlSocket:
    """Listens until it is closed. `enqueue` must only enqueue."""

    def __init__(self, path: Path, enqueue: Callable[[Request], bool]) -> None:
        self._path = path
        self._enqueue = enqueue
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._fault = ""

    def start(self) -> None:
        """Listen.

        Without the socket children are served all the same; the caller tries again later.
        """
        if self._thread.is_alive():
            return
        try:
            # The lock on the state directory is ours, so no other agent listens on this path.
            self._path.unlink(missing_ok=True)
            self._socket.bind(str(self._path))
            self._path.chmod(SOCKET_MODE)
        except OSError as error:
            self._log_fault(error)
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

    def _log_fault(self, error: OSError) -> None:
        """Log a reason once, however often `start` is tried."""
        fault = f"{self._path}: {error.strerror}"
        if fault != self._fault:
            self._fault = fault
            log.warning("Control socket unavailable: commands cannot reach the agent: %s", fault)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return  # closed
            with peer, contextlib.suppress(OSError):  # the client may have gone
                peer.settimeout(ANSWER_WAIT_S)
                answer = self._ask(read_line(peer, REQUEST_BYTES_MAX))
                peer.sendall(json.dumps(answer).encode() + b"\n")

    def _ask(self, line: bytes) -> Answer:
        try:
            message = json.loads(line)
            request = Request(str(message["do"]), dict(message["arguments"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": "a request is one line of JSON with 'do' and 'arguments'"}
        if not self._enqueue(request):
            return {"error": "the agent's queue is full; try again"}
        try:
            return request.answers.get(timeout=ANSWER_WAIT_S)
        except queue.Empty:
            what = (
                "nothing was done" if request.claim() else "see canteen-agent ledger what was done"
            )
            return {"error": f"{what}: no answer within {ANSWER_WAIT_S:.0f} s"}
