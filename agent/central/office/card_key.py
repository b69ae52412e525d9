"""The town's card key: the secret that turns card ids into tokens, in a file beside the books.

With it, a child's token can be computed from a card. So its file is readable by its owner alone.
"""

import os
import secrets
from pathlib import Path

from agent.domain.card import parse_card_key
from agent.errors import CentralError, ConfigError

CARD_KEY_BYTES = 32
CARD_KEY_MODE = 0o600


def card_key_path(database: Path) -> Path:
    """Return where the card key of a central's database is stored."""
    return database.with_name(database.name + ".card-key")


def create_card_key(path: Path) -> None:
    """Write a new random key durably. Raise `CentralError` if the file exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, CARD_KEY_MODE)
    except FileExistsError:
        raise CentralError(
            f"{path}: already exists; move it away before you create a new town"
        ) from None
    except OSError as error:
        raise CentralError(f"{path}: cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(CARD_KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_card_key(path: Path) -> bytes:
    """Return the town's card key. Raise `ConfigError` if it cannot be read."""
    try:
        return parse_card_key(path.read_text(encoding="ascii"), where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot read the town's card key: {error}; restore the file from a backup"
        ) from error
