"""Chains: how far each epoch of a terminal is acknowledged.

A chain ends at the newest entry that the terminal has shown to be on its own line of entries.
"""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.ledger import ChainEnd


class Chain(NamedTuple):
    """Where an epoch's chain ends. `oldest` is the first entry its terminal still keeps."""

    seq: int
    hash: str
    oldest: int


def find(books: Books, terminal: str, epoch: str) -> Chain | None:
    """Return the chain of an epoch, None before the epoch's first hello."""
    row = books.row(
        "SELECT seq, hash, oldest FROM chain WHERE terminal = ? AND epoch = ?", (terminal, epoch)
    )
    return Chain(*row) if row else None


def begin(books: Books, terminal: str, start: ChainEnd) -> None:
    """Begin the chain of an epoch that was not seen before."""
    books.sql.execute(
        "INSERT INTO chain SELECT ?1, ?2, ?3, ?4, 1, count(*) + 1 FROM chain WHERE terminal = ?1",
        (terminal, start.epoch, start.seq, start.hash),
    )


def set_end(books: Books, terminal: str, end: ChainEnd, *, oldest: int) -> None:
    """Move a chain's end, forward or back."""
    books.sql.execute(
        "UPDATE chain SET seq = ?, hash = ?, oldest = ? WHERE terminal = ? AND epoch = ?",
        (end.seq, end.hash, oldest, terminal, end.epoch),
    )


def advance(books: Books, terminal: str, end: ChainEnd, *, or_back: bool) -> None:
    """Move a chain's end to the end of a batch; back only where `or_back` allows it."""
    books.sql.execute(
        "UPDATE chain SET seq = ?1, hash = ?2 WHERE terminal = ?3 AND epoch = ?4"
        " AND (?5 OR seq < ?1)",
        (end.seq, end.hash, terminal, end.epoch, or_back),
    )


def booked(books: Books) -> int:
    """Return how many entries are booked, over all epochs. It does not read the entries."""
    return int(books.only_row("SELECT coalesce(sum(seq), 0) FROM chain")[0])
