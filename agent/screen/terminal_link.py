"""The screen's side of the control socket: requests with an answer, and the stream of news."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from agent.ops.control_client import ANSWER_BYTES_MAX, ANSWER_WAIT_S, VERSION

Answer = dict[str, object]


class UnavailableError(Exception):
    """The terminal does not answer: it is starting, or it is not running."""


async def ask(socket: Path, do: str, /, **arguments: object) -> Answer:
    """Return the terminal's answer, which may be an `error`. Raise `UnavailableError`."""
    try:
        async with asyncio.timeout(ANSWER_WAIT_S + 1):
            reader, writer = await asyncio.open_unix_connection(socket, limit=ANSWER_BYTES_MAX)
            try:
                writer.write(_line(do, arguments))
                line = await reader.readline()
            finally:
                writer.close()
        return _decoded(line)
    except (OSError, ValueError, TimeoutError) as error:
        raise UnavailableError(str(error)) from error


async def watch(socket: Path) -> AsyncIterator[Answer]:
    """Yield the snapshot, then news until the terminal ends. Raise `UnavailableError`."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket, limit=ANSWER_BYTES_MAX)
    except OSError as error:
        raise UnavailableError(str(error)) from error
    try:
        writer.write(_line("watch", {}))
        while line := await reader.readline():
            yield _decoded(line)
    except (OSError, ValueError) as error:
        raise UnavailableError(str(error)) from error
    finally:
        writer.close()


def _line(do: str, arguments: dict[str, object]) -> bytes:
    message = {"v": VERSION, "id": "1", "do": do, "arguments": arguments}
    return json.dumps(message).encode() + b"\n"


def _decoded(line: bytes) -> Answer:
    answer: Answer = json.loads(line)
    answer.pop("id", None)
    return answer
