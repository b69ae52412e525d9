"""What the commands of `canteen-central` share: the books, the time, checked arguments."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from agent.central.books.file import Books
from agent.central.corrections import book_waiting_meals
from agent.central.office.card_key import card_key_path, read_card_key
from agent.domain.canteen import Id
from agent.domain.card import Token, card_token, parse_card_id
from agent.domain.clock import Instant, format_instant
from agent.errors import AgentError, CentralError


@contextmanager
def open_books(db_path: Path) -> Iterator[Books]:
    """Yield the central's books. An argument that no record may have becomes an `AgentError`.

    What a killed import left unbooked is booked first.
    """
    with closing(Books(db_path)) as books:
        book_waiting_meals(books, at=now())
        try:
            yield books
        except msgspec.ValidationError as error:
            raise AgentError(str(error)) from None


@contextmanager
def needs_extra(command: str) -> Iterator[None]:
    """Import what only the extra `central` brings. Raise `CentralError` where it is missing."""
    try:
        yield
    except ImportError as error:
        raise CentralError(
            f"{command} needs more libraries ({error.name});"
            " install the central with its extra: pip install 'canteen-agent[central]'"
        ) from None


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


def authority_folder(db_path: Path) -> Path:
    """Return where the authority of a central's db_path is."""
    return db_path.with_name(db_path.name + ".ca")


def card_key(db_path: Path) -> bytes:
    """Return the town's card key."""
    return read_card_key(card_key_path(db_path))


def token_of(db_path: Path, card_id: str) -> Token:
    """Return the token of a card id. The id itself goes no further."""
    return card_token(card_key(db_path), parse_card_id(card_id))
