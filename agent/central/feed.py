"""What a terminal is told: the compacted feed of records by position, and where its ledger stands here.

`acked` speaks only of entries that are proved to be on the terminal's own line: those its hello shows by their hashes and
those it has sent since. A disk that was restored would otherwise be told that entries it made anew are booked.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from agent.central.books.file import (
    add_incident,
    give_order,
    mint_generation,
    renumber_orders,
    resume_resync,
)
from agent.domain.canteen import (
    AccountRecord,
    AccountStatus,
    CardRecord,
    CardStatus,
    Category,
    GoneRecord,
    LastCredit,
    LastMeal,
    Price,
)
from agent.domain.clock import Instant
from agent.domain.digest import Tally, tally
from agent.domain.ledger import ChainEnd, canonical, genesis
from agent.sync.messages import Changes, Digest, Hello, Note, Order, is_done

CHUNK_BYTES_MAX = 192 * 1024  # leaves room within a message for notes and the rest
CHUNK_RECORDS = 50  # of the contract's 200: a terminal stores a message in one transaction, and a child that taps then waits for it
NOTES_MAX = 200

# for the thousands of records of a site: a look-up is a tenth of an enum's call
_ACCOUNT_STATUS = {one.value: one for one in AccountStatus}
_CARD_STATUS = {one.value: one for one in CardStatus}
_CATEGORY = {one.value: one for one in Category}
_last_meal = msgspec.json.Decoder(LastMeal).decode
_last_credit = msgspec.json.Decoder(LastCredit).decode


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """What a terminal has been told: generation, position, (epoch, seq) up to which notes were given, the newest order; and `before`,
    the newest entry of its earlier epochs, when that is booked."""

    generation: str | None
    position: int
    epoch: str
    seq: int
    order: str | None = None
    before: ChainEnd | None = None


def greet(
    sql: sqlite3.Connection,
    terminal: str,
    hello: Hello,
    *,
    town: str,
    at: Instant,
    new_generation: Callable[[], str],
) -> FeedCursor:
    """Take in a hello: find its line, see whether this central or that disk was restored. Return from where to tell on."""
    _see_central_restored(sql, terminal, hello, at=at, new_generation=new_generation)
    if hello.order_done is not None:
        # a central restored from a backup must not give an id that this terminal has done
        number = hello.order_done.rpartition("-")[2]
        if number.isascii() and number.isdigit() and len(number) < 10:
            sql.execute(
                "UPDATE terminal SET orders = max(orders, ?) WHERE id = ?", (int(number), terminal)
            )
        done = (terminal, hello.order_done)
        if sql.execute(
            "UPDATE terminal SET order_id = NULL, order_do = NULL WHERE id = ? AND order_id = ?",
            done,
        ).rowcount:
            resume_resync(sql, terminal)
        (waiting,) = sql.execute(
            "SELECT order_id FROM terminal WHERE id = ?", (terminal,)
        ).fetchone() or (None,)
        if waiting is not None and is_done(waiting, hello.order_done):
            renumber_orders(sql, terminal)
    _find_line(sql, terminal, hello, town=town, at=at)
    sql.execute(
        "UPDATE terminal SET hello_at = ?, hello = ? WHERE id = ?",
        (at, msgspec.json.encode(hello).decode(), terminal),
    )
    (generation,) = sql.execute("SELECT generation FROM central").fetchone()
    position = hello.position if hello.generation == generation else 0
    before = (
        hello.before if hello.before is not None and _has(sql, terminal, hello.before) else None
    )
    return FeedCursor(hello.generation, position, hello.epoch, hello.acked, before=before)


def changes(
    sql: sqlite3.Connection,
    terminal: str,
    told: FeedCursor,
    *,
    at: Instant,
    digests: dict[str, Digest] | None,
) -> Changes | None:
    """Return what is new for a terminal since it was told last, None for a terminal that has not said hello. One transaction holds it.

    `digests` are those made before, by site, and None where no digest is wanted.
    """
    row = sql.execute(
        "SELECT site, order_id, order_do FROM terminal WHERE id = ?", (terminal,)
    ).fetchone()
    chain = sql.execute(
        "SELECT seq, hash FROM chain WHERE terminal = ? AND epoch = ?", (terminal, told.epoch)
    ).fetchone()
    if row is None or chain is None:
        return None
    notes = _notes(sql, terminal, told, chain["seq"])
    cut = len(notes) == NOTES_MAX
    seq, digest_of = (notes[-1]["seq"], notes[-1]["hash"]) if cut else (chain["seq"], chain["hash"])
    acked = ChainEnd(epoch=told.epoch, seq=seq, hash=digest_of)
    generation, position = sql.execute("SELECT generation, position FROM central").fetchone()
    blank = told.position == 0
    without_records = Changes(
        generation=generation,
        from_position=told.position,
        to=told.position,
        more=blank,
        reset=blank,
        until=position if blank else None,
        replaces=told.generation if told.generation != generation else None,
        acked=acked,
        before=told.before,
        notes_after=told.seq,
        notes=[
            Note(seq=note["seq"], status=note["status"], reason=note["reason"]) for note in notes
        ],
        order=Order(id=row["order_id"], do=row["order_do"]) if row["order_id"] else None,
        at=at,
    )
    if cut or _booked_beyond(sql, terminal, told.epoch, chain):
        # Balances contain entries that `acked` does not name: no record leaves until the terminal has shown its own, or begun anew.
        return without_records
    records, last, more = _chunk(sql, row["site"], told.position)
    is_all = digests is not None and not more and without_records.order is None
    digest = (
        _digest(sql, row["site"], position, digests) if digests is not None and is_all else None
    )
    return msgspec.structs.replace(
        without_records, to=last if more else position, more=more, records=records, digest=digest
    )


def _chunk(sql: sqlite3.Connection, site: str | None, after: int) -> tuple[list[Raw], int, bool]:
    """Return as many records as a message may have, the position of the last, and whether there are more."""
    records: list[Raw] = []
    last, bytes_so_far = after, 0
    for p, _, body in _records_between(sql, site, after, _chunk_end(sql, site, after)):
        if len(records) == CHUNK_RECORDS or (
            records and bytes_so_far + len(body) > CHUNK_BYTES_MAX
        ):
            return records, last, True
        records.append(Raw(body))
        bytes_so_far, last = bytes_so_far + len(body), p
    return records, last, False


def _booked_beyond(sql: sqlite3.Connection, terminal: str, epoch: str, chain: sqlite3.Row) -> bool:
    """Return whether entries behind the chain are booked: an acknowledgement got lost, a hello came late, or a disk was restored."""
    key = (terminal, epoch, chain["seq"])
    return (
        sql.execute(
            "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq > ? LIMIT 1", key
        ).fetchone()
        is not None
    )


def _see_central_restored(
    sql: sqlite3.Connection,
    terminal: str,
    hello: Hello,
    *,
    at: Instant,
    new_generation: Callable[[], str],
) -> None:
    """A terminal that knows more than we do proves that we were restored: begin a new generation, once for what it proves."""
    generation, position = sql.execute("SELECT generation, position FROM central").fetchone()
    if hello.generation is None:
        return
    known = sql.execute("SELECT 1 FROM generation WHERE id = ?", (hello.generation,)).fetchone()
    acked = ChainEnd(epoch=hello.epoch, seq=hello.acked, hash=hello.acked_head)
    if hello.generation == generation and hello.position > position:
        proof = f"terminal {terminal} is at position {hello.position}, we are at {position}"
    elif (
        hello.generation == generation
        and hello.acked >= hello.oldest
        and not _has(sql, terminal, acked)
    ):
        proof = f"terminal {terminal} was told that entry {hello.acked} is booked"
    elif (
        hello.generation == generation
        and hello.before is not None
        and not _has(sql, terminal, hello.before)
    ):
        proof = f"terminal {terminal} was told that entry {hello.before.seq} of epoch {hello.before.epoch} is booked"
    elif not known:
        proof = f"terminal {terminal} knows a generation {hello.generation[:8]} that we do not"
        sql.execute(
            "INSERT INTO generation VALUES (?, ?, ?)",
            (hello.generation, at, f"told by terminal {terminal}"),
        )
    else:
        return
    mint_generation(sql, new_generation(), at=at, reason=f"restored from a backup: {proof}")


def _has(sql: sqlite3.Connection, terminal: str, entry: ChainEnd) -> bool:
    key = (terminal, entry.epoch, entry.seq, entry.hash)
    return (
        sql.execute(
            "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", key
        ).fetchone()
        is not None
    )


def _find_line(
    sql: sqlite3.Connection, terminal: str, hello: Hello, *, town: str, at: Instant
) -> None:
    """Set the chain to the newest entry that the hello proves to be on the terminal's line."""
    start = genesis(town, terminal, hello.epoch)
    chain = sql.execute(
        "SELECT seq, hash FROM chain WHERE terminal = ? AND epoch = ?", (terminal, hello.epoch)
    ).fetchone()
    if chain is None:
        (seen,) = sql.execute(
            "SELECT count(*) FROM chain WHERE terminal = ?", (terminal,)
        ).fetchone()
        sql.execute(
            "INSERT INTO chain VALUES (?, ?, 0, ?, 1, ?)", (terminal, hello.epoch, start, seen + 1)
        )
    (newest,) = sql.execute(
        "SELECT coalesce(max(seq), 0) FROM entry WHERE terminal = ? AND epoch = ?",
        (terminal, hello.epoch),
    ).fetchone()
    (generation,) = sql.execute("SELECT generation FROM central").fetchone()
    told = (
        hello.acked if hello.generation == generation else 0
    )  # what another life of ours had booked says nothing of this one
    proved = [(hello.last, hello.head), (hello.acked, hello.acked_head)]
    if _lacks_kept_entries(sql, terminal, hello, told):
        proved = [(told, hello.acked_head)] if told else []
    seq, digest = next(
        (line for line in proved if _is_booked(sql, terminal, hello.epoch, *line, start)),
        (None, None),
    )
    if seq is None:
        seq, digest = 0, start  # it sends again all it keeps, and what we have is recognised
    elif hello.last < newest and not _may_be_late(sql, terminal, hello):
        detail = (
            f"epoch {hello.epoch}: ends at entry {hello.last}, we have {newest}; a restored disk"
        )
        if _order_new_epoch(sql, terminal):
            add_incident(sql, at=at, terminal=terminal, kind="restored_disk", detail=detail)
    sql.execute(
        "UPDATE chain SET seq = ?, hash = ?, oldest = ? WHERE terminal = ? AND epoch = ?",
        (seq, digest, hello.oldest, terminal, hello.epoch),
    )


def _lacks_kept_entries(sql: sqlite3.Connection, terminal: str, hello: Hello, told: int) -> bool:
    """Return whether there is a hole in what is booked after entry `told` that this terminal can fill: another copy of its disk had
    forgotten what was there."""
    row = sql.execute(
        "SELECT 1 FROM entry e WHERE terminal = ? AND epoch = ? AND seq > ? AND seq <= ? AND NOT EXISTS"
        " (SELECT 1 FROM entry p WHERE p.terminal = e.terminal AND p.epoch = e.epoch AND p.seq = e.seq - 1 AND p.hash = e.prev) LIMIT 1",
        (terminal, hello.epoch, max(hello.oldest, told + 1), hello.last + 1),
    ).fetchone()
    return row is not None


def _may_be_late(sql: sqlite3.Connection, terminal: str, hello: Hello) -> bool:
    """Return whether a hello may be an old one the broker delivers late: older than the one before, and not said again since."""
    (text,) = sql.execute("SELECT hello FROM terminal WHERE id = ?", (terminal,)).fetchone()
    if text is None:
        return False
    before = msgspec.json.decode(text, type=Hello)
    said_again = hello.at != before.at and (hello.last, hello.head) == (before.last, before.head)
    return hello.at <= before.at and not said_again


def _order_new_epoch(sql: sqlite3.Connection, terminal: str) -> bool:
    """Order a new epoch; return False if that waits already."""
    waits = sql.execute(
        "SELECT 1 FROM terminal WHERE id = ? AND order_do = 'new_epoch'", (terminal,)
    ).fetchone()
    if waits is None:
        give_order(sql, terminal, "new_epoch")
    return waits is None


def _is_booked(
    sql: sqlite3.Connection, terminal: str, epoch: str, seq: int, digest: str, start: str
) -> bool:
    if seq == 0:
        return digest == start
    key = (terminal, epoch, seq, digest)
    return (
        sql.execute(
            "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", key
        ).fetchone()
        is not None
    )


def _notes(
    sql: sqlite3.Connection, terminal: str, told: FeedCursor, booked: int
) -> list[sqlite3.Row]:
    return sql.execute(
        "SELECT seq, hash, status, reason FROM entry WHERE terminal = ? AND epoch = ? AND seq > ? AND seq <= ? AND status <> 'applied'"
        " ORDER BY seq LIMIT ?",
        (terminal, told.epoch, told.seq, booked, NOTES_MAX),
    ).fetchall()


# What is new is looked for from the positions on, all of a site from its accounts on: the planner cannot know which is less.
_CARDS_SINCE = "card INDEXED BY card_by_position CROSS JOIN account ON account.id = card.account"
_CARDS_OF_SITE = "account CROSS JOIN card ON card.account = account.id"


def site_records(
    sql: sqlite3.Connection, site: str | None, after: int
) -> list[tuple[int, str, bytes]]:
    """Return (position, kind, canonical JSON) of every record of a site that changed after a position, in order."""
    return _records_between(sql, site, after, 2**63 - 1)


def _chunk_end(sql: sqlite3.Connection, site: str | None, after: int) -> int:
    """Return the position of the last record that may still be in a chunk that begins after `after`."""
    row = sql.execute(
        "SELECT p FROM (SELECT p FROM account WHERE site = ?1 AND p > ?2"
        f" UNION ALL SELECT card.p FROM {_CARDS_SINCE} WHERE account.site = ?1 AND card.p > ?2"
        " UNION ALL SELECT p FROM policy WHERE ?1 IS NOT NULL AND p > ?2"
        " UNION ALL SELECT p FROM service WHERE site = ?1 AND p > ?2"
        " UNION ALL SELECT p FROM tombstone WHERE site = ?1 AND p > ?2 AND ?2 > 0) ORDER BY p LIMIT 1 OFFSET ?3",
        (site, after, CHUNK_RECORDS),
    ).fetchone()
    return 2**63 - 1 if row is None else int(row["p"])


def _records_between(
    sql: sqlite3.Connection, site: str | None, after: int, to: int
) -> list[tuple[int, str, bytes]]:
    if site is None:
        return []  # a retired terminal sees nothing
    span = (site, after, to)
    found: list[tuple[int, str, bytes]] = [
        (record.p, "account", canonical(record)) for record in _accounts(sql, span)
    ]
    for p, token, account, status in sql.execute(
        f"SELECT card.p, token, account, card.status FROM {_CARDS_SINCE if after else _CARDS_OF_SITE}"
        " WHERE account.site = ? AND card.p > ? AND card.p <= ?",
        span,
    ):
        found.append(
            (
                p,
                "card",
                canonical(CardRecord(id=token, p=p, account=account, status=_CARD_STATUS[status])),
            )
        )
    for kind, rows in (
        ("policy", sql.execute("SELECT p, body FROM policy WHERE p > ? AND p <= ?", span[1:])),
        (
            "service",
            sql.execute("SELECT p, body FROM service WHERE site = ? AND p > ? AND p <= ?", span),
        ),
    ):
        found += [
            (
                row["p"],
                kind,
                canonical({**msgspec.json.decode(row["body"]), "k": kind, "p": row["p"]}),
            )
            for row in rows
        ]
    if after > 0:  # whoever begins from nothing has nothing to forget
        for row in sql.execute(
            "SELECT p, kind, id FROM tombstone WHERE site = ? AND p > ? AND p <= ?", span
        ):
            found.append(
                (row["p"], "gone", canonical(GoneRecord(of=row["kind"], id=row["id"], p=row["p"])))
            )
    return sorted(found)


def _accounts(sql: sqlite3.Connection, span: tuple[str, int, int]) -> Iterator[AccountRecord]:
    """Yield the accounts of (site, after, to)."""
    prices: dict[str, list[Price]] = {}
    for account, service, day, cents in sql.execute(
        "SELECT price.account, service, from_day, cents FROM account JOIN price ON price.account = account.id"
        " WHERE site = ? AND p > ? AND p <= ? ORDER BY price.account, service, from_day",
        span,
    ):
        prices.setdefault(account, []).append(Price(from_day=day, service=service, cents=cents))
    (labels,) = sql.execute("SELECT labels FROM central").fetchone()
    for account, p, balance, status, category, group, label, dish, meal, credit in sql.execute(
        "SELECT id, p, balance, status, category, class, label, dish,"
        " (SELECT json_object('day', true_day, 'service', service, 'terminal', terminal)"
        " FROM entry m WHERE m.account = account.id AND true_day IS NOT NULL"
        " AND kind IN ('meal', 'unknown_meal') AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)"
        " ORDER BY true_day DESC, true_at DESC LIMIT 1) AS meal,"
        " (SELECT json_object('cents', cents, 'at', at, 'channel', channel) FROM posting"
        " WHERE posting.account = account.id AND kind = 'top_up'"
        " ORDER BY n DESC LIMIT 1) AS credit FROM account WHERE site = ? AND p > ? AND p <= ?",
        span,
    ):
        yield AccountRecord(
            id=account,
            p=p,
            balance=balance,
            prices=prices.get(account, []),
            status=_ACCOUNT_STATUS[status],
            category=_CATEGORY[category],
            group=group,
            label=label if labels else None,
            dish=dish,
            last_meal=_last_meal(meal) if meal else None,
            last_credit=_last_credit(credit) if credit else None,
        )


def _digest(
    sql: sqlite3.Connection, site: str | None, position: int, made: dict[str, Digest]
) -> Digest:
    """Return a site's digest. Within one life of the database a position stands for one state of all records."""
    digest = made.get(site or "")
    if digest is None or digest.position != position:
        total = tally(((kind, body) for _, kind, body in site_records(sql, site, 0)), Tally())
        digest = Digest(
            position=position,
            accounts=total.accounts,
            cards=total.cards,
            cents=total.cents,
            sum=total.sum_hex,
        )
        made[site or ""] = digest
    return digest
