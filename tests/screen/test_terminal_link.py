"""The control socket as the screen uses it: a far end that answers, hangs up or is not there."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.screen.terminal_link import Answer, UnavailableError, ask, watch

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def with_server(path: Path, talk: Talk, work: Callable[[], Awaitable[object]]) -> object:
    server = await asyncio.start_unix_server(talk, path)
    async with server:
        return await work()


def answering(*lines: bytes) -> Talk:
    """Return a far end that reads one request and sends these lines."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"".join(lines))
        await writer.drain()
        writer.close()

    return talk


def test_a_request_has_version_and_id_and_its_answer_neither(tmp_path: Path) -> None:
    received: list[Answer] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(json.loads(await reader.readline()))
        writer.write(b'{"id":"1","seq":7}\n')
        writer.close()

    path = tmp_path / "s"
    answer = asyncio.run(with_server(path, echo, lambda: ask(path, "storno", seq=6)))
    assert answer == {"seq": 7}
    assert received == [{"v": 1, "id": "1", "do": "storno", "arguments": {"seq": 6}}]


@pytest.mark.parametrize("line", [b"", b"no JSON\n"])
def test_a_terminal_that_hangs_up_is_unavailable(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "s"
    with pytest.raises(UnavailableError):
        asyncio.run(with_server(path, answering(line), lambda: ask(path, "status")))


def test_a_terminal_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async def first() -> None:
        async for _ in watch(tmp_path / "nothing"):
            pass

    with pytest.raises(UnavailableError):
        asyncio.run(ask(tmp_path / "nothing", "status"))
    with pytest.raises(UnavailableError):
        asyncio.run(first())


def test_the_stream_ends_with_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def lines() -> list[Answer]:
        return [line async for line in watch(path)]

    far_end = answering(b'{"id":"1","number":1}\n', b'{"number":2}\n')
    assert asyncio.run(with_server(path, far_end, lines)) == [{"number": 1}, {"number": 2}]
