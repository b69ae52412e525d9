"""Entries become postings.

A terminal's entries are a path in a tree: an entry is booked when the one it chains from is booked, once for its key and
hash. No entry is refused: it is applied, flagged (applied, someone should look) or set aside (kept, not applied), and the
account it names gets a new position in the same transaction, so that the terminal's `h` passes it (PROTOCOL.md, "What
the central must do"). What several meals of one account, service and day cost is a function of those that stand.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw, Struct

from agent.central.ledger import add_incident, bump_account, bury, give_order, post, prices
from agent.domain.canteen import Id, price_on
from agent.domain.clock import ClockTrust, Instant, day_of, format_instant, parse_instant
from agent.domain.ledger import Entry, Hash, Kind, Seq, entry_fault, genesis, received_hash
from agent.errors import SyncError
from agent.sync.messages import Entries, decode_entry

REASON_LENGTH_MAX = 200  # a decoder's complaint may quote what it read
HASH_REASON = "its hash does not fit"
SECOND_REASON = "already_served_elsewhere"
FOUND_LATER = "found later"


class _Place(Struct):
    """The least an entry must have to be kept under its key."""

    seq: Seq
    hash: Hash


@dataclass(slots=True)
class _Batch:
    """What is the same for all entries of a batch, the meals to settle after it as (account, service, day), and whatever its
    entries name as their account."""

    terminal: str
    site: str | None
    epoch: str
    at: Instant
    zone: ZoneInfo
    meals: set[tuple[str, str, str]] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Verdict:
    """What becomes of one entry."""

    status: str = "applied"
    reasons: list[str] = field(default_factory=list)
    account: str | None = None
    cents: int | None = None
    undoes: tuple[str, int, str] | None = None
    posting: str = ""

    def flag(self, reason: str) -> None:
        self.status = "flagged" if self.status == "applied" else self.status
        self.reasons.append(reason[:REASON_LENGTH_MAX])

    def put_aside(self, reason: str) -> None:
        self.status, self.account, self.cents = "set_aside", None, None
        self.reasons.append(reason[:REASON_LENGTH_MAX])


def book_batch(
    sql: sqlite3.Connection, *, terminal: str, site: str | None, message: Entries, at: Instant, zone: ZoneInfo, town: str
) -> bool:
    """Book what is new in a batch; return False if it does not join on to what is booked (a gap: nothing happens).

    Raise `SyncError` for a batch whose entries have no consecutive keys. The caller's transaction holds everything.
    """
    places = [_place(raw) for raw in message.entries]
    if [place.seq for place in places] != list(range(places[0].seq, places[0].seq + len(places))) or places[0].seq < 1:
        raise SyncError("the entries of a batch are not consecutive")
    if not _joins(sql, terminal, message, places[0].seq, town=town, at=at):
        return False
    batch = _Batch(terminal, site, message.epoch, at, zone)
    previous, fresh = message.prev, False
    for raw, place in zip(message.entries, places, strict=True):
        known = sql.execute(
            "SELECT hash FROM entry WHERE terminal = ? AND epoch = ? AND seq = ?", (terminal, message.epoch, place.seq)
        ).fetchall()
        if not any(row["hash"] == place.hash for row in known):
            _book(sql, batch, raw, place, previous, forked=bool(known))
            fresh = True
        previous = place.hash
    for account, service, day in sorted(batch.meals):
        settle_meals(sql, account, service, day, at=at)
    for account in sorted(batch.accounts):
        _renew(sql, batch, account)
    sql.execute(
        "UPDATE chain SET seq = ?1, hash = ?2 WHERE terminal = ?3 AND epoch = ?4 AND (?5 OR seq < ?1)",
        (places[-1].seq, previous, terminal, message.epoch, fresh),
    )
    return True


def settle_meals(sql: sqlite3.Connection, account: str, service: str, day: str, *, at: Instant) -> None:
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
        if is_second and SECOND_REASON not in row["reason"].split("; "):  # a later one came first, or its day was found later
            _remark(sql, key, SECOND_REASON)
        wanted = -row["cents"] if is_second and give_back else 0
        if wanted != row["given"]:
            reason = f"{service} of {day} was eaten once"
            post(sql, account=account, cents=wanted - row["given"], kind="double_meal", at=at, reason=reason, entry=key)


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
        "SELECT * FROM entry WHERE card = ? AND kind = 'unknown_meal' AND account IS NULL AND reason LIKE 'unknown_card%'", (token,)
    ).fetchall()
    for row in rows:
        key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
        undone = _storno_of(sql, key)
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
        undone = _storno_of(sql, key)
        _book_late(sql, row, account, 0 if undone else msgspec.json.decode(row["body"])["cents"], "meal", at=at)
    return len(rows)


def _book_late(sql: sqlite3.Connection, row: sqlite3.Row, account: str, cents: int, kind: str, *, at: Instant) -> None:
    """Book an entry that was put aside for a reason that has gone; other remarks on it stay."""
    key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
    remarks = row["reason"].split("; ")[1:]
    sql.execute(
        "UPDATE entry SET account = ?, cents = ?, status = ?, reason = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (account, cents, "flagged" if remarks else "applied", "; ".join([FOUND_LATER, *remarks]), *key),
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


def _joins(sql: sqlite3.Connection, terminal: str, message: Entries, first: int, *, town: str, at: Instant) -> bool:
    """Return whether the entry before `first`, on this terminal's own line, is booked; or is lost for good, which is an incident."""
    chain = sql.execute("SELECT seq, oldest FROM chain WHERE terminal = ? AND epoch = ?", (terminal, message.epoch)).fetchone()
    if chain is None:
        return False  # its hello is still to come
    if first == 1:
        return message.prev == genesis(town, terminal, message.epoch)
    if sql.execute(
        "SELECT 1 FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", (terminal, message.epoch, first - 1, message.prev)
    ).fetchone():
        return True
    if first == chain["oldest"] and first > chain["seq"] + 1:
        detail = f"epoch {message.epoch}: entries {chain['seq'] + 1} to {first - 1} are kept nowhere any more"
        add_incident(sql, at=at, terminal=terminal, kind="hole", detail=detail)
        return True
    return False


def _book(sql: sqlite3.Connection, batch: _Batch, raw: Raw, place: _Place, previous: str, *, forked: bool) -> None:
    verdict, entry = _Verdict(), None
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
        _judge(sql, batch, entry, verdict)
        if received_hash(previous, members) != place.hash:
            verdict.flag(HASH_REASON)
    if forked:
        verdict.flag("another entry has its number")
        sql.execute("UPDATE terminal SET forked = 1 WHERE id = ?", (batch.terminal,))
        detail = f"epoch {batch.epoch}: two entries {place.seq}; a restored or copied disk"
        add_incident(sql, at=batch.at, terminal=batch.terminal, kind="fork", detail=detail)
        give_order(sql, batch.terminal, "new_epoch")
    _insert(sql, batch, raw, place, previous, entry, verdict)
    batch.accounts.update(name for name in (members.get("account"), verdict.account) if _is_id(name))
    if entry is not None and entry.clock is not ClockTrust.UNSET:
        _correct_times(sql, batch, entry)


def _is_id(name: object) -> TypeGuard[str]:
    """Return whether an entry, readable or not, names an account that could exist."""
    try:
        msgspec.convert(name, Id)
    except msgspec.ValidationError:
        return False
    return True


def _judge(sql: sqlite3.Connection, batch: _Batch, entry: Entry, verdict: _Verdict) -> None:
    """Say what becomes of a well-formed entry."""
    match entry.kind:
        case Kind.MEAL:
            _judge_meal(sql, batch, entry, verdict)
        case Kind.UNKNOWN_MEAL:
            _judge_unknown_meal(sql, batch, entry, verdict)
        case Kind.STORNO:
            _judge_storno(sql, batch, entry, verdict)
        case Kind.REFUSAL | Kind.CLOSING:
            pass


def _judge_meal(sql: sqlite3.Connection, batch: _Batch, entry: Entry, verdict: _Verdict) -> None:
    account = sql.execute("SELECT status FROM account WHERE id = ?", (entry.account,)).fetchone()
    if account is None:
        return verdict.put_aside("unknown_account")
    verdict.account, verdict.cents, verdict.posting = entry.account, entry.cents, "meal"
    if account["status"] == "closed":
        verdict.flag("closed_account")
    card = sql.execute("SELECT account, status FROM card WHERE token = ?", (entry.card,)).fetchone()
    if card is not None and card["status"] != "active":
        verdict.flag("card_blocked")
    elif card is not None and card["account"] != entry.account:
        verdict.flag("card_of_another_account")
    return _flag_second(sql, entry.account, entry, verdict)


def _judge_unknown_meal(sql: sqlite3.Connection, batch: _Batch, entry: Entry, verdict: _Verdict) -> None:
    card = sql.execute("SELECT account, status FROM card WHERE token = ?", (entry.card,)).fetchone()
    if card is None:
        return verdict.put_aside("unknown_card")
    assert entry.service is not None and entry.day is not None
    price = price_on(prices(sql, card["account"]), entry.service, entry.day)
    verdict.account, verdict.cents, verdict.posting = card["account"], -(price or 0), "unknown_meal"
    if price is None:
        verdict.flag("no_price")
    if card["status"] != "active":
        verdict.flag("card_blocked")
    return _flag_second(sql, card["account"], entry, verdict)


def _flag_second(sql: sqlite3.Connection, account: str | None, entry: Entry, verdict: _Verdict) -> None:
    if entry.clock is ClockTrust.UNSET:
        return  # its day is a guess until its clock is corrected
    if sql.execute(
        "SELECT 1 FROM entry m WHERE account = ? AND true_day = ? AND service = ? AND kind IN ('meal', 'unknown_meal')"
        " AND cents IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)",
        (account, entry.day, entry.service),
    ).fetchone():
        verdict.flag(SECOND_REASON)


def _judge_storno(sql: sqlite3.Connection, batch: _Batch, entry: Entry, verdict: _Verdict) -> None:
    meal = _meal_undone(sql, batch, entry)
    assert entry.reverses is not None
    if meal is None and entry.reverses.hash is not None:
        # its meal may still come, from another copy of that disk: then both are booked
        verdict.undoes = (entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash)
    if meal is None or meal["kind"] not in ("meal", "unknown_meal"):
        return verdict.put_aside("storno_of_no_meal")
    key = (meal["epoch"], meal["seq"], meal["hash"])
    if _storno_of(sql, (batch.terminal, *key)) is not None:
        return verdict.put_aside("storno_repeated")
    verdict.undoes = key
    if meal["cents"] is None:
        return verdict.put_aside("storno_of_a_meal_set_aside")
    # the cents of an unknown card's meal were set here; for any other meal the terminal knows what it took
    verdict.account, verdict.posting = meal["account"], "storno"
    verdict.cents = -meal["cents"] if meal["kind"] == "unknown_meal" else entry.cents
    if verdict.cents != -meal["cents"]:
        verdict.flag("not_the_amount_of_its_meal")
    if meal["true_day"] is not None:
        batch.meals.add((meal["account"], meal["service"], meal["true_day"]))
    return None


def _meal_undone(sql: sqlite3.Connection, batch: _Batch, entry: Entry) -> sqlite3.Row | None:
    """Return the entry that a storno names: by its hash; without one, of two under one number the one that agrees in account and card."""
    assert entry.reverses is not None
    rows: list[sqlite3.Row] = sql.execute(
        "SELECT * FROM entry WHERE terminal = ?1 AND epoch = ?2 AND seq = ?3 AND hash = coalesce(?4, hash)",
        (batch.terminal, entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash),
    ).fetchall()
    agreeing = [row for row in rows if (row["account"], row["card"]) == (entry.account, entry.card)]
    return next(iter(agreeing or rows), None)


def _storno_of(sql: sqlite3.Connection, meal: tuple[str, str, int, str]) -> sqlite3.Row | None:
    """Return the storno of a meal, given as (terminal, epoch, seq, hash); there is at most one."""
    row: sqlite3.Row | None = sql.execute(
        # named, since the planner takes the primary key's first column for the better choice and reads all of a terminal
        "SELECT * FROM entry INDEXED BY entry_by_undone WHERE terminal = ? AND undoes_epoch = ? AND undoes_seq = ? AND undoes_hash = ?",
        meal,
    ).fetchone()
    return row


def _insert(sql: sqlite3.Connection, batch: _Batch, raw: Raw, place: _Place, previous: str, entry: Entry | None, verdict: _Verdict) -> None:
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
    if verdict.account is not None and verdict.cents is not None:
        key = (batch.terminal, batch.epoch, place.seq, place.hash)
        post(sql, account=verdict.account, cents=verdict.cents, kind=verdict.posting, at=batch.at, entry=key)
        if entry is not None and verdict.posting in ("meal", "unknown_meal"):
            if (storno := _storno_of(sql, key)) is not None:
                _book_late(sql, storno, verdict.account, -verdict.cents, "storno", at=batch.at)
            if SECOND_REASON in verdict.reasons and entry.service and entry.day:
                batch.meals.add((verdict.account, entry.service, entry.day))


def _renew(sql: sqlite3.Connection, batch: _Batch, account: str) -> None:
    """Let the terminal's `h` pass an entry: its account comes anew, or is said to be gone."""
    row = sql.execute("SELECT site FROM account WHERE id = ?", (account,)).fetchone()
    if row is not None:
        bump_account(sql, account)
    if batch.site is not None and (row is None or row["site"] != batch.site):
        bury(sql, batch.site, "account", account)


def _correct_times(sql: sqlite3.Connection, batch: _Batch, entry: Entry) -> None:
    """An entry whose clock is right tells the time of those of the same boot whose clock was not: beside, never over what they say."""
    rows = sql.execute(
        "SELECT * FROM entry INDEXED BY entry_by_unset_clock WHERE terminal = ? AND boot = ? AND true_at IS NULL",
        (batch.terminal, entry.boot),
    ).fetchall()
    for row in rows:
        true_at = format_instant(parse_instant(entry.at) - timedelta(milliseconds=entry.mono_ms - row["mono_ms"]))
        # a meal typed in for an earlier day keeps the day the staff gave it
        late = msgspec.json.decode(row["body"]).get("how") == "late"
        true_day = msgspec.json.decode(row["body"]).get("day") if late else day_of(true_at, batch.zone)
        sql.execute(
            "UPDATE entry SET true_at = ?, true_day = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
            (true_at, true_day, row["terminal"], row["epoch"], row["seq"], row["hash"]),
        )
        if row["account"] is not None and row["kind"] in ("meal", "unknown_meal"):
            _price_again(sql, batch, row, true_day)
            bump_account(sql, row["account"])
            batch.meals.add((row["account"], row["service"], true_day))


def _price_again(sql: sqlite3.Connection, batch: _Batch, row: sqlite3.Row, true_day: str) -> None:
    """The meal of an unknown card was priced here, by a day that was a guess: let it cost what its true day says."""
    key = (row["terminal"], row["epoch"], row["seq"], row["hash"])
    if row["kind"] != "unknown_meal" or row["cents"] is None or _storno_of(sql, key) is not None:
        return
    cents = -(price_on(prices(sql, row["account"]), row["service"], true_day) or 0)
    if cents != row["cents"]:
        sql.execute("UPDATE entry SET cents = ? WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?", (cents, *key))
        post(sql, account=row["account"], cents=cents - row["cents"], kind="unknown_meal", at=batch.at, entry=key)


def _double_meal(sql: sqlite3.Connection, day: str) -> str:
    row = sql.execute("SELECT double_meal FROM policy WHERE from_day <= ? ORDER BY from_day DESC LIMIT 1", (day,)).fetchone()
    return str(row["double_meal"]) if row else "give_back"
