"""What becomes of one entry: applied, flagged (applied, someone should look) or set aside (kept, not applied), and why."""

import sqlite3
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.central.books.file import prices
from agent.domain.canteen import price_on
from agent.domain.clock import ClockTrust, Instant
from agent.domain.ledger import Entry, Kind

REASON_LENGTH_MAX = 200  # a decoder's complaint may quote what it read
SECOND_REASON = "already_served_elsewhere"


@dataclass(slots=True)
class Batch:
    """What is the same for all entries of a batch, and what is done once after it: the meals to settle as (account, service, day), and
    whatever its entries name as their account, with the cents by which its balance moves.

    What does not change within a batch, or only by it, is looked up once: accounts' status, cards as (account, status), the boots
    without an entry whose clock is unset, the hashes booked by seq, and the seqs that a storno undoes.
    """

    terminal: str
    site: str | None
    epoch: str
    at: Instant
    zone: ZoneInfo
    booked: dict[int, set[str]]
    undone: set[int]
    meals: set[tuple[str, str, str]] = field(default_factory=set)
    accounts: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str | None] = field(default_factory=dict)
    cards: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    corrected_boots: set[str] = field(default_factory=set)

    def status(self, sql: sqlite3.Connection, account: str) -> str | None:
        """Return an account's status, None for one the central does not have."""
        if account not in self.statuses:
            row = sql.execute("SELECT status FROM account WHERE id = ?", (account,)).fetchone()
            self.statuses[account] = row["status"] if row else None
        return self.statuses[account]

    def card(self, sql: sqlite3.Connection, token: str | None) -> tuple[str, str] | None:
        """Return the account and status of a card, None for one the central does not have."""
        if token is None:
            return None
        if token not in self.cards:
            row = sql.execute(
                "SELECT account, status FROM card WHERE token = ?", (token,)
            ).fetchone()
            self.cards[token] = (row["account"], row["status"]) if row else None
        return self.cards[token]


@dataclass(slots=True)
class Verdict:
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


def judge(sql: sqlite3.Connection, batch: Batch, entry: Entry, verdict: Verdict) -> None:
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


def _judge_meal(sql: sqlite3.Connection, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    assert entry.account is not None
    status = batch.status(sql, entry.account)
    if status is None:
        return verdict.put_aside("unknown_account")
    verdict.account, verdict.cents, verdict.posting = entry.account, entry.cents, "meal"
    if status == "closed":
        verdict.flag("closed_account")
    holder, card_status = batch.card(sql, entry.card) or (entry.account, "active")
    if card_status != "active":
        verdict.flag("card_blocked")
    elif holder != entry.account:
        verdict.flag("card_of_another_account")
    return _flag_second(sql, entry.account, entry, verdict)


def _judge_unknown_meal(
    sql: sqlite3.Connection, batch: Batch, entry: Entry, verdict: Verdict
) -> None:
    card = batch.card(sql, entry.card)
    if card is None:
        return verdict.put_aside("unknown_card")
    assert entry.service is not None and entry.day is not None
    account, status = card
    price = price_on(prices(sql, account), entry.service, entry.day)
    verdict.account, verdict.cents, verdict.posting = account, -(price or 0), "unknown_meal"
    if price is None:
        verdict.flag("no_price")
    if status != "active":
        verdict.flag("card_blocked")
    return _flag_second(sql, account, entry, verdict)


def _flag_second(
    sql: sqlite3.Connection, account: str | None, entry: Entry, verdict: Verdict
) -> None:
    if entry.clock is ClockTrust.UNSET:
        return  # its day is a guess until its clock is corrected
    if sql.execute(
        "SELECT 1 FROM entry m WHERE account = ? AND true_day = ? AND service = ? AND kind IN ('meal', 'unknown_meal')"
        " AND cents IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)",
        (account, entry.day, entry.service),
    ).fetchone():
        verdict.flag(SECOND_REASON)


def _judge_storno(sql: sqlite3.Connection, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    meal = _meal_undone(sql, batch, entry)
    assert entry.reverses is not None
    if meal is None:
        # its meal may still come, from another copy of that disk: then both are booked
        verdict.undoes = (entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash)
    if meal is None or meal["kind"] not in ("meal", "unknown_meal"):
        return verdict.put_aside("storno_of_no_meal")
    key = (meal["epoch"], meal["seq"], meal["hash"])
    if storno_of(sql, (batch.terminal, *key)) is not None:
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


def _meal_undone(sql: sqlite3.Connection, batch: Batch, entry: Entry) -> sqlite3.Row | None:
    """Return the entry that a storno names."""
    assert entry.reverses is not None
    row: sqlite3.Row | None = sql.execute(
        "SELECT * FROM entry WHERE terminal = ? AND epoch = ? AND seq = ? AND hash = ?",
        (batch.terminal, entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash),
    ).fetchone()
    return row


def storno_of(sql: sqlite3.Connection, meal: tuple[str, str, int, str]) -> sqlite3.Row | None:
    """Return the storno of a meal, given as (terminal, epoch, seq, hash); there is at most one."""
    row: sqlite3.Row | None = sql.execute(
        # named, since the planner takes the primary key's first column for the better choice and reads all of a terminal
        "SELECT * FROM entry INDEXED BY entry_by_undone WHERE terminal = ? AND undoes_epoch = ? AND undoes_seq = ? AND undoes_hash = ?",
        meal,
    ).fetchone()
    return row
