"""Where this terminal stands: its epochs, their ends, and what the central has acknowledged.

Reads only.
"""

import sqlite3

from agent.domain.ledger import SEQ_BITS, ChainEnd, Place
from agent.errors import DamagedError, StoreError
from agent.store.cache import Standing, Tail
from agent.store.database import Database
from agent.store.rows import EpochSpan, KnownPlace
from agent.store.schema import is_whole


def standing(db: Database) -> Standing:
    """Return where this terminal stands with the central."""
    return db.cache.standing(lambda: _read_standing(db))


def tail(db: Database) -> Tail:
    """Return the entry that the next one follows, or the start of the newest epoch."""
    return db.cache.tail(lambda: _read_tail(db))


def find_place(db: Database, end: ChainEnd) -> KnownPlace | None:
    """Return where this disk has entry `end.seq` of an epoch, None if it never had it.

    A pruned entry, or the start of the epoch, gives the place where the kept entries begin: nothing
    before it can be sent again. The caller compares the hash.
    """
    with db.reading() as sql:
        span = _span(sql, "id = ?", end.epoch)
        if span is None:
            return None
        base = span.base
        if end.seq <= base.seq:
            known = base.hash if end.seq == base.seq else None
            return KnownPlace(place=Place(span.number, base.seq), hash=known)
        place = Place(span.number, end.seq)
        row = sql.execute("SELECT hash FROM entry WHERE n = ?", (place.n,)).fetchone()
        return KnownPlace(place=place, hash=row[0].hex()) if row else None


def epochs(db: Database) -> list[EpochSpan]:
    """Return every epoch, oldest first."""
    with db.reading() as sql:
        numbers = sql.execute("SELECT n FROM epoch ORDER BY n").fetchall()
        return [span for (number,) in numbers if (span := _span(sql, "n = ?", number))]


def newest_epoch(db: Database) -> str:
    """Return the id of the epoch that new entries belong to."""
    return str(db.only_row("SELECT id FROM epoch ORDER BY n DESC LIMIT 1")[0])


def hash_at(sql: sqlite3.Connection, place: Place) -> str:
    """Return the hash of a kept entry."""
    (digest,) = sql.execute("SELECT hash FROM entry WHERE n = ?", (place.n,)).fetchone()
    return str(digest.hex())


def _read_standing(db: Database) -> Standing:
    with db.reading() as sql:
        row = sql.execute(
            "SELECT town, id, acked, generation, position, resyncing, last_contact_at, order_done,"
            f" wiped, (SELECT max(n) FROM epoch), {is_whole('terminal')} FROM terminal"
        ).fetchone()
        if row is None:
            raise StoreError(f"{db.path}: holds no terminal yet")
        *row, is_whole_row = row
        if not is_whole_row:
            raise DamagedError(f"{db.path}: the row of the terminal does not match its checksum")
        town, terminal, mark, generation, position, *row = row
        resyncing, last_contact_at, order_done, wiped, newest = row
        waiting = sql.execute("SELECT epoch FROM entry WHERE n > ? ORDER BY n LIMIT 1", (mark,))
        number = (waiting.fetchone() or (newest,))[0]
        span = _span(sql, "n = ?", number)
        if span is None:
            raise DamagedError(f"{db.path}: epoch number {number} is missing")
        acked = _acked(sql, span, Place.of(mark))
        return Standing(
            town=town,
            terminal=terminal,
            epoch=span.base.epoch,
            epoch_number=number,
            is_newest=number == newest,
            oldest=span.base.seq + 1,
            end=span.end,
            acked=acked,
            previous=_previous(sql, number),
            mark=Place.of(mark),
            pending=span.end.seq - acked.seq + _count_after(sql, number, newest),
            generation=generation,
            position=position,
            resyncing=bool(resyncing),
            last_contact_at=last_contact_at,
            order_done=order_done,
            is_wiped=bool(wiped),
        )


def _acked(sql: sqlite3.Connection, span: EpochSpan, mark: Place) -> ChainEnd:
    """Return the newest acknowledged entry of the epoch that is being sent, or where it begins."""
    seq = mark.seq if mark.epoch_number == span.number else 0
    if seq <= span.base.seq:
        return span.base
    digest = hash_at(sql, Place(span.number, seq))
    return ChainEnd(epoch=span.base.epoch, seq=seq, hash=digest)


def _previous(sql: sqlite3.Connection, number: int) -> ChainEnd | None:
    """Return the newest kept entry of the epochs before epoch `number`."""
    row = sql.execute(
        "SELECT epoch.id, seq, hash FROM entry JOIN epoch ON epoch.n = entry.epoch"
        " WHERE entry.n < ? ORDER BY entry.n DESC LIMIT 1",
        (Place(number, 0).n,),
    ).fetchone()
    return ChainEnd(epoch=row[0], seq=row[1], hash=row[2].hex()) if row else None


def _count_after(sql: sqlite3.Connection, number: int, newest: int) -> int:
    """Return the entries of the epochs after epoch `number`."""
    if number == newest:
        return 0
    start = Place(number + 1, 0).n
    return int(sql.execute("SELECT count(*) FROM entry WHERE n >= ?", (start,)).fetchone()[0])


def _read_tail(db: Database) -> Tail:
    with db.reading() as sql:
        span = _span(sql, "n = (SELECT max(n) FROM epoch) AND ?", 1)
        if span is None:
            raise StoreError(f"{db.path}: holds no epoch yet")
        return Tail(Place(span.number, span.end.seq), span.end.hash, span.base.epoch)


def _span(sql: sqlite3.Connection, condition: str, value: object) -> EpochSpan | None:
    row = sql.execute(
        f"SELECT n, id, base_seq, base_hash FROM epoch WHERE {condition}", (value,)
    ).fetchone()
    if row is None:
        return None
    number, epoch, base_seq, base_hash = row
    base = ChainEnd(epoch=epoch, seq=base_seq, hash=base_hash.hex())
    newest = sql.execute(
        "SELECT n, hash FROM entry WHERE n > ? AND n < ? ORDER BY n DESC LIMIT 1",
        (number << SEQ_BITS, number + 1 << SEQ_BITS),
    ).fetchone()
    if newest is None:
        return EpochSpan(number=number, base=base, end=base)
    end = ChainEnd(epoch=epoch, seq=Place.of(newest[0]).seq, hash=newest[1].hex())
    return EpochSpan(number=number, base=base, end=end)
