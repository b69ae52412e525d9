"""`payments.toml`, beside the database: who the town is for payers, and its bank."""

import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from agent.errors import ConfigError
from agent.toml_file import load_toml

SECRET_CHARACTERS_MIN = 16
"""The bank's key signs every payment: a short one could be guessed."""

Language = Literal["it", "en"]
_HTTP = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"


class PosTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[pos]`: the treasury's virtual POS. `secret_file` is a path from this file's folder."""

    alias: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,30}$")]
    url: Annotated[str, Meta(pattern=_HTTP)]
    secret_file: str


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    creditor: Annotated[str, Meta(pattern=r"^[0-9]{11}$")]
    segregation: Annotated[str, Meta(pattern=r"^[0-9]{2}$")]
    public_url: Annotated[str, Meta(pattern=_HTTP)]
    language: Language = "it"
    pos: PosTable | None = None


class Pos(NamedTuple):
    """The town's contract with the virtual POS."""

    alias: str
    url: str
    secret: str


class PaymentSettings(NamedTuple):
    """Who the town is for payers. `creditor` is its fiscal code, `public_url` ends without /."""

    name: str
    creditor: str
    segregation: str
    public_url: str
    language: Language
    pos: Pos | None


def settings_path(database: Path) -> Path:
    """Return where the payments' settings of a central's database are."""
    return database.with_name(database.name + ".payments.toml")


def load_settings(database: Path) -> PaymentSettings:
    """Return the settings of a central. Raise `ConfigError`."""
    path = settings_path(database)
    file = load_toml(path, _File, ConfigError)
    pos = None
    if file.pos is not None:
        secret = _secret(path.parent / file.pos.secret_file)
        pos = Pos(file.pos.alias, file.pos.url, secret)
    return PaymentSettings(
        file.name, file.creditor, file.segregation, file.public_url.rstrip("/"), file.language, pos
    )


def _secret(path: Path) -> str:
    """Return the key that a bank gave the town."""
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: cannot read the bank's key: {error}") from error
    if not re.fullmatch(rf"[!-~]{{{SECRET_CHARACTERS_MIN},}}", secret):
        raise ConfigError(
            f"{path}: is not a key of {SECRET_CHARACTERS_MIN} or more characters;"
            " copy the key that the bank gave"
        )
    return secret
