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


def pieces(db: Database, after: tuple[str, int] | None = None) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """Yield the lines of a ledger in pieces, each with (epoch, seq) of its last entry; from behind entry `after` on if that is given.

    The first piece of an epoch says hello: the central must know the line before it takes entries of it.
    """
    terminal = reads.standing(db).terminal
    epochs = reads.epochs(db)
    known = [number for number, (epoch, *_) in enumerate(epochs) if after is not None and epoch == after[0]]
    for number, (epoch, base, base_hash, last, head) in enumerate(epochs):
        if known and number < known[0]:
            continue
        done = after[1] if after is not None and known == [number] else 0
        for first in range(max(base, done) + 1, last + 1, BATCH_ENTRIES_MAX):
            previous, bodies = reads.batch(db, epoch, first, BATCH_ENTRIES_MAX)
            batch = encode(Entries(epoch=epoch, prev=previous, entries=[Raw(body) for body in bodies]))
            lines = _line(terminal, Leaf.ENTRIES, batch)
            if first == base + 1:
                at = msgspec.json.decode(bodies[0], type=_At).at
                hello = Hello(
                    epoch=epoch, oldest=base + 1, last=last, acked=base, head=head, acked_head=base_hash, software="export", schema=1,
                    clock=ClockTrust.HELD, at=at,
                )  # fmt: skip
                lines = _line(terminal, Leaf.HELLO, encode(hello)) + lines
            yield lines, (epoch, first + len(bodies) - 1)


def end_of(file: Path) -> tuple[str, int] | None:
    """Return (epoch, seq) of the last entry in an exported file."""
    end = None
    for line in read_export(file):
        if line.leaf is Leaf.ENTRIES:
            batch = msgspec.json.decode(line.payload, type=_Batch)
            end = (batch.epoch, batch.entries[-1].seq)
    return end


class _At(Struct):
    at: Instant


class _Seq(Struct):
    seq: int


class _Batch(Struct):
    epoch: str
    entries: list[_Seq]


def write_export(db: Database, file: Path) -> int:
    """Write a ledger into a file and onto its medium; return the number of entries. Raise `StoreError`."""
    count = 0
    try:
        with open(file, "wb") as out:
            for lines, _ in pieces(db):
                out.write(lines)
                count += lines.count(b'"hash":')
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
    return msgspec.json.encode(Line(terminal=terminal, leaf=leaf, payload=Raw(payload))) + b"\n"
