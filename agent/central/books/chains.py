"""Chains: how far each epoch of a terminal is acknowledged.

A chain ends at the newest entry that the terminal has shown to be on its own line of entries.
"""

from typing import NamedTuple

from sqlalchemy import cast, func, insert, literal_column, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, value
from agent.central.books.tables import INTEGER
from agent.domain.ledger import ChainEnd

_C = tables.chain.c
_EPOCH = (_C.terminal == value("terminal"), _C.epoch == value("epoch"))
_FIND = Query(select(_C.seq, _C.hash, _C.oldest).where(*_EPOCH))
_BEGIN = Query(
    insert(tables.chain).from_select(
        ["terminal", "epoch", "seq", "hash", "oldest", "seen"],
        select(
            *(value("terminal"), value("epoch"), value("seq"), value("hash")),
            *(literal_column("1"), func.count() + 1),
        )
        .select_from(tables.chain)
        .where(_C.terminal == value("terminal")),
    )
)
_MOVE = update(tables.chain).where(*_EPOCH).values(seq=value("seq"), hash=value("hash"))
_MOVE_TO = Query(_MOVE)
_MOVE_ON = Query(_MOVE.where(_C.seq < value("seq")))
_SET_END = Query(_MOVE.values(oldest=value("oldest")))
_BOOKED = Query(select(cast(func.coalesce(func.sum(_C.seq), 0), INTEGER)))


class Chain(NamedTuple):
    """Where an epoch's chain ends. `oldest` is the first entry its terminal still keeps."""

    seq: int
    hash: str
    oldest: int


def find(books: Books, terminal: str, epoch: str) -> Chain | None:
    """Return the chain of an epoch, None before the epoch's first hello."""
    row = books.first(_FIND, terminal=terminal, epoch=epoch)
    return Chain(*row) if row else None


def begin(books: Books, terminal: str, start: ChainEnd) -> None:
    """Begin the chain of an epoch that was not seen before."""
    books.run(_BEGIN, terminal=terminal, epoch=start.epoch, seq=start.seq, hash=start.hash)


def set_end(books: Books, terminal: str, end: ChainEnd, *, oldest: int) -> None:
    """Move a chain's end, forward or back."""
    books.run(
        _SET_END, terminal=terminal, oldest=oldest, epoch=end.epoch, seq=end.seq, hash=end.hash
    )


def advance(books: Books, terminal: str, end: ChainEnd, *, or_back: bool) -> None:
    """Move a chain's end to the end of a batch; back only where `or_back` allows it."""
    move = _MOVE_TO if or_back else _MOVE_ON
    books.run(move, terminal=terminal, epoch=end.epoch, seq=end.seq, hash=end.hash)


def booked(books: Books) -> int:
    """Return how many entries are booked, over all epochs. It does not read the entries."""
    return int(books.only(_BOOKED)[0])
