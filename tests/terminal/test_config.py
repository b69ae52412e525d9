"""A wrong configuration is one sentence: file, key, and what to write instead."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.terminal.config import load_config

GOOD = """
town = "borgo"
terminal = "t-1"
state_dir = "state"
card_key_file = "card.key"
[broker]
url = "mqtt://127.0.0.1:1883"
[[reader]]
name = "left"
profile = "acs-acr122u"
[[reader]]
name = "right"
profile = "rdm6300"
port = "/dev/serial0"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "card.key").write_text("00" * 32 + "\n", encoding="ascii")
    return tmp_path


def load(folder: Path, text: str) -> object:
    (folder / "agent.toml").write_text(text, encoding="utf-8")
    return load_config(folder / "agent.toml")


def test_a_good_file_is_one_frozen_config(folder: Path) -> None:
    (folder / "agent.toml").write_text(GOOD, encoding="utf-8")
    config = load_config(folder / "agent.toml")
    assert config.database == folder / "state" / "terminal.db"
    assert [reader.profile.transport for reader in config.readers] == ["pcsc", "serial"]
    assert "0000" not in repr(config)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'terminal = "t-1"',
            'terminale = "t-1"',
            "unknown key 'terminale'; did you mean 'terminal'",
        ),
        ('terminal = "t-1"', "", "missing required field `terminal`"),
        ('terminal = "t-1"', "terminal = 1", r"key 'terminal': Expected `str`, got `int`"),
        ('terminal = "t-1"', 'terminal = "t/1"', r"key 'terminal'"),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "http://broker"',
            r"key 'broker.url'.*write mqtts://host:8883",
        ),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "mqtt://broker"\nca_file = "ca.pem"',
            r"certificates are given; write mqtts://",
        ),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "mqtts://broker"\ncertificate_file = "a"',
            r"certificate_file and key_file go together",
        ),
        (
            'profile = "rdm6300"',
            'profile = "rdm"',
            r"no profile 'rdm'.*there are 7941e, acs-acr122u",
        ),
        ('port = "/dev/serial0"', "", r"key 'reader\[1\]': profile rdm6300 is serial; write port"),
        (
            'profile = "acs-acr122u"',
            'profile = "acs-acr122u"\nport = "/dev/x"',
            r"'port' is for serial and keyboard profiles",
        ),
        ('name = "right"', 'name = "left"', r"two readers are named 'left'"),
        (
            'card_key_file = "card.key"',
            'card_key_file = "none.key"',
            r"key 'card_key_file': .*none.key cannot be read",
        ),
        (
            'card_key_file = "card.key"',
            'card_key_file = "agent.toml"',
            r"key 'card_key_file': .*hex digits",
        ),
        (
            'card_key_file = "card.key"',
            'card_key_file = "credential:card-key"',
            r"needs systemd's LoadCredential",
        ),
        ("[broker]", 'zone = "Europe/Roma"\n[broker]', r"key 'zone': no time zone 'Europe/Roma'"),
        ('town = "borgo"', "town = borgo", "is not TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence(
    folder: Path, old: str, new: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert old in GOOD
    with pytest.raises(ConfigError, match=sentence) as raised:
        load(folder, GOOD.replace(old, new, 1))
    assert raised.value.exit_code == 78
    assert "\n" not in str(raised.value)


def test_a_secret_comes_from_systemds_credentials(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "credentials").mkdir()
    (folder / "credentials" / "card-key").write_text("11" * 32, encoding="ascii")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "credentials"))
    (folder / "agent.toml").write_text(
        GOOD.replace('"card.key"', '"credential:card-key"'), encoding="utf-8"
    )
    assert load_config(folder / "agent.toml").card_key == b"\x11" * 32
