"""What the commands of `canteen-central` share: the books, the time, checked arguments."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from agent.central.books.address import Database
from agent.central.books.database import Books
from agent.central.corrections import book_waiting_meals
from agent.central.office.card_key import card_key_path, read_card_key
from agent.domain.canteen import Id
from agent.domain.card import Token, card_token, parse_card_id
from agent.domain.clock import Instant, format_instant
from agent.errors import AgentError


@contextmanager
def open_books(database: Database) -> Iterator[Books]:
    """Yield the central's books. An argument that no record may have becomes an `AgentError`.

    What a killed import left unbooked is booked first.
    """
    with closing(database.open()) as books:
        book_waiting_meals(books, at=now())
        try:
            yield books
        except msgspec.ValidationError as error:
            raise AgentError(str(error)) from None


def now() -> Instant:
    """Return the present time of this machine."""
    return format_instant(datetime.now(UTC))


def checked_id(text: str) -> str:
    """Return an id as given. Raise `AgentError` for a text that is none."""
    try:
        return msgspec.convert(text, Id)
    except msgspec.ValidationError:
        raise AgentError(
            f"{text!r} is not an id: write letters, digits, . _ or -, at most 64"
        ) from None


def checked_zone(name: str) -> str:
    """Return the name of a time zone. Raise `AgentError` for one that does not exist."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise AgentError(f"time zone {name!r} does not exist; write one like Europe/Rome") from None


def authority_folder(database: Database) -> Path:
    """Return where the authority of a central's database is."""
    return database.files.with_name(database.files.name + ".ca")


def card_key(database: Database) -> bytes:
    """Return the town's card key."""
    return read_card_key(card_key_path(database.files))


def token_of(database: Database, card_id: str) -> Token:
    """Return the token of a card id. The id itself goes no further."""
    return card_token(card_key(database), parse_card_id(card_id))
