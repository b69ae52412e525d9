"""A ledger as a file: the very messages a terminal would send, one a line, for the day the network does not come back.

A line is {"terminal": …, "leaf": "hello" or "entries", "payload": the message}. The central takes them in as if the broker
had brought them, through the same prefix rules: to do both is harmless.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from agent.domain.clock import ClockTrust, Instant
from agent.errors import AgentError, StoreError
from agent.store import reads
from agent.store.database import Database
from agent.sync.messages import BATCH_ENTRIES_MAX, Entries, Hello, encode
from agent.sync.topics import Leaf

LINE_BYTES_MAX = 512 * 1024


class Line(Struct, frozen=True, kw_only=True):
    """One message of a terminal."""

    terminal: str
    leaf: Leaf
    payload: Raw


def lines(db: Database, at: Instant) -> Iterator[tuple[bytes, int]]:
    """Yield every line of a ledger with the number of entries in it."""
    terminal = reads.standing(db).terminal
    for epoch, base, base_hash, last, head in reads.epochs(db):
        hello = Hello(
            epoch=epoch, oldest=base + 1, last=last, acked=base, head=head, acked_head=base_hash, software="export", schema=1,
            clock=ClockTrust.HELD, at=at,
        )  # fmt: skip
        yield _line(terminal, Leaf.HELLO, encode(hello)), 0
        for first in range(base + 1, last + 1, BATCH_ENTRIES_MAX):
            yield entries_line(terminal, epoch, *reads.batch(db, epoch, first, BATCH_ENTRIES_MAX))


def entries_line(terminal: str, epoch: str, previous: str, bodies: list[bytes]) -> tuple[bytes, int]:
    """Return the line of a batch and its number of entries."""
    batch = Entries(epoch=epoch, prev=previous, entries=[Raw(body) for body in bodies])
    return _line(terminal, Leaf.ENTRIES, encode(batch)), len(bodies)


def write_export(db: Database, file: Path) -> int:
    """Write a ledger into a file and onto its medium; return the number of entries. Raise `StoreError`."""
    newest = reads.newest_entry(db)
    at = newest.at if newest is not None else "2020-01-01T00:00:00.000Z"
    count = 0
    try:
        with open(file, "wb") as out:
            for line, entries in lines(db, at):
                out.write(line + b"\n")
                count += entries
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreError(f"{file}: not written: {error}") from error
    return count


def read_export(file: Path) -> Iterator[Line]:
    """Yield the lines of an exported file. One that was cut, or is none, raises `AgentError` naming its number, after those before it."""
    try:
        with open(file, "rb") as source:
            for number, text in enumerate(iter(lambda: source.readline(LINE_BYTES_MAX), b""), start=1):
                try:
                    yield msgspec.json.decode(text, type=Line)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise AgentError(f"{file}: line {number} is no line of an export: {error}; those before it were taken") from error
    except OSError as error:
        raise AgentError(f"{file}: cannot be read: {error}") from error


def _line(terminal: str, leaf: Leaf, payload: bytes) -> bytes:
    return msgspec.json.encode(Line(terminal=terminal, leaf=leaf, payload=Raw(payload)))
