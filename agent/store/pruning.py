"""Deletes old entries from a terminal's ledger. Each function is one transaction."""

from agent.domain.clock import Instant
from agent.domain.ledger import Place
from agent.store.database import Database
from agent.store.insertion import IS_WRONG_TIME

PRUNE_ROWS_MAX = 500  # one step of pruning takes no longer than a tap may wait
_IS_DATED = f"(m.body ->> '$.clock' = 'synced' AND NOT {IS_WRONG_TIME})"


def oldest_dated_at(db: Database) -> Instant | None:
    """Return the time of the oldest kept entry with a confirmed time."""
    row = db.row(f"SELECT m.body ->> '$.at' FROM entry m WHERE {_IS_DATED} ORDER BY m.n LIMIT 1")
    return str(row[0]) if row else None


def newest_dated_at(db: Database) -> Instant | None:
    """Return the time of the newest kept entry with a confirmed time."""
    row = db.row(
        f"SELECT m.body ->> '$.at' FROM entry m WHERE {_IS_DATED} ORDER BY m.n DESC LIMIT 1"
    )
    return str(row[0]) if row else None


def prune(db: Database, *, before: Instant, below: int) -> int:
    """Delete the oldest entries that are acknowledged, old, and inside their balance.

    Old means before `before`, by a confirmed time; entries without one are as old as the next entry
    that has one. Entries from place `below` on are kept, whatever their time. Return how many: at
    most `PRUNE_ROWS_MAX`, or more that have no time and the one behind them. Only a prefix goes, so
    that `oldest` describes what is kept. The newest acknowledged entry of any epoch stays: the
    chain and the hello need it.
    """
    with db.transaction() as sql:
        ends: dict[int, tuple[int, bytes]] = {}  # epoch number -> seq and hash of its last deleted
        reached: dict[int, tuple[int, bytes]] = {}
        count = last = 0
        for number, (n, at, digest, is_dated, is_inside) in enumerate(
            sql.execute(
                f"SELECT m.n, m.body ->> '$.at', m.hash, {_IS_DATED}, r.id IS NULL OR r.h >= m.n"
                " FROM entry m LEFT JOIN record r ON r.kind = 'account' AND r.id = m.eater"
                " WHERE m.n < (SELECT max(n) FROM entry WHERE n <= (SELECT acked FROM terminal))"
                " AND m.n < ? ORDER BY m.n",
                (below,),
            ),
            start=1,
        ):
            is_enough = number > PRUNE_ROWS_MAX and count > 0
            if is_enough or (is_dated and at >= before) or not is_inside:
                break
            place = Place.of(n)
            reached[place.epoch_number] = (place.seq, digest)
            if is_dated:
                ends, count, last = dict(reached), number, n
        if not ends:
            return 0
        sql.execute("UPDATE terminal SET pruning = 1")
        sql.execute("DELETE FROM entry WHERE n <= ?", (last,))
        sql.execute("DELETE FROM note WHERE n <= ?", (last,))
        sql.execute("DELETE FROM wrong_time WHERE last <= ?", (last,))
        sql.execute("UPDATE terminal SET pruning = 0")
        for number, end in ends.items():
            sql.execute("UPDATE epoch SET base_seq = ?, base_hash = ? WHERE n = ?", (*end, number))
    return count
