"""A proxy between MQTT client and broker that knows packets: it drops, changes, counts and cuts.

An honest far end for what mosquitto does not do: deny one acknowledgement, never answer, lose
large packets, take a session over.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from types import TracebackType
from typing import NamedTuple, Self

TICK_S = 0.02


class Kind(IntEnum):
    """MQTT control packets."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Packet(NamedTuple):
    """One packet: its kind, what follows the fixed header, and all of its bytes."""

    kind: int
    body: bytes
    raw: bytes

    @property
    def topic(self) -> str:
        """Return the topic of a PUBLISH."""
        size = int.from_bytes(self.body[:2], "big")
        return self.body[2 : 2 + size].decode()


# What a rule makes of a packet: the bytes to forward; empty to drop it; None to close both ends.
Rule = Callable[[Packet], bytes | None]


def forward(packet: Packet) -> bytes | None:
    return packet.raw


def close(packet: Packet) -> bytes | None:
    return None


def drop(packet: Packet) -> bytes | None:
    return b""


def denial(packet: Packet, code: int) -> bytes:
    """Return a PUBACK of MQTT 5 with a reason code for the same message."""
    return bytes([Kind.PUBACK << 4, 3]) + packet.body[:2] + bytes([code])


class PacketProxy:
    """A listener on loopback. `up` is the rule for packets to the broker, `down` for the others.

    `target_port` None: no broker at all, so nothing ever answers.
    """

    def __init__(self, target_port: int | None) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK_S)
        self._stopping = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._write = threading.Lock()
        self._near: socket.socket | None = None
        self.up: Rule = forward
        self.down: Rule = forward
        self.seen: list[Packet] = []  # what the client has sent
        self.accepted_s: list[float] = []  # when each connection was made

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"

    def count(self, kind: Kind) -> int:
        """Return how many packets of a kind the client has sent."""
        return sum(packet.kind == kind for packet in list(self.seen))

    def send_to_client(self, raw: bytes) -> None:
        """Send bytes to the newest client, as if the broker had."""
        assert self._near is not None
        with self._write:
            self._near.sendall(raw)

    def cut(self) -> None:
        """End every connection."""
        for end in list(self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.accepted_s.append(time.monotonic())
            self._near = near
            self._sockets.append(near)
            far = None
            if self._target_port is not None:
                far = socket.create_connection(("127.0.0.1", self._target_port), timeout=2)
                far.settimeout(None)
                self._sockets.append(far)
                self._run(self._pump, far, near, False)
            self._run(self._pump, near, far, True)

    def _pump(self, source: socket.socket, sink: socket.socket | None, is_up: bool) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                packet = _read(source)
                if is_up:
                    self.seen.append(packet)
                data = (self.up if is_up else self.down)(packet)
                if data is None:
                    break
                if sink is not None and data:
                    with self._write:
                        sink.sendall(data)
        for end in (source, sink):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for end in self._sockets:
            end.close()
        self._listener.close()


def _read(source: socket.socket) -> Packet:
    """Return the next packet. Raise `EOFError` at the end."""
    first = _exactly(source, 1)
    header, size, shift = first, 0, 0
    while True:
        byte = _exactly(source, 1)
        header += byte
        size |= (byte[0] & 0x7F) << shift
        shift += 7
        if not byte[0] & 0x80:
            break
    body = _exactly(source, size)
    return Packet(first[0] >> 4, body, header + body)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
