"""Cards: tokens that point at an account."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import select, update

from agent.central.books import query, tables
from agent.central.books.database import Books
from agent.central.books.query import Query, among, names, value
from agent.central.books.town import next_position, next_positions
from agent.domain.card import Token

_C, _E = tables.card.c, tables.entry.c
_CARD = select(_C.token, _C.account, _C.status)
_FIND = Query(_CARD.where(_C.token == value("token")))
_FIND_ALL = Query(_CARD.where(among(_C.token, "tokens")))
_ACTIVE = Query(_CARD.where(_C.status == "active").order_by(_C.account, _C.token))
_OF_ACCOUNTS = Query(_CARD.where(among(_C.account, "accounts")).order_by(_C.token))
_EVERY = Query(_CARD)
_UNKNOWN = Query(
    select(_E.card)
    .where(_E.kind == "unknown_meal", _E.card.is_not(None), _E.card.not_in(select(_C.token)))
    .distinct()
)
_COLUMNS = ("token", "account", "status", "p")
_PUT = query.put(tables.card)
_BUMP = Query(update(tables.card).values(p=value("new_p")).where(_C.token == value("of")))


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
    row = books.first(_FIND, token=token)
    return Card(*row) if row else None


def find_all(books: Books, tokens: Iterable[str]) -> dict[str, Card]:
    """Return those of many cards that belong to an account, by token."""
    return {row[0]: Card(*row) for row in books.all(_FIND_ALL, tokens=names(tokens))}


def active(books: Books) -> list[Card]:
    """Return every active card, by account and token."""
    return [Card(*row) for row in books.all(_ACTIVE)]


def add_all(books: Books, new: Sequence[Card]) -> None:
    """Add cards that belonged to no account."""
    positions = next_positions(books, len(new))
    rows = ((*card, p) for card, p in zip(new, positions, strict=True))
    books.add_all(tables.card, _COLUMNS, rows)


def put(books: Books, card: Card) -> None:
    """Write a card with a new position, in place of what the books had of it."""
    books.run(_PUT, **card._asdict(), p=next_position(books))


def bump_all(books: Books, tokens: Sequence[Token]) -> None:
    """Give cards a new position, so that every terminal of their site receives them again."""
    positions = next_positions(books, len(tokens))
    books.run_all(_BUMP, ({"of": t, "new_p": p} for t, p in zip(tokens, positions, strict=True)))


def of_accounts(books: Books, accounts: Iterable[str]) -> list[Card]:
    """Return the cards of accounts, whatever their status, by token."""
    return [Card(*row) for row in books.all(_OF_ACCOUNTS, accounts=names(accounts))]


def used(books: Books) -> list[UsedCard]:
    """Return every card that the books name."""
    assigned = [UsedCard(*row) for row in books.all(_EVERY)]
    unknown = (UsedCard(token, None, "not assigned") for (token,) in books.all(_UNKNOWN))
    return [*assigned, *unknown]
