"""The feed: what a terminal does not have yet, as one `changes` message.

A message holds whole records, each in its newest form, up to a position. `acked` names only an
entry that is proved to be on the terminal's own chain (`hello.py`). While other entries of that
epoch are booked, no record leaves, so that every balance contains exactly the entries up to
`acked`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from msgspec import Raw

from agent.central.books import chains, entries, records, terminals, town
from agent.central.books.chains import Chain
from agent.central.books.database import Books
from agent.central.books.entries import Span
from agent.central.books.records import Interval, Reader
from agent.central.books.terminals import Terminal
from agent.central.books.town import Standing
from agent.central.site_digest import SiteDigests
from agent.domain.clock import Instant
from agent.domain.ledger import ChainEnd
from agent.sync.messages import MESSAGE_BYTES_MAX, Changes, Note, Order

CHUNK_BYTES_MAX = 192 * 1024
"""Bytes of records in a message: the rest of its 256 KiB is for notes."""
CHUNK_RECORDS = 50
"""Records in a message; the contract allows 200. A terminal stores a message in one transaction,
and a tap at that moment waits for it."""
FIXED_BYTES = 1_536
"""What a message has beside notes and records: hashes, digest, order, nonce, two generations."""
NOTES_MAX = 200
"""Notes in a message: 200 of the longest are 48 KiB."""


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """What a terminal has: a generation and position, and notes up to entry `seq` of `epoch`.

    `order` is the newest order sent on this connection. `before` is the newest entry of the
    terminal's earlier epochs, if it is booked. A wiped terminal is sent no record.
    """

    generation: str | None
    position: int
    epoch: str
    seq: int
    order: str | None = None
    before: ChainEnd | None = None
    is_wiped: bool = False

    def after(self, message: Changes) -> "FeedCursor":
        """Return the cursor behind a message."""
        return FeedCursor(
            generation=message.generation,
            position=message.to,
            epoch=message.acked.epoch,
            seq=max(message.acked.seq, self.seq),
            order=message.order.id if message.order else None,
            before=self.before,
            is_wiped=self.is_wiped,
        )


class Dispatch(NamedTuple):
    """When a message leaves, and how many bytes it may have at the broker."""

    at: Instant
    bytes_max: int = MESSAGE_BYTES_MAX


class _Notes(NamedTuple):
    """Notes, and the entry up to which they are complete. `is_cut`: there may be more.

    `size`: their bytes.
    """

    notes: list[Note]
    acked: ChainEnd
    is_cut: bool
    size: int


class _Chunk(NamedTuple):
    """Records up to a position; `more`: there are others behind it."""

    records: list[Raw]
    position: int
    more: bool


def changes(
    books: Books,
    terminal: str,
    cursor: FeedCursor,
    *,
    dispatch: Dispatch,
    digests: SiteDigests | None,
) -> Changes | None:
    """Return the message that follows a cursor, None for an epoch that has sent no hello.

    The caller's transaction holds all reads. `digests` None leaves the digest out. The message fits
    into `dispatch.bytes_max`, unless its first record or note alone is too large.
    """
    known = terminals.find(books, terminal)
    chain = chains.find(books, terminal, cursor.epoch)
    if known is None or chain is None:
        return None
    notes = _notes(books, terminal, cursor, chain, (dispatch.bytes_max - FIXED_BYTES) // 2)
    standing = town.standing(books)
    message = _without_records(standing, known, cursor, notes, at=dispatch.at)
    if notes.is_cut or entries.is_booked_after(books, terminal, cursor.epoch, chain.seq):
        # Balances contain entries that `acked` does not name. Send no record until the terminal has
        # shown those entries, or has begun again.
        return message
    reader = None
    if known.site is not None and not cursor.is_wiped:
        reader = Reader(terminal, known.site)
    room = min(CHUNK_BYTES_MAX, dispatch.bytes_max - FIXED_BYTES - notes.size)
    chunk = _chunk(books, reader, cursor.position, room)
    digest = None
    if digests is not None and not (chunk.more or message.order or cursor.is_wiped):
        digest = digests.of(books, known.site, standing)
    return msgspec.structs.replace(
        message,
        to=chunk.position if chunk.more else standing.position,
        more=chunk.more,
        records=chunk.records,
        digest=digest,
    )


def _notes(books: Books, terminal: str, cursor: FeedCursor, chain: Chain, bytes_max: int) -> _Notes:
    """Return the notes behind the cursor, and the entry that may be acknowledged with them."""
    span = Span(terminal, cursor.epoch, cursor.seq + 1, chain.seq)
    remarks = entries.remarks(books, span, NOTES_MAX)
    notes: list[Note] = []
    size = 0
    for remark in remarks:
        note = Note(seq=remark.seq, status=remark.status, reason=remark.reason)
        note_size = len(msgspec.json.encode(note)) + 1
        if notes and size + note_size > bytes_max:
            break
        notes.append(note)
        size += note_size
    is_cut = len(remarks) == NOTES_MAX or len(notes) < len(remarks)
    end = remarks[len(notes) - 1] if is_cut else chain
    acked = ChainEnd(epoch=cursor.epoch, seq=end.seq, hash=end.hash)
    return _Notes(notes, acked, is_cut, size)


def _without_records(
    standing: Standing, terminal: Terminal, cursor: FeedCursor, notes: _Notes, *, at: Instant
) -> Changes:
    is_blank = cursor.position == 0
    order = None
    if terminal.order_id is not None and terminal.order_do is not None:
        order = Order(id=terminal.order_id, do=terminal.order_do)
    return Changes(
        generation=standing.generation,
        from_position=cursor.position,
        to=cursor.position,
        more=is_blank,
        reset=is_blank,
        until=standing.position if is_blank else None,
        replaces=cursor.generation if cursor.generation != standing.generation else None,
        acked=notes.acked,
        before=cursor.before,
        notes_after=cursor.seq,
        notes=notes.notes,
        order=order,
        at=at,
    )


def _chunk(books: Books, reader: Reader | None, after: int, bytes_max: int) -> _Chunk:
    """Return as many records as a message may have. A retired or wiped terminal gets none."""
    raws: list[Raw] = []
    if reader is None:
        return _Chunk(raws, after, more=False)
    to = records.position_of(books, reader, after, CHUNK_RECORDS)
    last, bytes_so_far = after, 0
    of_site = records.find(books, Interval(reader.site, after, to))
    for record in sorted([*of_site, *records.remarks(books, reader.terminal, after, to)]):
        bytes_so_far += len(record.body) + 1
        if len(raws) == CHUNK_RECORDS or (raws and bytes_so_far > bytes_max):
            return _Chunk(raws, last, more=True)
        raws.append(Raw(record.body))
        last = record.position
    return _Chunk(raws, last, more=False)
