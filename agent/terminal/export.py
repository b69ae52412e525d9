"""Writes a terminal's ledger into an export file (`agent/sync/ledger_file.py` says its format)."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from agent.domain.clock import ClockTrust, Instant
from agent.errors import StoreError
from agent.store import reads
from agent.store.database import Database
from agent.sync.ledger_file import encode_line
from agent.sync.messages import BATCH_ENTRIES_MAX, Entries, Hello, encode
from agent.sync.topics import Leaf


def pieces(
    db: Database, after: tuple[str, int] | None = None
) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """Yield the lines of a ledger in pieces, each with (epoch, seq) of its last entry; from behind entry `after` on if that is given.

    The first piece of an epoch says hello: the central must know the line before it takes entries of it.
    """
    terminal = reads.standing(db).terminal
    epochs = reads.epochs(db)
    known = [
        number
        for number, (epoch, *_) in enumerate(epochs)
        if after is not None and epoch == after[0]
    ]
    for number, (epoch, base, base_hash, last, head) in enumerate(epochs):
        if known and number < known[0]:
            continue
        done = after[1] if after is not None and known == [number] else 0
        for first in range(max(base, done) + 1, last + 1, BATCH_ENTRIES_MAX):
            previous, bodies = reads.batch(db, epoch, first, BATCH_ENTRIES_MAX)
            batch = encode(
                Entries(epoch=epoch, prev=previous, entries=[Raw(body) for body in bodies])
            )
            lines = encode_line(terminal, Leaf.ENTRIES, batch)
            if first == base + 1:
                at = msgspec.json.decode(bodies[0], type=_At).at
                hello = Hello(
                    epoch=epoch, oldest=base + 1, last=last, acked=base, head=head, acked_head=base_hash, software="export", schema=1,
                    clock=ClockTrust.HELD, at=at,
                )  # fmt: skip
                lines = encode_line(terminal, Leaf.HELLO, encode(hello)) + lines
            yield lines, (epoch, first + len(bodies) - 1)


class _At(Struct):
    at: Instant


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
