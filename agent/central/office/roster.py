"""The roster: accounts, cards, prices and classes from one CSV file (docs/office/roster.md).

The format is our own and neutral. A line is one account. A file with a bad line imports nothing,
and every bad line is named by its number. Importing the same file again changes nothing.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from agent.central.books import accounts, cards, tombstones
from agent.central.books.accounts import Account
from agent.central.books.cards import Card
from agent.central.books.file import Books
from agent.central.corrections import book_meals_of_account, book_meals_of_card
from agent.central.office.cards import move_account, put_card
from agent.domain.canteen import PRICE_CENTS_MAX, PRICES_MAX, Price
from agent.domain.card import Token, card_token, parse_card_id
from agent.domain.clock import Instant
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError

COLUMNS = ("account", "site", "category", "status", "class", "label", "dish", "cards", "prices")
REQUIRED = ("account", "site", "prices")
FILE_BYTES_MAX = 64 * 1024 * 1024
"""A roster of 150,000 accounts has 20 MB; a larger file is something else."""
BAD_LINES_SHOWN_MAX = 200
TEXT_LENGTH_MAX = 64
"""Characters of a class, dish or label (domain/canteen.py, `Name`)."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LABEL = re.compile(r"[^\W\d_][^\W_]*( [^\W\d_]\.)?")


@dataclass(frozen=True, slots=True)
class Line:
    """One account of a roster."""

    account: Account
    tokens: tuple[Token, ...]
    prices: tuple[Price, ...]


class Imported(NamedTuple):
    """How many accounts are new, and how many changed."""

    new: int
    changed: int


def read_roster(path: Path, card_key: bytes) -> list[Line]:
    """Return the lines of a roster. Raise `CentralError` that lists every bad line."""
    rows = _rows(path)
    lines: list[Line] = []
    complaints: list[str] = []
    seen: dict[str, int] = {}
    try:
        for row in rows:
            number = rows.line_num
            try:
                line = _line(row, card_key)
                _require_new(seen, f"account {line.account.id}", number)
                for token in line.tokens:
                    _require_new(seen, token, number, shown="a card")
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
    books: Books, lines: list[Line], progress: Callable[[], None], *, at: Instant
) -> Imported:
    """Write a roster in one transaction. Call `progress` after every line.

    Meals served to a card or an account before the central knew it are booked now.
    """
    new = changed = 0
    with books.transaction():
        for line in lines:
            known = accounts.find(books, line.account.id)
            if known is None:
                accounts.add(books, line.account)
                tombstones.remove(books, line.account.site, "account", line.account.id)
            is_changed = _update(books, line, known)
            for token in line.tokens:
                is_changed = _assign(books, token, line.account.id, at=at) or is_changed
            if known is None:
                book_meals_of_account(books, line.account.id, at=at)
            new += known is None
            changed += known is not None and is_changed
            progress()
    return Imported(new, changed)


def _update(books: Books, line: Line, known: Account | None) -> bool:
    """Bring an account's particulars and prices to the roster's; return whether any changed."""
    account, is_changed = line.account, False
    if known is not None and known.site != account.site:
        move_account(books, account.id, known.site, account.site)
        is_changed = True
    if known is not None and known._replace(site=account.site) != account:
        accounts.update(books, account)
        is_changed = True
    held = set(accounts.prices(books, account.id))
    for price in line.prices:
        if price not in held:
            accounts.set_price(books, account.id, price)
            is_changed = True
    if is_changed:
        accounts.bump(books, account.id)
    return is_changed


def _assign(books: Books, token: Token, account: str, *, at: Instant) -> bool:
    """Let a card point at an account; return whether it did not before.

    A card that the office has blocked stays blocked: a roster says whose a card is, not whether it
    is lost.
    """
    known = cards.find(books, token)
    status = known.status if known is not None and known.account == account else "active"
    if not put_card(books, Card(token, account, status)):
        return False
    book_meals_of_card(books, token, account, at=at)
    return True


def _rows(path: Path) -> "csv.DictReader[str]":
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise CentralError(
                f"{path}: has more than {FILE_BYTES_MAX} bytes; check that it is a roster"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CentralError(
            f"{path}: cannot be read as UTF-8 text: {error}; save it as CSV UTF-8"
        ) from error
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
    wrong = [f"unknown: {', '.join(unknown)}"] * bool(unknown)
    wrong += [f"missing: {', '.join(missing)}"] * bool(missing)
    wrong += ["a column appears twice"] * (len(set(columns)) != len(columns))
    if wrong:
        raise CentralError(f"{path}: line 1: columns are {', '.join(COLUMNS)}; {'; '.join(wrong)}")
    return rows


def _line(row: dict[str, str | None], card_key: bytes) -> Line:
    if None in row or any(value is None for value in row.values()):
        raise AgentError("does not have as many columns as the first line")
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
    account = Account(
        id=cells["account"],
        site=cells["site"],
        category=_choice("category", cells.get("category") or "pupil", ("pupil", "staff", "guest")),
        status=_choice("status", cells.get("status") or "active", ("active", "closed")),
        group=cells.get("class") or None,
        label=label,
        dish=cells.get("dish") or None,
    )
    tokens = (card_token(card_key, parse_card_id(card)) for card in cells.get("cards", "").split())
    return Line(account, tuple(tokens), _prices(cells["prices"]))


def _prices(cell: str) -> tuple[Price, ...]:
    prices = tuple(_price(text) for text in cell.split("|") if text.strip())
    if len(prices) > PRICES_MAX:
        raise AgentError(f"has more than {PRICES_MAX} prices")
    if len({(price.service, price.from_day) for price in prices}) < len(prices):
        raise AgentError("has two prices of one service from the same day")
    return prices


def _price(text: str) -> Price:
    parts = text.split()
    if len(parts) != 3 or not _ID.fullmatch(parts[0]):
        raise AgentError(
            f"price {text.strip()!r}: write service, day and euro, as in lunch 2026-09-01 3.66"
        )
    service, day, euro = parts
    try:
        from_day = date.fromisoformat(day).isoformat()
    except ValueError:
        raise AgentError(
            f"price {text.strip()!r}: {day!r} is not a day; write it as 2026-09-01"
        ) from None
    cents = parse_euro(euro)
    if not 0 <= cents <= PRICE_CENTS_MAX:
        raise AgentError(
            f"price {text.strip()!r}: must be between 0.00 and {format_euro(PRICE_CENTS_MAX)}"
        )
    return Price(from_day=from_day, service=service, cents=cents)


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise AgentError(f"{name} {value!r}: write {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


def _require_new(seen: dict[str, int], key: str, number: int, *, shown: str | None = None) -> None:
    """Note on which line a key is. Raise `AgentError` if it is on an earlier one."""
    if (first := seen.get(key)) is not None:
        raise AgentError(f"{shown or key} is already on line {first}")
    seen[key] = number
