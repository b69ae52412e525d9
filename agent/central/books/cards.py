"""Cards: tokens that point at an account."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from agent.central.books.file import Books
from agent.central.books.town import next_position, next_positions
from agent.domain.card import Token


class Card(NamedTuple):
    """A card and whose it is. `status` is active, blocked or replaced."""

    token: Token
    account: str
    status: str


class UsedCard(NamedTuple):
    """A card that the books name: assigned to an account, or only seen in an unknown meal."""

    token: Token
    account: str | None
    status: str


def find(books: Books, token: str) -> Card | None:
    """Return a card, None if it belongs to no account."""
    row = books.row("SELECT token, account, status FROM card WHERE token = ?", (token,))
    return Card(*row) if row else None


def find_all(books: Books, tokens: Iterable[str]) -> dict[str, Card]:
    """Return those of many cards that belong to an account, by token."""
    rows = books.rows(
        "SELECT token, account, status FROM card WHERE token IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(tokens)).decode(),),
    )
    return {row[0]: Card(*row) for row in rows}


def active(books: Books) -> list[Card]:
    """Return every active card, by account and token."""
    rows = books.rows(
        "SELECT token, account, status FROM card WHERE status = 'active' ORDER BY account, token"
    )
    return [Card(*row) for row in rows]


def add_all(books: Books, new: Sequence[Card]) -> None:
    """Add cards that belonged to no account."""
    positions = next_positions(books, len(new))
    books.sql.executemany(
        "INSERT INTO card VALUES (?, ?, ?, ?)",
        ((*card, p) for card, p in zip(new, positions, strict=True)),
    )


def put(books: Books, card: Card) -> None:
    """Write a card with a new position, in place of what the books had of it."""
    books.sql.execute(
        "INSERT OR REPLACE INTO card VALUES (?, ?, ?, ?)", (*card, next_position(books))
    )


def bump_all(books: Books, tokens: Sequence[Token]) -> None:
    """Give cards a new position, so that every terminal of their site receives them again."""
    positions = next_positions(books, len(tokens))
    books.sql.executemany(
        "UPDATE card SET p = ? WHERE token = ?", zip(positions, tokens, strict=True)
    )


def of_accounts(books: Books, accounts: Iterable[str]) -> list[Card]:
    """Return the cards of accounts, whatever their status, by token."""
    rows = books.rows(
        "SELECT token, account, status FROM card"
        " WHERE account IN (SELECT value FROM json_each(?)) ORDER BY token",
        (msgspec.json.encode(list(accounts)).decode(),),
    )
    return [Card(*row) for row in rows]


def used(books: Books) -> list[UsedCard]:
    """Return every card that the books name."""
    assigned = [UsedCard(*row) for row in books.rows("SELECT token, account, status FROM card")]
    unknown = books.rows(
        "SELECT DISTINCT card, NULL, 'not assigned' FROM entry"
        " WHERE kind = 'unknown_meal' AND card NOT IN (SELECT token FROM card)"
    )
    return [*assigned, *(UsedCard(*row) for row in unknown)]
