"""What the office does: terminals, cards, credits, rules. Each function is one transaction and one thing that can happen."""

import os
import sqlite3
from pathlib import Path

import msgspec

from agent.central.booking import book_found_card, settle_meals_from
from agent.central.books.file import (
    Books,
    add_tombstone,
    bump_account,
    give_order,
    mint_generation,
    next_position,
    post,
)
from agent.domain.canteen import PolicyRecord, ServiceRecord
from agent.domain.card import Token
from agent.domain.clock import Day, Instant
from agent.domain.money import format_euro
from agent.errors import CentralError

CARD_KEY_BYTES = 32


def card_key_path(database: Path) -> Path:
    """Return where a central keeps the town's card key: beside its database, for its owner alone."""
    return database.with_name(database.name + ".card-key")


def write_card_key(path: Path, key: str) -> None:
    """Write a new town's card key durably, for its owner alone. Raise `CentralError` if one is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CentralError(f"{path}: is there already; move it away to begin a new town") from None
    except OSError as error:
        raise CentralError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())


def add_terminal(ledger: Books, terminal: str, site: str) -> None:
    """Register a terminal at a site, or move it there: then it compares everything again."""
    with ledger.transaction() as sql:
        row = sql.execute("SELECT site FROM terminal WHERE id = ?", (terminal,)).fetchone()
        if row is None:
            sql.execute("INSERT INTO terminal (id, site) VALUES (?, ?)", (terminal, site))
        elif row["site"] != site:
            sql.execute("UPDATE terminal SET site = ? WHERE id = ?", (site, terminal))
            give_order(sql, terminal, "resync")


def retire_terminal(ledger: Books, terminal: str) -> None:
    """Let a stolen or retired terminal see nothing more, and forget what it has once all its entries are here."""
    with ledger.transaction() as sql:
        _require(sql, "terminal", terminal)
        sql.execute("UPDATE terminal SET site = NULL WHERE id = ?", (terminal,))
        give_order(sql, terminal, "wipe")


def order(ledger: Books, terminal: str, do: str) -> str:
    """Give a terminal an order and return its id."""
    with ledger.transaction() as sql:
        _require(sql, "terminal", terminal)
        return give_order(sql, terminal, do)


def new_generation(ledger: Books, generation: str, *, at: Instant, reason: str) -> None:
    """Say that this database was restored from a backup."""
    with ledger.transaction() as sql:
        mint_generation(sql, generation, at=at, reason=reason)


def credit(
    ledger: Books,
    *,
    account: str,
    cents: int,
    channel: str,
    external: str,
    at: Instant,
    reason: str,
) -> bool:
    """Add a payment (or, negative, a refund) to an account; return False if this one is booked already: twice is once."""
    with ledger.transaction() as sql:
        _require(sql, "account", account)
        known = sql.execute(
            "SELECT account, cents FROM posting WHERE channel = ? AND external = ?",
            (channel, external),
        ).fetchone()
        if known is None:
            kind = "top_up" if cents >= 0 else "refund"
            post(
                sql,
                account=account,
                cents=cents,
                kind=kind,
                at=at,
                reason=reason,
                channel=channel,
                external=external,
            )
            return True
    if (known["account"], known["cents"]) != (account, cents):
        raise CentralError(
            f"payment {external} of {channel} is booked already, with {format_euro(known['cents'])} for account {known['account']};"
            " a correction needs an id of its own"
        )
    return False


def assign_card(ledger: Books, token: Token, account: str, *, at: Instant) -> int:
    """Let a card point at an account; book the meals it was served as an unknown card, and return how many."""
    with ledger.transaction() as sql:
        _require(sql, "account", account)
        row = sql.execute("SELECT account, status FROM card WHERE token = ?", (token,)).fetchone()
        if row is not None and row["status"] != "active" and row["account"] != account:
            raise CentralError(
                f"this card is {row['status']} and belonged to account {row['account']}; give account {account} another one"
            )
        put_card(sql, token, account, "active")
        return book_found_card(sql, token, account, at=at)


def block_card(ledger: Books, token: Token) -> str:
    """Block a card and return its account."""
    with ledger.transaction() as sql:
        account = _account_of_card(sql, token)
        put_card(sql, token, account, "blocked")
    return account


def replace_card(ledger: Books, old: Token, new: Token, *, at: Instant) -> str:
    """Give an account a new card for an old one and return the account."""
    with ledger.transaction() as sql:
        account = _account_of_card(sql, old)
        row = sql.execute("SELECT account FROM card WHERE token = ?", (new,)).fetchone()
        if row is not None:
            raise CentralError(
                f"the new card is known already, for account {row['account']}; take one that is not"
            )
        put_card(sql, old, account, "replaced")
        put_card(sql, new, account, "active")
        book_found_card(sql, new, account, at=at)
    return account


def put_card(sql: sqlite3.Connection, token: Token, account: str, status: str) -> bool:
    """Write a card within a transaction, if anything about it is new; terminals that lose sight of it are told."""
    row = sql.execute("SELECT account, status FROM card WHERE token = ?", (token,)).fetchone()
    if row is not None and (row["account"], row["status"]) == (account, status):
        return False
    site = _site(sql, account)
    if row is not None and (old_site := _site(sql, row["account"])) != site:
        add_tombstone(sql, old_site, "card", token)
    sql.execute(
        "INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?)",
        (token, account, status, next_position(sql)),
    )
    sql.execute("DELETE FROM tombstone WHERE site = ? AND kind = 'card' AND id = ?", (site, token))
    return True


def move_account(sql: sqlite3.Connection, account: str, old_site: str, new_site: str) -> None:
    """Move an account and its cards to another site, within a transaction."""
    sql.execute("UPDATE account SET site = ? WHERE id = ?", (new_site, account))
    cards = [
        row["token"] for row in sql.execute("SELECT token FROM card WHERE account = ?", (account,))
    ]
    for kind, record_id in [("account", account), *(("card", token) for token in cards)]:
        add_tombstone(sql, old_site, kind, record_id)
        sql.execute(
            "DELETE FROM tombstone WHERE site = ? AND kind = ? AND id = ?",
            (new_site, kind, record_id),
        )
    bump_account(sql, account)
    for token in cards:
        sql.execute("UPDATE card SET p = ? WHERE token = ?", (next_position(sql), token))


def set_policy(ledger: Books, policy: PolicyRecord, double_meal: str, *, at: Instant) -> None:
    """Set the town's rules from a day on. Meals eaten twice since then are given back, or not, by the new rule."""
    with ledger.transaction() as sql:
        sql.execute(
            "INSERT OR REPLACE INTO policy VALUES (?, ?, ?, ?)",
            (policy.from_day, _body(policy), double_meal, next_position(sql)),
        )
        settle_meals_from(sql, policy.from_day, at=at)


def policy_for(ledger: Books, day: Day) -> tuple[PolicyRecord, str]:
    """Return the rules in effect on a day and its rule for double meals, as a draft to change."""
    row = ledger.sql.execute(
        "SELECT * FROM policy WHERE from_day <= ? ORDER BY from_day DESC LIMIT 1", (day,)
    ).fetchone()
    if row is None:
        return PolicyRecord(from_day=day, p=0), "give_back"
    members = {**msgspec.json.decode(row["body"]), "from": day, "p": 0}
    return msgspec.convert(members, PolicyRecord), row["double_meal"]


def set_service(ledger: Books, site: str, service: ServiceRecord) -> None:
    """Set a serving time of a site."""
    with ledger.transaction() as sql:
        sql.execute(
            "INSERT OR REPLACE INTO service VALUES (?, ?, ?, ?)",
            (site, service.id, _body(service), next_position(sql)),
        )


def _body(record: PolicyRecord | ServiceRecord) -> str:
    members = msgspec.to_builtins(record)
    return msgspec.json.encode(
        {name: value for name, value in members.items() if name not in ("k", "p")}, order="sorted"
    ).decode()


def _require(sql: sqlite3.Connection, table: str, record_id: str) -> None:
    if sql.execute(f"SELECT 1 FROM {table} WHERE id = ?", (record_id,)).fetchone() is None:
        raise CentralError(f"there is no {table} {record_id!r}")


def _account_of_card(sql: sqlite3.Connection, token: Token) -> str:
    row = sql.execute("SELECT account FROM card WHERE token = ?", (token,)).fetchone()
    if row is None:
        raise CentralError(f"no account has card {token[:8]}…; assign it first")
    return str(row["account"])


def _site(sql: sqlite3.Connection, account: str) -> str:
    return str(sql.execute("SELECT site FROM account WHERE id = ?", (account,)).fetchone()["site"])
