"""Entries of all terminals: what came, and what the central booked for each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import exists, func, not_, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import ONE, Query, member, put, value
from agent.central.books.town import next_positions
from agent.domain.clock import Day, Instant
from agent.domain.ledger import EntryKey

ENTRY = tables.entry.c
_KEY = (ENTRY.terminal, ENTRY.epoch, ENTRY.seq, ENTRY.hash)
_COLUMNS = tuple(tables.entry.c.keys())
_IS_KEY = (
    ENTRY.terminal == value("terminal"),
    ENTRY.epoch == value("epoch"),
    ENTRY.seq == value("seq"),
    ENTRY.hash == value("hash"),
)
_OF_EPOCH = (ENTRY.terminal == value("terminal"), ENTRY.epoch == value("epoch"))
_IN_SPAN = (*_OF_EPOCH, ENTRY.seq.between(value("first"), value("last")))
_PARENT = tables.entry.alias("p")

_FIND = Query(select(tables.entry).where(*_IS_KEY))
_IS_BOOKED = Query(select(ONE).where(*_IS_KEY))
_COUNT = Query(select(func.count()).select_from(tables.entry))
_HASHES = Query(select(ENTRY.seq, ENTRY.hash).where(*_IN_SPAN))
_STORNOS = Query(
    select(tables.entry).where(
        ENTRY.terminal == value("terminal"),
        ENTRY.undoes_epoch == value("epoch"),
        ENTRY.undoes_seq.between(value("first"), value("last")),
    )
)
_NEWEST_SEQ = Query(select(func.coalesce(func.max(ENTRY.seq), 0)).where(*_OF_EPOCH))
# with an order PostgreSQL takes the index; without it would hope to meet a row soon, and read all
_IS_BOOKED_AFTER = Query(
    select(ONE).where(*_OF_EPOCH, ENTRY.seq > value("seq")).order_by(ENTRY.seq).limit(1)
)
_HOLE = Query(
    select(ONE)
    .where(
        *_IN_SPAN,
        not_(
            exists(ONE).where(
                _PARENT.c.terminal == ENTRY.terminal,
                _PARENT.c.epoch == ENTRY.epoch,
                _PARENT.c.seq == ENTRY.seq - 1,
                _PARENT.c.hash == ENTRY.prev,
            )
        ),
    )
    .order_by(ENTRY.seq)
    .limit(1)
)
_REMARKS = Query(
    select(ENTRY.seq, ENTRY.hash, ENTRY.status, ENTRY.reason)
    .where(*_IN_SPAN, ENTRY.status != "applied")
    .order_by(ENTRY.seq)
    .limit(value("most"))
)
_UNKNOWN_MEAL = (
    ENTRY.kind == "unknown_meal",
    ENTRY.account.is_(None),
    ENTRY.reason.like("unknown_card%"),
)
_NAMED_ACCOUNT = member(ENTRY.body, "account")
_MISSING_ACCOUNT = (
    ENTRY.status == "set_aside",
    ENTRY.kind == "meal",
    ENTRY.reason.like("unknown_account%"),
)
_UNKNOWN_MEALS = Query(select(*_KEY).where(ENTRY.card == value("token"), *_UNKNOWN_MEAL))
_OF_MISSING = Query(select(*_KEY).where(value("account") == _NAMED_ACCOUNT, *_MISSING_ACCOUNT))
_C, _A = tables.card.c, tables.account.c
_WAITING_CARDS = Query(
    select(_C.token, _C.account)
    .where(_C.token == ENTRY.card, *_UNKNOWN_MEAL)
    .distinct()
    .order_by(_C.token)
)
_WAITING_ACCOUNTS = Query(
    select(_A.id).where(_A.id == _NAMED_ACCOUNT, *_MISSING_ACCOUNT).distinct().order_by(_A.id)
)
_CHANGE = Query(
    update(tables.entry)
    .values(
        account=value("new_account"),
        cents=value("new_cents"),
        status=value("new_status"),
        reason=value("new_reason"),
        true_at=value("new_true_at"),
        true_day=value("new_true_day"),
        dated=value("new_dated"),
    )
    .where(*_IS_KEY)
)
_R = tables.remark.c
_NOT_SENT = Query(
    select(*_KEY).where(
        ENTRY.terminal == value("terminal"),
        ENTRY.status != "applied",
        not_(
            exists(ONE).where(
                _R.terminal == ENTRY.terminal,
                _R.epoch == ENTRY.epoch,
                _R.seq == ENTRY.seq,
                _R.hash == ENTRY.hash,
            )
        ),
    )
)
_SEND = put(tables.remark)


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
    books.add_all(tables.entry, _COLUMNS, new)


def find(books: Books, key: EntryKey) -> BookedEntry | None:
    """Return an entry, None if it did not come."""
    row = books.first(_FIND, **key._asdict())
    return BookedEntry(*row) if row else None


def is_booked(books: Books, key: EntryKey) -> bool:
    """Return whether an entry has come."""
    return books.first(_IS_BOOKED, **key._asdict()) is not None


def count(books: Books) -> int:
    """Return how many entries there are."""
    return int(books.only(_COUNT)[0])


# -- a part of an epoch ------------------------------------------------------------------------


def hashes(books: Books, span: Span) -> dict[int, set[str]]:
    """Return the hashes that are booked, by seq."""
    booked: dict[int, set[str]] = {}
    for seq, digest in books.all(_HASHES, **span._asdict()):
        booked.setdefault(seq, set()).add(digest)
    return booked


def stornos_of(books: Books, span: Span) -> list[BookedEntry]:
    """Return the booked stornos that undo an entry of a span, also stornos of other epochs."""
    # Not sorted by SQL: SQLite would choose the primary key for the order, by its first column
    # alone, and read all entries of a terminal.
    rows = sorted(books.all(_STORNOS, **span._asdict()), key=lambda row: row[1:4])
    return [BookedEntry(*row) for row in rows]


def newest_seq(books: Books, terminal: str, epoch: str) -> int:
    """Return the highest seq that is booked of an epoch, 0 if none is."""
    return int(books.only(_NEWEST_SEQ, terminal=terminal, epoch=epoch)[0])


def is_booked_after(books: Books, terminal: str, epoch: str, seq: int) -> bool:
    """Return whether an entry of an epoch is booked behind a seq."""
    return books.first(_IS_BOOKED_AFTER, terminal=terminal, epoch=epoch, seq=seq) is not None


def has_hole(books: Books, span: Span) -> bool:
    """Return whether an entry of the span is booked without its parent."""
    return books.first(_HOLE, **span._asdict()) is not None


def remarks(books: Books, span: Span, limit: int) -> list[Remark]:
    """Return the first remarks on a span's entries, at most `limit`, by seq."""
    return [Remark(*row) for row in books.all(_REMARKS, **span._asdict(), most=limit)]


# -- entries that wait for something -----------------------------------------------------------


def unknown_meals(books: Books, token: str) -> list[EntryKey]:
    """Return the meals served to a card before the central knew its account."""
    return [EntryKey(*row) for row in books.all(_UNKNOWN_MEALS, token=token)]


def meals_of_missing_account(books: Books, account: str) -> list[EntryKey]:
    """Return the meals that named an account before the central had it."""
    return [EntryKey(*row) for row in books.all(_OF_MISSING, account=account)]


def waiting_cards(books: Books) -> dict[str, str]:
    """Return the account of each card that has unbooked meals though its account is known."""
    return {row[0]: row[1] for row in books.all(_WAITING_CARDS)}


def waiting_accounts(books: Books) -> list[str]:
    """Return the accounts that have unbooked meals though the central has them now."""
    return [row[0] for row in books.all(_WAITING_ACCOUNTS)]


# -- what is booked for an entry ---------------------------------------------------------------


def change_all(books: Books, changed: Iterable[BookedEntry]) -> None:
    """Write what is booked for entries, and their true times as confirmed times give them."""
    books.run_all(
        _CHANGE,
        (
            {
                "new_account": e.account,
                "new_cents": e.cents,
                "new_status": e.status,
                "new_reason": e.reason,
                "new_true_at": e.true_at,
                "new_true_day": e.true_day,
                "new_dated": e.dated,
                **e.key._asdict(),
            }
            for e in changed
        ),
    )


def send_remarks_again(books: Books, terminal: str) -> None:
    """Give every remark on a terminal's entries a position: it asks for everything.

    A terminal on a restored disk lacks remarks that were sent with an earlier `acked`.
    """
    rows = books.all(_NOT_SENT, terminal=terminal)
    send_remarks(books, [EntryKey(*row) for row in rows])


def send_remarks(books: Books, keys: Sequence[EntryKey]) -> None:
    """Give the remarks on entries a new position: another may have been sent with `acked`.

    How far the chain goes does not tell: a copy of the disk may have moved it back.
    """
    positions = next_positions(books, len(keys))
    rows = zip(keys, positions, strict=True)
    books.run_all(_SEND, ({**key._asdict(), "p": position} for key, position in rows))
