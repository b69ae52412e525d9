"""Writes a terminal's ledger into an export file (`agent/sync/ledger_file.py` has the format)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from agent.domain.clock import ClockTrust, Instant
from agent.errors import StoreError
from agent.store import reads
from agent.store.database import Database
from agent.store.rows import EpochSpan
from agent.store.standing import epochs, standing
from agent.sync.ledger_file import LedgerEnd, encode_line
from agent.sync.messages import BATCH_ENTRIES_MAX, CONTRACT_VERSION, Entries, Hello, encode
from agent.sync.topics import Leaf


class Piece(NamedTuple):
    """Some lines of an export, the number of entries in them, and the last entry."""

    lines: bytes
    entries: int
    up_to: LedgerEnd


class _At(Struct):
    at: Instant


def pieces(db: Database, after: LedgerEnd | None = None) -> Iterator[Piece]:
    """Yield a ledger in pieces, from the entry behind `after` on if that is given.

    The first piece of an epoch has a hello: the central must know the chain before its entries.
    """
    terminal = standing(db).terminal
    spans = epochs(db)
    known = [
        n for n, span in enumerate(spans) if after is not None and span.base.epoch == after.epoch
    ]
    for number, span in enumerate(spans):
        if known and number < known[0]:
            continue
        done = after.seq if after is not None and known == [number] else 0
        for first in range(max(span.base.seq, done) + 1, span.end.seq + 1, BATCH_ENTRIES_MAX):
            yield _piece(db, terminal, span, first)


def write_export(db: Database, file: Path) -> int:
    """Write a ledger into a file and onto its medium; return the number of entries.

    Raise `StoreError`.
    """
    count = 0
    try:
        with open(file, "wb") as out:
            for piece in pieces(db):
                out.write(piece.lines)
                count += piece.entries
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise StoreError(f"{file}: not written: {error}") from error
    return count


def _piece(db: Database, terminal: str, span: EpochSpan, first: int) -> Piece:
    epoch = span.base.epoch
    previous, bodies = reads.batch(db, epoch, first, BATCH_ENTRIES_MAX)
    entries = Entries(epoch=epoch, prev=previous, entries=[Raw(body) for body in bodies])
    lines = encode_line(terminal, Leaf.ENTRIES, encode(entries))
    if first == span.base.seq + 1:
        at = msgspec.json.decode(bodies[0], type=_At).at
        lines = encode_line(terminal, Leaf.HELLO, encode(_hello(span, at))) + lines
    return Piece(lines, len(bodies), LedgerEnd(epoch, first + len(bodies) - 1))


def _hello(span: EpochSpan, at: Instant) -> Hello:
    return Hello(
        epoch=span.base.epoch,
        oldest=span.base.seq + 1,
        last=span.end.seq,
        acked=span.base.seq,
        head=span.end.hash,
        acked_head=span.base.hash,
        software="export",
        schema=CONTRACT_VERSION,
        clock=ClockTrust.HELD,
        at=at,
    )
