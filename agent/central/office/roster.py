"""A roster's lines: the rules of its cells (docs/office/roster.md). It never sees the books.

A line is one account. A file with a bad line is refused whole, and every bad line is named. What a
line does not state is absent: it is neither empty nor a default.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from agent.central.office.roster_file import read_records
from agent.central.office.roster_text import checked_text, shown
from agent.domain.canteen import PRICE_CENTS_MAX, PRICES_MAX, AccountStatus, Category, Price
from agent.domain.card import TOKEN_BYTES, Token, card_token, parse_card_id
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError
from agent.spelling import did_you_mean

NO_PRICE = "none"
"""What a price cell says when no price is known yet. Zero is written 0.00."""
TOKEN_PREFIX = "token:"
"""Before a card's token, where an exported roster has no card id."""
TEXTS = ("class", "label", "dish")
BAD_LINES_SHOWN_MAX = 200
"""Lines of an error: more would hide its first line, and often have one cause."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOKEN = re.compile(rf"[0-9a-f]{{{2 * TOKEN_BYTES}}}")
_WORDS: dict[str, type[Category] | type[AccountStatus]] = {
    "category": Category,
    "status": AccountStatus,
}
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Line:
    """One account of a roster.

    `given` has the stated particulars by column, from site to family; None is empty. `prices` is
    None if the file has no such column, and empty if no price is known. `place` is for people.
    """

    place: str
    account: str
    given: Mapping[str, str | None]
    tokens: tuple[Token, ...]
    prices: tuple[Price, ...] | None


class Complaints:
    """The bad lines of a file, which are reported together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sentences: list[str] = []

    def add(self, place: str, sentence: object) -> None:
        self._sentences.append(f"{place}: {sentence}")

    def raise_any(self) -> None:
        """Raise `CentralError` with every bad line, if there is any."""
        if not self._sentences:
            return
        more = len(self._sentences) - BAD_LINES_SHOWN_MAX
        listed = self._sentences[:BAD_LINES_SHOWN_MAX] + [f"and {more} more"] * (more > 0)
        raise CentralError(
            f"{self._path}: nothing imported, {len(self._sentences)} bad lines\n  "
            + "\n  ".join(listed)
        )


def read_roster(path: Path, card_key: bytes) -> list[Line]:
    """Return the lines of a roster. Raise `CentralError` that lists every bad line."""
    lines: list[Line] = []
    complaints = Complaints(path)
    seen: dict[str, str] = {}
    for place, cells, fault in read_records(path):
        try:
            if fault:
                raise AgentError(fault)
            line = _line(place, cells, card_key)
            _require_new(seen, line.account, place, f"account {shown(line.account)}")
            for token in line.tokens:
                _require_new(seen, token, place, "a card")
            lines.append(line)
        except AgentError as error:
            complaints.add(place, error)
    complaints.raise_any()
    return lines


def _line(place: str, cells: Mapping[str, str], card_key: bytes) -> Line:
    given: dict[str, str | None] = {}
    account = _id("account", cells["account"])
    if "site" in cells:
        given["site"] = _id("site", cells["site"])
    for column, words in _WORDS.items():
        if column in cells:
            given[column] = _choice(column, cells[column].strip(), [str(word) for word in words])
    for column in TEXTS:
        if column in cells:
            given[column] = checked_text(column, cells[column])
    if "family" in cells:
        given["family"] = _id("family", cells["family"]) if cells["family"].strip() else None
    tokens = tuple(_token(card, card_key) for card in cells.get("cards", "").split())
    prices = _prices(cells["prices"].strip()) if "prices" in cells else None
    return Line(place, account, given, tokens, prices)


def _id(column: str, cell: str) -> str:
    text = cell.strip()
    if not text:
        raise AgentError(f"{column} is empty")
    if not _ID.fullmatch(text):
        raise AgentError(f"{column} {shown(text)} must be letters, digits, . _ or -, at most 64")
    return text


def _choice(column: str, text: str, words: list[str]) -> str:
    listed = f"{', '.join(words[:-1])} or {words[-1]}"
    if not text:
        raise AgentError(f"{column} is empty; write {listed}, or leave the column out")
    if text not in words:
        raise AgentError(f"{column} {shown(text)}: write {listed}{did_you_mean(text, words)}")
    return text


def _token(card: str, card_key: bytes) -> Token:
    if not card.startswith(TOKEN_PREFIX):
        return card_token(card_key, parse_card_id(card))
    digits = card.removeprefix(TOKEN_PREFIX)
    if not _TOKEN.fullmatch(digits):
        raise AgentError(f"a card after {TOKEN_PREFIX} must be {2 * TOKEN_BYTES} digits of 0 to f")
    return Token(digits)


def _prices(cell: str) -> tuple[Price, ...]:
    if cell.lower() == NO_PRICE:
        return ()
    prices = tuple(_price(text.strip()) for text in cell.split("|") if text.strip())
    if not prices:
        raise AgentError(
            "prices is empty; write a price, 0.00 for a free meal,"
            f" {NO_PRICE} where no price is known, or leave the column out"
        )
    if len(prices) > PRICES_MAX:
        raise AgentError(f"has more than {PRICES_MAX} prices")
    if len({(price.service, price.from_day) for price in prices}) < len(prices):
        raise AgentError("has two prices of one service from the same day")
    return prices


def _price(text: str) -> Price:
    parts = text.split()
    if len(parts) != 3 or not _ID.fullmatch(parts[0]):
        raise AgentError(
            f"price {shown(text)}: write service, day and euro, as in lunch 2026-09-01 3.66"
        )
    service, day, euro = parts
    from_day = _read(date.fromisoformat, day)
    if from_day is None or from_day.isoformat() != day:
        raise AgentError(f"price {shown(text)}: {shown(day)} is no day; write it as 2026-09-01")
    cents = _read(parse_euro, euro)
    if cents is None:
        raise AgentError(f"price {shown(text)}: {shown(euro)} is no amount; write it as 3.66")
    if not 0 <= cents <= PRICE_CENTS_MAX:
        raise AgentError(
            f"price {shown(text)}: must be between 0.00 and {format_euro(PRICE_CENTS_MAX)}"
        )
    return Price(from_day=day, service=service, cents=cents)


def _read(read: Callable[[str], _Value], text: str) -> _Value | None:
    """Return what `read` makes of a text, None if it refuses the text."""
    try:
        return read(text)
    except (ValueError, AgentError):
        return None


def _require_new(seen: dict[str, str], key: str, place: str, name: str) -> None:
    """Note where a key is. Raise `AgentError` if it is on an earlier line."""
    if (first := seen.get(key)) is not None:
        raise AgentError(f"{name} is already on {first}")
    seen[key] = place
