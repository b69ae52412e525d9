"""The roster: accounts, cards, prices and classes from one CSV file. Our own neutral format; docs/ROSTER.md describes it.

One line an account. All or nothing: a file with a bad line imports nothing, and every bad line is named with its number.
Importing the same file again changes nothing.
"""

import csv
import io
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from agent.central.booking import book_found_account, book_found_card
from agent.central.books.file import Books, bump_account, next_position
from agent.central.office.desk import move_account, put_card
from agent.domain.canteen import PRICE_CENTS_MAX, PRICES_MAX
from agent.domain.card import Token, card_token, parse_card_id
from agent.domain.clock import Instant
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError

COLUMNS = ("account", "site", "category", "status", "class", "label", "dish", "cards", "prices")
REQUIRED = ("account", "site", "prices")
FILE_BYTES_MAX = 64 * 1024 * 1024
BAD_LINES_SHOWN_MAX = 200
TEXT_LENGTH_MAX = 64  # what a record may hold (agent/domain/canteen.py, Name)

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LABEL = re.compile(r"[^\W\d_][^\W_]*( [^\W\d_]\.)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One account as the roster has it. `prices` are (service, from day, cents)."""

    account: str
    site: str
    category: str
    status: str
    group: str | None
    label: str | None
    dish: str | None
    tokens: tuple[Token, ...]
    prices: tuple[tuple[str, str, int], ...]


def read_roster(path: Path, card_key: bytes) -> list[Line]:
    """Return the lines of a roster. Raise `CentralError` that lists every bad line with its number."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise CentralError(f"{path}: is larger than {FILE_BYTES_MAX} bytes; is it a roster?")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CentralError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    header = text.partition("\n")[0]
    rows = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=";" if header.count(";") > header.count(",") else ",",
    )
    try:
        columns = list(rows.fieldnames or [])
    except csv.Error as error:
        raise CentralError(f"{path}: line 1: is not CSV: {error}") from error
    unknown = [name for name in columns if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        wrong = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [
            f"missing: {', '.join(missing)}"
        ] * bool(missing)
        raise CentralError(
            f"{path}: line 1: columns are {', '.join(COLUMNS)}; {'; '.join(wrong) or 'one is given twice'}"
        )
    lines: list[Line] = []
    complaints: list[str] = []
    accounts: dict[str, int] = {}
    tokens: dict[str, int] = {}
    try:
        for row in rows:
            number = rows.line_num
            try:
                line = _line(row, card_key)
                _note_once(accounts, line.account, number, f"account {line.account}")
                for token in line.tokens:
                    _note_once(tokens, token, number, "a card")
                lines.append(line)
            except AgentError as error:
                complaints.append(f"line {number}: {error}")
    except csv.Error as error:
        complaints.append(f"line {rows.line_num}: is not CSV: {error}")
    if complaints:
        more = len(complaints) - BAD_LINES_SHOWN_MAX
        shown = complaints[:BAD_LINES_SHOWN_MAX] + ([f"and {more} more"] if more > 0 else [])
        raise CentralError(
            f"{path}: nothing imported, {len(complaints)} bad lines\n  " + "\n  ".join(shown)
        )
    return lines


def import_roster(
    ledger: Books, lines: list[Line], progress: Callable[[], None], *, at: Instant
) -> tuple[int, int]:
    """Write a roster in one transaction; return (accounts that are new, accounts that changed). `progress` after every line.

    Meals served to a card or an account before the central knew it are booked now.
    """
    new = changed = 0
    with ledger.transaction() as sql:
        for line in lines:
            row = sql.execute("SELECT * FROM account WHERE id = ?", (line.account,)).fetchone()
            if row is None:
                sql.execute(
                    "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
                    (
                        line.account,
                        line.site,
                        line.category,
                        line.status,
                        line.group,
                        line.label,
                        line.dish,
                        next_position(sql),
                    ),
                )
                sql.execute(
                    "DELETE FROM tombstone WHERE site = ? AND kind = 'account' AND id = ?",
                    (line.site, line.account),
                )
                new += 1
            touched = _update(sql, line, row)
            for token in line.tokens:
                card = sql.execute(
                    "SELECT account, status FROM card WHERE token = ?", (token,)
                ).fetchone()
                # a card the office has blocked stays blocked: the roster says whose it is, not whether it is lost
                if put_card(
                    sql,
                    token,
                    line.account,
                    card["status"] if card and card["account"] == line.account else "active",
                ):
                    touched = True
                    book_found_card(sql, token, line.account, at=at)
            if row is None:
                book_found_account(sql, line.account, at=at)
            changed += row is not None and touched
            progress()
    return new, changed


def _update(sql: sqlite3.Connection, line: Line, row: sqlite3.Row | None) -> bool:
    """Bring an account's particulars and prices to what the roster says; return whether anything changed."""
    touched = False
    if row is not None and row["site"] != line.site:
        move_account(sql, line.account, row["site"], line.site)
        touched = True
    told = (line.category, line.status, line.group, line.label, line.dish)
    if (
        row is not None
        and tuple(row[name] for name in ("category", "status", "class", "label", "dish")) != told
    ):
        sql.execute(
            "UPDATE account SET category = ?, status = ?, class = ?, label = ?, dish = ? WHERE id = ?",
            (*told, line.account),
        )
        touched = True
    held = {
        (price["service"], price["from_day"]): price["cents"]
        for price in sql.execute("SELECT * FROM price WHERE account = ?", (line.account,))
    }
    for service, day, cents in line.prices:
        if held.get((service, day)) != cents:
            sql.execute(
                "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?)",
                (line.account, service, day, cents),
            )
            touched = True
    if touched:
        bump_account(sql, line.account)
    return touched


def _line(row: dict[str, str | None], card_key: bytes) -> Line:
    if None in row or any(value is None for value in row.values()):
        raise AgentError("has another number of columns than the first line")
    cells = {name: (value or "").strip() for name, value in row.items()}
    for name in ("account", "site"):
        if not _ID.fullmatch(cells[name]):
            raise AgentError(
                f"{name} {cells[name]!r} must be letters, digits, . _ or -, at most 64"
            )
    for name in ("class", "dish", "label"):
        if len(cells.get(name, "")) > TEXT_LENGTH_MAX:
            raise AgentError(f"{name} is longer than {TEXT_LENGTH_MAX} characters")
    label = cells.get("label") or None
    if label is not None and not _LABEL.fullmatch(label):
        raise AgentError(
            f"label {label!r} must be a first name and at most an initial, as in Anna B."
        )
    return Line(
        account=cells["account"],
        site=cells["site"],
        category=_choice("category", cells.get("category") or "pupil", ("pupil", "staff", "guest")),
        status=_choice("status", cells.get("status") or "active", ("active", "closed")),
        group=cells.get("class") or None,
        label=label,
        dish=cells.get("dish") or None,
        tokens=tuple(
            card_token(card_key, parse_card_id(card)) for card in cells.get("cards", "").split()
        ),
        prices=_prices(cells["prices"]),
    )


def _prices(cell: str) -> tuple[tuple[str, str, int], ...]:
    prices = tuple(_price(text) for text in cell.split("|") if text.strip())
    if len(prices) > PRICES_MAX:
        raise AgentError(f"more than {PRICES_MAX} prices")
    if len({price[:2] for price in prices}) < len(prices):
        raise AgentError("two prices of one service from the same day")
    return prices


def _price(text: str) -> tuple[str, str, int]:
    parts = text.split()
    if len(parts) != 3 or not _ID.fullmatch(parts[0]):
        raise AgentError(
            f"price {text.strip()!r}: write service, day and euro, as in lunch 2026-09-01 3.66"
        )
    try:
        day = date.fromisoformat(parts[1]).isoformat()
    except ValueError:
        raise AgentError(
            f"price {text.strip()!r}: {parts[1]!r} is not a day; write 2026-09-01"
        ) from None
    cents = parse_euro(parts[2])
    if not 0 <= cents <= PRICE_CENTS_MAX:
        raise AgentError(
            f"price {text.strip()!r}: a price is from 0.00 to {format_euro(PRICE_CENTS_MAX)}"
        )
    return parts[0], day, cents


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise AgentError(f"{name} {value!r}: write {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


def _note_once(seen: dict[str, int], key: str, number: int, what: str) -> None:
    if (first := seen.get(key)) is not None:
        raise AgentError(f"{what} is already on line {first}")
    seen[key] = number
