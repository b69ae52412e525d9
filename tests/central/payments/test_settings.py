"""`payments.toml`: what it must say, and the bank's key beside it."""

from pathlib import Path

import pytest

from agent.central.payments.settings import (
    SECRET_CHARACTERS_MIN,
    load_settings,
    settings_path,
)
from agent.errors import ConfigError

TOWN = """name = "Comune di Borgofiorito"
creditor = "80012345678"
segregation = "47"
public_url = "https://mensa.example/"
"""
POS = '[pos]\nalias = "ALIAS_1"\nurl = "https://bank.example/pay"\nsecret_file = "bank-key"\n'


@pytest.fixture
def db(tmp_path: Path) -> Path:
    (tmp_path / "bank-key").write_text("k" * SECRET_CHARACTERS_MIN + "\n")
    return tmp_path / "central.db"


def test_the_file_is_beside_the_database(db: Path) -> None:
    assert settings_path(db).name == "central.db.payments.toml"
    settings_path(db).write_text(TOWN)
    settings = load_settings(db)
    assert settings.pos is None and settings.public_url == "https://mensa.example"


def test_the_banks_key_is_in_a_file_of_its_own(db: Path) -> None:
    settings_path(db).write_text(TOWN + POS)
    pos = load_settings(db).pos
    assert pos is not None and pos.secret == "k" * SECRET_CHARACTERS_MIN


def test_a_key_has_at_least_secret_characters_min(db: Path) -> None:
    settings_path(db).write_text(TOWN + POS)
    db.with_name("bank-key").write_text("k" * (SECRET_CHARACTERS_MIN - 1))
    with pytest.raises(ConfigError, match="copy the key that the bank gave"):
        load_settings(db)
    db.with_name("bank-key").unlink()
    with pytest.raises(ConfigError, match="cannot read the bank's key"):
        load_settings(db)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("80012345678", "8001234567", "creditor"),
        ('"47"', '"4"', "segregation"),
        ("https://mensa.example/", "mensa.example", "public_url"),
        ("segregation", "segregtion", "did you mean"),
        ("/pay", "/pay?x=1", "pos.url"),
    ],
)
def test_a_wrong_key_is_named(db: Path, old: str, new: str, sentence: str) -> None:
    settings_path(db).write_text((TOWN + POS).replace(old, new))
    with pytest.raises(ConfigError, match=sentence):
        load_settings(db)
