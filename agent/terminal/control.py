"""The control sockets in the state directory: programs on the same machine ask the running agent.

JSON lines (`ops/control_messages.py`). The threads only hand requests to the main loop, wait for
answers, and send news to watchers. Who may open a socket is a matter of file permissions: one takes
every request, the other only those that change nothing.
"""

import contextlib
import grp
import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import AgentError
from agent.ops.control_client import ANSWER_WAIT_S, VERSION
from agent.ops.control_messages import Ask, Watch, parse_ask
from agent.ops.peer import user_of
from agent.sync.brake import Brake

REQUEST_BYTES_MAX = 4_096
SOCKET_MODE = 0o660
CONNECTIONS_MAX = 16
"""Two screens with their requests, and some technicians."""
WATCHERS_MAX = 8
"""Of both sockets together: screens that are forgotten leave connections to the technician."""
REQUESTS_AT_ONCE_MAX, REQUEST_EVERY_MS = 40, 50
"""Of one connection: faster than any person, slower than a program that loops."""
IDLE_S = 60.0
"""A client that sends nothing for so long is gone."""
NEWS_MAX = 256
"""Lines that a slow watcher may be behind; then it is dropped, and begins with a new snapshot."""
LOOKING = frozenset({"watch", "status", "classes"})
"""What the socket for looking takes."""
STAFF_GROUP = "canteen-staff"
"""Who may do what the staff's page does, without reading the ledger: the page's own user, too."""

_MALFORMED = "a request is one line of JSON with 'v', 'id', 'do' and 'arguments'"

log = logging.getLogger("agent.control")

Answer = dict[str, object]
"""The members of an answer, or `error` with a sentence."""


@dataclass(frozen=True, slots=True)
class Request:
    """A person's request. `answers` takes one answer. `user` is whose program sent it.

    The first claim decides: the loop claims it and does it, or the socket after a time-out.
    """

    ask: Ask
    user: str | None = None
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


def own_group(name: str) -> str | None:
    """Return a group's name where this process is a member of it, else None."""
    try:
        number = grp.getgrnam(name).gr_gid
    except KeyError:
        return None
    return name if number in {os.getegid(), *os.getgroups()} else None


class Watchers:
    """Who is to get news. Nothing here waits: a watcher that is too slow is dropped."""

    def __init__(self) -> None:
        self._queues: dict[int, queue.Queue[bytes | None]] = {}
        self._lock = threading.Lock()
        self._newest = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self) -> "tuple[int, queue.Queue[bytes | None]] | None":
        """Return a new watcher's number, and the lines for it; None ends them.

        None: there are `WATCHERS_MAX`.
        """
        lines: queue.Queue[bytes | None] = queue.Queue(NEWS_MAX)
        with self._lock:
            if len(self._queues) >= WATCHERS_MAX:
                return None
            self._newest += 1
            self._queues[self._newest] = lines
            return self._newest, lines

    def remove(self, number: int) -> None:
        with self._lock:
            self._queues.pop(number, None)

    def send(self, line: bytes) -> None:
        """Hand a line to all watchers."""
        with self._lock:
            for number, lines in list(self._queues.items()):
                try:
                    lines.put_nowait(line)
                except queue.Full:
                    del self._queues[number]
                    with contextlib.suppress(queue.Empty):
                        lines.get_nowait()
                    lines.put_nowait(None)
                    log.warning("A watcher was too slow and was dropped.")


class ControlSocket:
    """Listens until it is closed. `enqueue` must only enqueue. `allowed`: None takes everything."""

    def __init__(
        self,
        path: Path,
        enqueue: Callable[[Request], bool],
        watchers: Watchers,
        *,
        allowed: frozenset[str] | None = None,
        group: str | None = None,
    ) -> None:
        self._path = path
        self._enqueue = enqueue
        self._watchers = watchers
        self._allowed = allowed
        self._group = group
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._places = threading.BoundedSemaphore(CONNECTIONS_MAX)
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
            if self._group is not None:
                os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)
        except (OSError, KeyError) as error:
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

    def _log_fault(self, error: OSError | KeyError) -> None:
        """Log a reason once, however often `start` is tried."""
        reason = error.strerror if isinstance(error, OSError) else f"there is no group {error}"
        fault = f"{self._path}: {reason}"
        if fault != self._fault:
            self._fault = fault
            log.warning("Control socket unavailable: commands cannot reach the agent: %s", fault)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return  # closed
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._talk, args=(peer,), daemon=True).start()
                continue
            with peer, contextlib.suppress(OSError):
                _send(peer, {"error": f"{CONNECTIONS_MAX} programs are connected; close one"})

    def _talk(self, peer: socket.socket) -> None:
        """Answer one program's requests until it hangs up."""
        try:
            with peer, peer.makefile("rb") as lines, contextlib.suppress(OSError):  # it may be gone
                peer.settimeout(IDLE_S)
                brake = Brake(REQUESTS_AT_ONCE_MAX, REQUEST_EVERY_MS)
                while line := lines.readline(REQUEST_BYTES_MAX):
                    if not brake.take(time.monotonic_ns() // 1_000_000):
                        _send(peer, {"error": "too many requests; wait a second"})
                        return
                    if not self._answer(peer, line):
                        return
        finally:
            self._places.release()

    def _answer(self, peer: socket.socket, line: bytes) -> bool:
        """Answer a request; return whether another one may follow."""
        try:
            message = json.loads(line)
            number = str(message["id"])
            do, arguments = str(message["do"]), dict(message["arguments"])
            version = message["v"]
        except (ValueError, KeyError, TypeError, RecursionError):
            _send(peer, {"error": _MALFORMED})
            return line.endswith(b"\n")
        try:
            if version != VERSION:
                raise AgentError(f"this agent speaks version {VERSION} of the control interface")
            if self._allowed is not None and do not in self._allowed:
                raise AgentError(f"this socket is for looking; {do} needs control.sock")
            request = Request(parse_ask(do, arguments), user_of(peer))
        except AgentError as error:
            _send(peer, {"id": number, "error": str(error)})
            return True
        if isinstance(request.ask, Watch):
            self._watch(peer, request, number)
            return False
        _send(peer, {"id": number, **self._ask(request)})
        return True

    def _ask(self, request: Request) -> Answer:
        if not self._enqueue(request):
            return {"error": "the agent's queue is full; try again"}
        try:
            return request.answers.get(timeout=ANSWER_WAIT_S)
        except queue.Empty:
            what = (
                "nothing was done" if request.claim() else "see canteen-agent ledger what was done"
            )
            return {"error": f"{what}: no answer within {ANSWER_WAIT_S:.0f} s"}

    def _watch(self, peer: socket.socket, request: Request, number: str) -> None:
        """Send the snapshot, then news, until the watcher hangs up or is too slow."""
        added = self._watchers.add()  # before the snapshot: nothing is missed
        if added is None:
            _send(peer, {"id": number, "error": f"{WATCHERS_MAX} programs watch; close a screen"})
            return
        watcher, lines = added
        try:
            answer = self._ask(request)
            _send(peer, {"id": number, **answer})
            newest = answer.get("number")
            while isinstance(newest, int) and (line := _next(lines, peer)) is not None:
                if json.loads(line)["number"] > newest:
                    peer.sendall(line)
        finally:
            self._watchers.remove(watcher)


def _next(lines: "queue.Queue[bytes | None]", peer: socket.socket) -> bytes | None:
    """Return the next line; None if the watcher was dropped, or has hung up."""
    while True:
        try:
            return lines.get(timeout=1)
        except queue.Empty:
            peer.setblocking(False)
            try:
                if not peer.recv(1, socket.MSG_PEEK):
                    return None
            except BlockingIOError:
                pass
            finally:
                peer.settimeout(IDLE_S)


def _send(peer: socket.socket, message: Answer) -> None:
    peer.sendall(json.dumps(message).encode() + b"\n")
