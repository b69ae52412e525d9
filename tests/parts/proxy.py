"""A TCP proxy between a terminal and its broker that cuts, delays, throttles and discards."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

CHUNK_BYTES = 4_096
TICK_S = 0.02


class Proxy:
    """A listener on loopback that forwards to `target_port`.

    `delay_s` and `bytes_per_s` slow both directions. A proxy that `discards` accepts bytes and
    forwards none, as a dead radio link does. One that `refuses` closes every new connection.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK_S)
        self._stopping = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self.delay_s = 0.0
        self.bytes_per_s: int | None = None
        self.discards = False
        self.refuses = False

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """End every connection."""
        for pair in list(self._pairs):
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def half_close(self) -> None:
        """Send FIN to every terminal. It may still send."""
        for near, _ in list(self._pairs):
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            try:
                if self.refuses:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self._target_port), timeout=2)
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            self._run(self._forward, near, far)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as ready, near, far:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while not self._stopping.is_set():
                for key, _ in ready.select(TICK_S):
                    try:
                        data = key.fileobj.recv(CHUNK_BYTES)  # type: ignore[union-attr]
                        if not data:
                            return
                        if self.discards:
                            continue
                        time.sleep(
                            self.delay_s + (len(data) / self.bytes_per_s if self.bytes_per_s else 0)
                        )
                        key.data.sendall(data)
                    except OSError:
                        return

    def _run(self, work: Callable[..., None], *arguments: socket.socket) -> None:
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
        self._listener.close()
