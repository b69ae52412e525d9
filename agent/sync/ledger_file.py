"""The format of an exported ledger: the messages a terminal would send, one a line.

A line is `{"terminal": …, "leaf": "hello" or "entries", "payload": the message}`. It carries
entries to the central on a USB stick when there is no network. The central books them by the same
rules as messages from the broker, so importing what was also sent is harmless.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from agent.errors import AgentError
from agent.sync.topics import Leaf

LINE_BYTES_MAX = 512 * 1024  # a batch of 100 entries of the largest size, and room


class Line(Struct, frozen=True, kw_only=True):
    """One message of a terminal."""

    terminal: str
    leaf: Leaf
    payload: Raw


class LedgerEnd(NamedTuple):
    """The last entry of a file."""

    epoch: str
    seq: int


class _Seq(Struct):
    seq: int


class _Batch(Struct):
    epoch: str
    entries: list[_Seq]


def encode_line(terminal: str, leaf: Leaf, payload: bytes) -> bytes:
    """Return one line of the file, with its newline."""
    return msgspec.json.encode(Line(terminal=terminal, leaf=leaf, payload=Raw(payload))) + b"\n"


def read_export(file: Path) -> Iterator[Line]:
    """Yield the lines of an exported file.

    Raise `AgentError` with the line's number for a line that is damaged or cut; the lines before it
    have been yielded by then.
    """
    try:
        with open(file, "rb") as source:
            lines = iter(lambda: source.readline(LINE_BYTES_MAX), b"")
            for number, text in enumerate(lines, start=1):
                try:
                    yield msgspec.json.decode(text, type=Line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise AgentError(
                        f"{file}: line {number} is damaged: {error}; the lines before it were read"
                    ) from error
    except OSError as error:
        raise AgentError(f"{file}: cannot be read: {error}") from error


def end_of(file: Path) -> LedgerEnd | None:
    """Return the last entry of an exported file, None for a file without entries.

    Raise `AgentError`.
    """
    end = None
    for line in read_export(file):
        if line.leaf is Leaf.ENTRIES:
            batch = msgspec.json.decode(line.payload, type=_Batch)
            end = LedgerEnd(batch.epoch, batch.entries[-1].seq)
    return end
