"""Entries of all terminals: what came, and what the central booked for each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.town import next_positions
from agent.domain.clock import Day, Instant
from agent.domain.ledger import EntryKey


class BookedEntry(NamedTuple):
    """One row of `entry` (books/schema.py says what each column means)."""

    terminal: str
    epoch: str
    seq: int
    hash: str
    prev: str
    kind: str
    at: Instant | None
    boot: str | None
    mono_ms: int | None
    clock: str | None
    service: str | None
    card: str | None
    true_at: Instant | None
    true_day: Day | None
    account: str | None
    cents: int | None
    undoes_epoch: str | None
    undoes_seq: int | None
    undoes_hash: str | None
    status: str
    reason: str
    body: str
    dated: int = 0

    @property
    def key(self) -> EntryKey:
        """Return the entry's name."""
        return EntryKey(*self[:4])


class Span(NamedTuple):
    """Consecutive seqs of one epoch, both ends included."""

    terminal: str
    epoch: str
    first: int
    last: int


class Remark(NamedTuple):
    """What the central remarks on an entry that was flagged or set aside."""

    seq: int
    hash: str
    status: str
    reason: str


def add_all(books: Books, new: Iterable[BookedEntry]) -> None:
    """Add entries."""
    books.sql.executemany(
        "INSERT INTO entry VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        new,
    )


def find(books: Books, key: EntryKey) -> BookedEntry | None:
    """Return an entry, None if it did not come."""
    row = books.row(
        "SELECT * FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", key
    )
    return BookedEntry(*row) if row else None


def is_booked(books: Books, key: EntryKey) -> bool:
    """Return whether an entry has come."""
    row = books.row(
        "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", key
    )
    return row is not None


def count(books: Books) -> int:
    """Return how many entries there are."""
    return int(books.only_row("SELECT count(*) FROM entry")[0])


# -- a part of an epoch ------------------------------------------------------------------------


def hashes(books: Books, span: Span) -> dict[int, set[str]]:
    """Return the hashes that are booked, by seq."""
    booked: dict[int, set[str]] = {}
    for seq, digest in books.rows(
        "SELECT seq, hash FROM entry WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?", span
    ):
        booked.setdefault(seq, set()).add(digest)
    return booked


def stornos_of(books: Books, span: Span) -> list[BookedEntry]:
    """Return the booked stornos that undo an entry of a span, also stornos of other epochs."""
    # The index is named: SQLite would choose the primary key by its first column alone and read
    # all entries of a terminal.
    rows = books.rows(
        "SELECT * FROM entry INDEXED BY entry_by_undone"
        " WHERE terminal = ? AND undoes_epoch = ? AND undoes_seq BETWEEN ? AND ?"
        " ORDER BY epoch, seq, hash",
        span,
    )
    return [BookedEntry(*row) for row in rows]


def newest_seq(books: Books, terminal: str, epoch: str) -> int:
    """Return the highest seq that is booked of an epoch, 0 if none is."""
    row = books.only_row(
        "SELECT coalesce(max(seq), 0) FROM entry WHERE terminal = ? AND epoch = ?",
        (terminal, epoch),
    )
    return int(row[0])


def is_booked_after(books: Books, terminal: str, epoch: str, seq: int) -> bool:
    """Return whether an entry of an epoch is booked behind a seq."""
    row = books.row(
        "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq > ? LIMIT 1",
        (terminal, epoch, seq),
    )
    return row is not None


def has_hole(books: Books, span: Span) -> bool:
    """Return whether an entry of the span is booked without its parent."""
    row = books.row(
        "SELECT 1 FROM entry e WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?"
        " AND NOT EXISTS (SELECT 1 FROM entry p WHERE p.terminal = e.terminal"
        " AND p.epoch = e.epoch AND p.seq = e.seq - 1 AND p.hash = e.prev) LIMIT 1",
        span,
    )
    return row is not None


def remarks(books: Books, span: Span, limit: int) -> list[Remark]:
    """Return the first remarks on a span's entries, at most `limit`, by seq."""
    rows = books.rows(
        "SELECT seq, hash, status, reason FROM entry WHERE terminal = ? AND epoch = ?"
        " AND seq BETWEEN ? AND ? AND status <> 'applied' ORDER BY seq LIMIT ?",
        (*span, limit),
    )
    return [Remark(*row) for row in rows]


# -- entries that wait for something -----------------------------------------------------------


def unknown_meals(books: Books, token: str) -> list[EntryKey]:
    """Return the meals served to a card before the central knew its account."""
    rows = books.rows(
        "SELECT terminal, epoch, seq, hash FROM entry WHERE card = ? AND kind = 'unknown_meal'"
        " AND account IS NULL AND reason LIKE 'unknown_card%'",
        (token,),
    )
    return [EntryKey(*row) for row in rows]


def meals_of_missing_account(books: Books, account: str) -> list[EntryKey]:
    """Return the meals that named an account before the central had it."""
    rows = books.rows(
        "SELECT terminal, epoch, seq, hash FROM entry WHERE status = 'set_aside' AND kind = 'meal'"
        " AND body ->> '$.account' = ? AND reason LIKE 'unknown_account%'",
        (account,),
    )
    return [EntryKey(*row) for row in rows]


def waiting_cards(books: Books) -> dict[str, str]:
    """Return the account of each card that has unbooked meals though its account is known."""
    rows = books.rows(
        "SELECT DISTINCT card.token, card.account FROM entry JOIN card ON card.token = entry.card"
        " WHERE kind = 'unknown_meal' AND entry.account IS NULL AND reason LIKE 'unknown_card%'"
        " ORDER BY card.token"
    )
    return {row[0]: row[1] for row in rows}


def waiting_accounts(books: Books) -> list[str]:
    """Return the accounts that have unbooked meals though the central has them now."""
    rows = books.rows(
        "SELECT DISTINCT account.id FROM entry JOIN account"
        " ON account.id = entry.body ->> '$.account'"
        " WHERE entry.status = 'set_aside' AND kind = 'meal' AND reason LIKE 'unknown_account%'"
        " ORDER BY account.id"
    )
    return [row[0] for row in rows]


# -- what is booked for an entry ---------------------------------------------------------------


def change_all(books: Books, changed: Iterable[BookedEntry]) -> None:
    """Write what is booked for entries, and their true times as confirmed times give them."""
    books.sql.executemany(
        "UPDATE entry SET account = ?, cents = ?, status = ?, reason = ?, true_at = ?,"
        " true_day = ?, dated = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (
            (e.account, e.cents, e.status, e.reason, e.true_at, e.true_day, e.dated, *e.key)
            for e in changed
        ),
    )


def send_remarks_again(books: Books, terminal: str) -> None:
    """Give every remark on a terminal's entries a position: it asks for everything.

    A terminal on a restored disk lacks remarks that were sent with an earlier `acked`.
    """
    rows = books.rows(
        "SELECT terminal, epoch, seq, hash FROM entry e WHERE terminal = ? AND status <> 'applied'"
        " AND NOT EXISTS (SELECT 1 FROM remark r WHERE (r.terminal, r.epoch, r.seq, r.hash)"
        " = (e.terminal, e.epoch, e.seq, e.hash))",
        (terminal,),
    )
    send_remarks(books, [EntryKey(*row) for row in rows])


def send_remarks(books: Books, keys: Sequence[EntryKey]) -> None:
    """Give the remarks on entries a new position: another may have been sent with `acked`.

    How far the chain goes does not tell: a copy of the disk may have moved it back.
    """
    positions = next_positions(books, len(keys))
    books.sql.executemany(
        "INSERT OR REPLACE INTO remark VALUES (?, ?, ?, ?, ?)",
        ((*key, position) for key, position in zip(keys, positions, strict=True)),
    )
