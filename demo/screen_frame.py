"""Lets the page of `make play` show a terminal's screen in a frame.

The screen itself forbids frames, and stays so. In front of it stands a listener of this
demonstration. It passes every byte on, and changes one header: who may frame it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

CHUNK_BYTES = 64 * 1024
FORBIDDEN = b"frame-ancestors 'none'"


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScreenFrames:
    """A listener for each screen. `page` is the address that may frame them."""

    def __init__(self, page: str, screens: dict[str, int]) -> None:
        self._allowed = b"frame-ancestors " + page.encode("ascii")
        self._screens = screens
        self._servers: list[asyncio.Server] = []
        self.addresses: dict[str, str] = {}

    async def open(self) -> None:
        """Begin to listen, each on any free port."""
        for name, port in self._screens.items():
            server = await asyncio.start_server(self._handler(port), "127.0.0.1", 0)
            self._servers.append(server)
            self.addresses[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        """End all listeners."""
        for server in self._servers:
            server.close()

    def _handler(self, port: int) -> Handler:
        async def handle(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                far_in, far_out = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(
                    _pass_on(near_in, far_out), _pass_on(far_in, near_out, self._allowed)
                )
            near_out.close()

        return handle


async def _pass_on(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, allowed: bytes | None = None
) -> None:
    """Pass bytes on until one side ends; with `allowed`, put it in place of the forbidden."""
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            sink.write(data.replace(FORBIDDEN, allowed) if allowed is not None else data)
            await sink.drain()
    sink.close()
