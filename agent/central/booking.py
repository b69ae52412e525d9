"""Entries become postings.

A terminal's entries are a path in a tree: an entry is booked when the one it chains from is booked, once for its key and
hash. No entry is refused: it is applied, flagged (applied, someone should look) or set aside (kept, not applied), and the
account it names gets a new position in the same transaction, so that the terminal's `h` passes it (PROTOCOL.md, "What
the central must do"). What several meals of one account, service and day cost is a function of those that stand.
"""

import sqlite3
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw, Struct

from agent.central.books.file import (
    add_incident,
    add_posting,
    add_tombstone,
    bump_account,
    give_order,
    move_balance,
    post,
    prices,
)
from agent.central.verdict import SECOND_REASON, Batch, Verdict, judge, storno_of
from agent.domain.canteen import Id, price_on
from agent.domain.clock import ClockTrust, Instant, day_of, format_instant, parse_instant
from agent.domain.ledger import Entry, Hash, Seq, entry_fault, genesis, received_hash
from agent.errors import SyncError
from agent.sync.messages import Entries, decode_entry

HASH_REASON = "its hash does not fit"
FOUND_LATER = "found later"


class _Place(Struct):
    """The least an entry must have to be kept under its key."""

    seq: Seq
    hash: Hash


def book_batch(
    sql: sqlite3.Connection,
    *,
    terminal: str,
    site: str | None,
    message: Entries,
    at: Instant,
    zone: ZoneInfo,
    town: str,
) -> bool:
    """Book what is new in a batch; return False if it does not join on to what is booked (a gap: nothing happens).

    Raise `SyncError` for a batch whose entries have no consecutive keys. The caller's transaction holds everything.
    """
    places = [_place(raw) for raw in message.entries]
    if [place.seq for place in places] != list(
        range(places[0].seq, places[0].seq + len(places))
    ) or places[0].seq < 1:
        raise SyncError("the entries of a batch are not consecutive")
    if not _joins(sql, terminal, message, places[0].seq, town=town, at=at):
        return False
    batch = _begun(sql, terminal, site, message.epoch, at, zone, (places[0].seq, places[-1].seq))
    previous, fresh = message.prev, False
    for raw, place in zip(message.entries, places, strict=True):
        known = batch.booked.get(place.seq, set())
        if place.hash not in known:
            _book(sql, batch, raw, place, previous, forked=bool(known))
            fresh = True
        previous = place.hash
    for account, service, day in sorted(batch.meals):
        settle_meals(sql, account, service, day, at=at)
    for account, cents in sorted(batch.accounts.items()):
        _renew(sql, batch, account, cents)
    sql.execute(
        "UPDATE chain SET seq = ?1, hash = ?2 WHERE terminal = ?3 AND epoch = ?4 AND (?5 OR seq < ?1)",
        (places[-1].seq, previous, terminal, message.epoch, fresh),
    )
    return True


def _begun(
    sql: sqlite3.Connection,
    terminal: str,
    site: str | None,
    epoch: str,
    at: Instant,
    zone: ZoneInfo,
    span: tuple[int, int],
) -> Batch:
    booked: dict[int, set[str]] = {}
    for row in sql.execute(
        "SELECT seq, hash FROM entry WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?",
        (terminal, epoch, *span),
    ):
        booked.setdefault(row["seq"], set()).add(row["hash"])
    undone = sql.execute(
        "SELECT undoes_seq FROM entry INDEXED BY entry_by_undone WHERE terminal = ? AND undoes_epoch = ? AND undoes_seq BETWEEN ? AND ?",
        (terminal, epoch, *span),
    )
    return Batch(terminal, site, epoch, at, zone, booked, {row["undoes_seq"] for row in undone})


def settle_meals(
    sql: sqlite3.Connection, account: str, service: str, day: str, *, at: Instant
) -> None:
    """Give back all but the first standing meal of an account, service and day, by the policy of that day; or take it back again."""
    rows = sql.execute(
        "SELECT m.terminal, m.epoch, m.seq, m.hash, m.cents, m.reason, NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash) AS stands,"
        " (SELECT coalesce(sum(cents), 0) FROM posting p WHERE (p.terminal, p.epoch, p.seq, p.hash) ="
        " (m.terminal, m.epoch, m.seq, m.hash) AND p.kind = 'double_meal') AS given"
        " FROM entry m WHERE m.account = ? AND m.true_day = ? AND m.service = ? AND m.kind IN ('meal', 'unknown_meal')"
        " AND m.cents IS NOT NULL ORDER BY m.true_at, m.terminal, m.seq, m.hash",
        (account, day, service),
    ).fetchall()
    give_back = _double_meal(sql, day) == "give_back"
    first_seen = False
    for row in rows:
        key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
        is_second = bool(row["stands"]) and first_seen
        first_seen = first_seen or bool(row["stands"])
        if is_second and SECOND_REASON not in row["reason"].split(
            "; "
        ):  # a later one came first, or its day was found later
            _remark(sql, key, SECOND_REASON)
        wanted = -row["cents"] if is_second and give_back else 0
        if wanted != row["given"]:
            reason = f"{service} of {day} was eaten once"
            post(
                sql,
                account=account,
                cents=wanted - row["given"],
                kind="double_meal",
                at=at,
                reason=reason,
                entry=key,
            )


def _remark(sql: sqlite3.Connection, key: tuple[str, str, int, str], remark: str) -> None:
    """Flag an entry that was booked, so that the office sees it."""
    sql.execute(
        "UPDATE entry SET status = 'flagged', reason = ltrim(reason || '; ' || ?, '; ')"
        " WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (remark, *key),
    )


def settle_meals_from(sql: sqlite3.Connection, day: str, *, at: Instant) -> None:
    """Settle all meals of a day and later again: the rule for double meals has changed."""
    rows = sql.execute(
        "SELECT account, service, true_day FROM entry WHERE true_day >= ? AND account IS NOT NULL AND kind IN ('meal', 'unknown_meal')"
        " GROUP BY account, service, true_day HAVING count(*) > 1 ORDER BY account, service, true_day",
        (day,),
    ).fetchall()
    for row in rows:
        settle_meals(sql, row["account"], row["service"], row["true_day"], at=at)


def book_found_card(sql: sqlite3.Connection, token: str, account: str, *, at: Instant) -> int:
    """Book the meals that were served to a card before anybody knew whose it is; return how many."""
    rows = sql.execute(
        "SELECT * FROM entry WHERE card = ? AND kind = 'unknown_meal' AND account IS NULL AND reason LIKE 'unknown_card%'",
        (token,),
    ).fetchall()
    for row in rows:
        key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
        undone = storno_of(sql, key)
        day = row["true_day"] or msgspec.json.decode(row["body"])["day"]
        cents = 0 if undone else -(price_on(prices(sql, account), row["service"], day) or 0)
        _book_late(sql, row, account, cents, "unknown_meal", at=at)
    return len(rows)


def book_found_account(sql: sqlite3.Connection, account: str, *, at: Instant) -> int:
    """Book the meals that named an account before the central had it; return how many."""
    rows = sql.execute(
        "SELECT * FROM entry WHERE status = 'set_aside' AND kind = 'meal' AND body ->> '$.account' = ? AND reason LIKE 'unknown_account%'",
        (account,),
    ).fetchall()
    for row in rows:
        key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
        undone = storno_of(sql, key)
        _book_late(
            sql,
            row,
            account,
            0 if undone else msgspec.json.decode(row["body"])["cents"],
            "meal",
            at=at,
        )
    return len(rows)


def _book_late(
    sql: sqlite3.Connection, row: sqlite3.Row, account: str, cents: int, kind: str, *, at: Instant
) -> None:
    """Book an entry that was put aside for a reason that has gone; other remarks on it stay."""
    key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
    remarks = row["reason"].split("; ")[1:]
    sql.execute(
        "UPDATE entry SET account = ?, cents = ?, status = ?, reason = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (
            account,
            cents,
            "flagged" if remarks else "applied",
            "; ".join([FOUND_LATER, *remarks]),
            *key,
        ),
    )
    post(sql, account=account, cents=cents, kind=kind, at=at, entry=key)
    if row["true_day"] and kind != "storno":
        settle_meals(sql, account, row["service"], row["true_day"], at=at)


def _place(raw: Raw) -> _Place:
    try:
        place = msgspec.json.decode(raw, type=_Place)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SyncError(f"an entry without seq and hash: {error}") from error
    return place


def _joins(
    sql: sqlite3.Connection, terminal: str, message: Entries, first: int, *, town: str, at: Instant
) -> bool:
    """Return whether the entry before `first`, on this terminal's own line, is booked; or is lost for good, which is an incident."""
    chain = sql.execute(
        "SELECT seq, oldest FROM chain WHERE terminal = ? AND epoch = ?", (terminal, message.epoch)
    ).fetchone()
    if chain is None:
        return False  # its hello is still to come
    if first == 1:
        return message.prev == genesis(town, terminal, message.epoch)
    if sql.execute(
        "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (terminal, message.epoch, first - 1, message.prev),
    ).fetchone():
        return True
    if first == chain["oldest"] and first > chain["seq"] + 1:
        detail = f"epoch {message.epoch}: entries {chain['seq'] + 1} to {first - 1} are kept nowhere any more"
        add_incident(sql, at=at, terminal=terminal, kind="hole", detail=detail)
        return True
    return False


def _book(
    sql: sqlite3.Connection, batch: Batch, raw: Raw, place: _Place, previous: str, *, forked: bool
) -> None:
    verdict, entry = Verdict(), None
    members: dict[str, Any] = {}
    try:
        members = msgspec.json.decode(raw)
        entry = decode_entry(raw)
        fault = entry_fault(entry)
    except (SyncError, msgspec.ValidationError) as error:
        fault = str(error)
    if fault is not None:
        verdict.put_aside(fault)
    elif entry is not None:
        judge(sql, batch, entry, verdict)
        if received_hash(previous, members) != place.hash:
            verdict.flag(HASH_REASON)
    if forked:
        verdict.flag("another entry has its number")
        sql.execute("UPDATE terminal SET forked = 1 WHERE id = ?", (batch.terminal,))
        detail = f"epoch {batch.epoch}: two entries {place.seq}; a restored or copied disk"
        add_incident(sql, at=batch.at, terminal=batch.terminal, kind="fork", detail=detail)
        give_order(sql, batch.terminal, "new_epoch")
    _insert(sql, batch, raw, place, previous, entry, verdict)
    named = members.get("account")
    if isinstance(named, str) and named not in batch.accounts and _is_id(named):
        batch.accounts[named] = 0
    if entry is None:
        return
    if entry.clock is ClockTrust.UNSET:
        batch.corrected_boots.discard(entry.boot)
    elif entry.boot not in batch.corrected_boots:
        batch.corrected_boots.add(entry.boot)
        _correct_times(sql, batch, entry)


def _is_id(name: str) -> bool:
    """Return whether an entry, readable or not, names an account that could exist."""
    try:
        msgspec.convert(name, Id)
    except msgspec.ValidationError:
        return False
    return True


def _insert(
    sql: sqlite3.Connection,
    batch: Batch,
    raw: Raw,
    place: _Place,
    previous: str,
    entry: Entry | None,
    verdict: Verdict,
) -> None:
    trusted = entry is not None and entry.clock is not ClockTrust.UNSET
    sql.execute(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            batch.terminal,
            batch.epoch,
            place.seq,
            place.hash,
            previous,
            entry.kind.value if entry else "unreadable",
            entry.at if entry else None,
            entry.boot if entry else None,
            entry.mono_ms if entry else None,
            entry.clock.value if entry else None,
            entry.service if entry else None,
            entry.card if entry else None,
            entry.at if entry and trusted else None,
            entry.day if entry and trusted else None,
            verdict.account,
            verdict.cents,
            *(verdict.undoes or (None, None, None)),
            verdict.status,
            "; ".join(verdict.reasons),
            bytes(raw).decode(),
        ),
    )
    if verdict.undoes is not None and verdict.undoes[0] == batch.epoch:
        batch.undone.add(verdict.undoes[1])
    if verdict.account is not None and verdict.cents is not None:
        key = (batch.terminal, batch.epoch, place.seq, place.hash)
        add_posting(
            sql,
            account=verdict.account,
            cents=verdict.cents,
            kind=verdict.posting,
            at=batch.at,
            entry=key,
        )
        batch.accounts[verdict.account] = batch.accounts.get(verdict.account, 0) + verdict.cents
        if entry is not None and verdict.posting in ("meal", "unknown_meal"):
            if place.seq in batch.undone and (storno := storno_of(sql, key)) is not None:
                _book_late(sql, storno, verdict.account, -verdict.cents, "storno", at=batch.at)
            if SECOND_REASON in verdict.reasons and entry.service and entry.day:
                batch.meals.add((verdict.account, entry.service, entry.day))


def _renew(sql: sqlite3.Connection, batch: Batch, account: str, cents: int) -> None:
    """Move a balance by what the batch has posted. Let the terminal's `h` pass its entries: the account comes anew, or is gone."""
    row = sql.execute("SELECT site FROM account WHERE id = ?", (account,)).fetchone()
    if row is not None:
        move_balance(sql, account, cents)
    if batch.site is not None and (row is None or row["site"] != batch.site):
        add_tombstone(sql, batch.site, "account", account)


def _correct_times(sql: sqlite3.Connection, batch: Batch, entry: Entry) -> None:
    """An entry whose clock is right tells the time of those of the same boot whose clock was not: beside, never over what they say."""
    rows = sql.execute(
        "SELECT * FROM entry INDEXED BY entry_by_unset_clock WHERE terminal = ? AND boot = ? AND true_at IS NULL",
        (batch.terminal, entry.boot),
    ).fetchall()
    for row in rows:
        true_at = format_instant(
            parse_instant(entry.at) - timedelta(milliseconds=entry.mono_ms - row["mono_ms"])
        )
        # a meal typed in for an earlier day keeps the day the staff gave it
        late = msgspec.json.decode(row["body"]).get("how") == "late"
        true_day = (
            msgspec.json.decode(row["body"]).get("day") if late else day_of(true_at, batch.zone)
        )
        sql.execute(
            "UPDATE entry SET true_at = ?, true_day = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
            (true_at, true_day, row["terminal"], row["epoch"], row["seq"], row["hash"]),
        )
        if row["account"] is not None and row["kind"] in ("meal", "unknown_meal"):
            _price_again(sql, batch, row, true_day)
            bump_account(sql, row["account"])
            batch.meals.add((row["account"], row["service"], true_day))


def _price_again(sql: sqlite3.Connection, batch: Batch, row: sqlite3.Row, true_day: str) -> None:
    """The meal of an unknown card was priced here, by a day that was a guess: let it cost what its true day says."""
    key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
    if row["kind"] != "unknown_meal" or row["cents"] is None or storno_of(sql, key) is not None:
        return
    cents = -(price_on(prices(sql, row["account"]), row["service"], true_day) or 0)
    if cents != row["cents"]:
        sql.execute(
            "UPDATE entry SET cents = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
            (cents, *key),
        )
        post(
            sql,
            account=row["account"],
            cents=cents - row["cents"],
            kind="unknown_meal",
            at=batch.at,
            entry=key,
        )


def _double_meal(sql: sqlite3.Connection, day: str) -> str:
    row = sql.execute(
        "SELECT double_meal FROM policy WHERE from_day <= ? ORDER BY from_day DESC LIMIT 1", (day,)
    ).fetchone()
    return str(row["double_meal"]) if row else "give_back"
