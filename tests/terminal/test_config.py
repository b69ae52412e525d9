"""A wrong configuration gives one sentence: file, key, and what to write instead."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.sync.topics import IDENTITY_CHARACTERS_MAX, Topics
from agent.terminal.config import (
    SOCKET_PATH_BYTES_MAX,
    Config,
    load_config,
    load_places,
    load_readers,
)
from tests.parts.profiles import TEXTS

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


def load(folder: Path, text: str) -> Config:
    (folder / "agent.toml").write_text(text, encoding="utf-8")
    return load_config(folder / "agent.toml")


def test_a_correct_file_gives_a_config(folder: Path) -> None:
    config = load(folder, GOOD)
    assert config.database == folder / "state" / "terminal.db"
    assert config.control_socket == folder / "state" / "control.sock"
    assert [reader.profile.transport for reader in config.readers] == ["pcsc", "serial"]
    assert (config.town, config.terminal, config.zone.key) == ("borgo", "t-1", "Europe/Rome")
    assert config.card_key == bytes(32) and config.mirror is None


def test_the_repr_of_a_config_does_not_contain_the_card_key(folder: Path) -> None:
    """A log line or a traceback may print it."""
    (folder / "card.key").write_text("5ec3e7" * 10 + "aaaa", encoding="ascii")
    config = load(folder, GOOD)
    assert config.card_key.startswith(b"\x5e\xc3\xe7")
    for text in (repr(config), str(config), f"{config}", repr([config])):
        assert "5ec3e7" not in text and repr(config.card_key)[2:-1] not in text
        assert "\\xc3" not in text


def test_a_command_beside_the_agent_reads_no_secret(folder: Path) -> None:
    config = load(folder, GOOD)
    (folder / "card.key").unlink()
    places = load_places(folder / "agent.toml")
    assert places.database == config.database
    assert places.control_socket == config.control_socket
    assert places.staff_socket == config.staff_socket
    assert load_readers(folder / "agent.toml") == config.readers


@pytest.mark.parametrize(
    ("present", "used"),
    [
        ((), "control.sock"),
        (("control.sock", "staff.sock"), "control.sock"),
        (("staff.sock",), "staff.sock"),
    ],
)
def test_a_command_that_looks_uses_the_staffs_socket_where_it_may_open_only_that(
    folder: Path, present: tuple[str, ...], used: str
) -> None:
    load(folder, GOOD)
    (folder / "state").mkdir()
    for name in present:
        (folder / "state" / name).touch()
    assert load_places(folder / "agent.toml").open_socket == folder / "state" / used


def test_the_sockets_path_has_at_most_socket_path_bytes_max(folder: Path) -> None:
    def state_dir(path_bytes: int) -> str:
        """Return a state_dir whose socket has a path of so many bytes."""
        name_bytes = path_bytes - len(str(folder / "x" / "control.sock")) + 1
        return GOOD.replace('"state"', '"' + "s" * name_bytes + '"')

    config = load(folder, state_dir(SOCKET_PATH_BYTES_MAX))
    assert len(str(config.control_socket)) == SOCKET_PATH_BYTES_MAX
    with pytest.raises(ConfigError, match="key 'state_dir': not a path, or too long"):
        load(folder, state_dir(SOCKET_PATH_BYTES_MAX + 1))


def test_a_profile_of_ones_own_is_read_beside_the_file(folder: Path) -> None:
    text = TEXTS["rdm6300"].replace('id        = "rdm6300"', 'id = "own"')
    (folder / "own.toml").write_text(text, encoding="utf-8")
    config = load(folder, GOOD.replace('"rdm6300"', '"own.toml"'))
    assert config.readers[1].profile.id == "own"


PCSC = '[[reader]]\nname = "{}"\nprofile = "acs-acr122u"\n'
SERIAL = '[[reader]]\nname = "{}"\nprofile = "rdm6300"\nport = "{}"\n'


@pytest.mark.parametrize(
    ("readers", "is_same"),
    [
        (PCSC.format("a") + PCSC.format("b"), True),
        (PCSC.format("a") + PCSC.format("b") + 'device = "*1*"\n', True),
        (PCSC.format("a") + 'device = "*1*"\n' + PCSC.format("b") + 'device = "*1*"\n', True),
        (PCSC.format("a") + 'device = "*1*"\n' + PCSC.format("b") + 'device = "*2*"\n', False),
        (SERIAL.format("a", "/dev/ttyS0") + SERIAL.format("b", "/dev/ttyS0"), True),
        (SERIAL.format("a", "/dev/ttyS0") + SERIAL.format("b", "/dev/ttyS1"), False),
        (PCSC.format("a") + SERIAL.format("b", "/dev/ttyS0"), False),
    ],
)
def test_the_same_reader_given_twice_is_refused(folder: Path, readers: str, is_same: bool) -> None:
    """Both would take each other's cards, or fail to open the port."""
    text = GOOD[: GOOD.index("[[reader]]")] + readers
    if is_same:
        with pytest.raises(ConfigError, match=r"key 'reader\[1\]': the same reader is given twice"):
            load(folder, text)
    else:
        assert len(load(folder, text).readers) == 2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'terminal = "t-1"',
            'terminale = "t-1"',
            "unknown key 'terminale'; did you mean 'terminal'",
        ),
        ('terminal = "t-1"', "", "key 'terminal': missing"),
        ('terminal = "t-1"', "terminal = 1", r"key 'terminal': Expected `str`, got `int`"),
        ('terminal = "t-1"', 'terminal = "t/1"', r"key 'terminal'"),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "http://broker"',
            r"key 'broker.url'.*write mqtts://host:8883",
        ),
        *(
            ('url = "mqtt://127.0.0.1:1883"', f'url = "{url}"', r"nothing else belongs into it")
            for url in (
                "mqtt://broker:0",
                "mqtt://broker?keepalive=5",
                "mqtt://broker#1",
            )
        ),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "mqtt://broker"\nca_file = "ca.pem"',
            r"certificates are given; write mqtts://",
        ),
        *(
            (
                'url = "mqtt://127.0.0.1:1883"',
                f'url = "{url}"',
                r"key 'broker.url': .*username = .* password_file = .* into \[broker\]",
            )
            for url in ("mqtt://canteen:hush@broker", "mqtts://canteen@broker")
        ),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "mqtt://broker"\npassword_file = "p"',
            r"key 'broker': password_file needs username",
        ),
        (
            'url = "mqtt://127.0.0.1:1883"',
            'url = "mqtt://broker"\nusername = ""',
            r"username is empty",
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
        ("[[reader]]", "[[readers]]", r"unknown key 'readers'"),
        (
            'card_key_file = "card.key"',
            'card_key_file = "credential:card-key"',
            r"needs systemd's LoadCredential",
        ),
        ('profile = "rdm6300"', 'profile = "acs-acr122u"', r"'port' is for serial"),
        (
            'port = "/dev/serial0"',
            'port = "/dev/serial0"\ndevice = "*1*"',
            r"'device' names a PC/SC reader; profile rdm6300 is serial",
        ),
        ('state_dir = "state"', 'state_dir = "a\\u0000b"', r"key 'state_dir': not a path"),
        ("[broker]", 'zone = "Europe/Roma"\n[broker]', r"key 'zone': no time zone 'Europe/Roma'"),
        ('town = "borgo"', "town = borgo", "is not TOML"),
    ],
)
def test_a_wrong_file_gives_one_sentence(
    folder: Path, old: str, new: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert old in GOOD
    with pytest.raises(ConfigError, match=sentence) as raised:
        load(folder, GOOD.replace(old, new, 1))
    assert raised.value.exit_code == 78
    assert "\n" not in str(raised.value) and "hush" not in str(raised.value)


def test_a_name_in_a_certificate_has_at_most_identity_characters_max(folder: Path) -> None:
    with_certificate = GOOD.replace(
        'url = "mqtt://127.0.0.1:1883"',
        'url = "mqtts://broker"\ncertificate_file = "a"\nkey_file = "b"',
    )
    longest = "x" * (IDENTITY_CHARACTERS_MAX - len(Topics("borgo").identity("")))
    assert load(folder, with_certificate.replace("t-1", longest)).terminal == longest
    with pytest.raises(ConfigError, match=r"key 'terminal': .* has 65 characters"):
        load(folder, with_certificate.replace("t-1", longest + "x"))
    # without a certificate nothing limits it
    assert load(folder, GOOD.replace("t-1", longest + "x")).terminal == longest + "x"


def test_the_card_key_may_be_a_systemd_credential(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "credentials").mkdir()
    (folder / "credentials" / "card-key").write_text("11" * 32, encoding="ascii")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "credentials"))
    (folder / "agent.toml").write_text(
        GOOD.replace('"card.key"', '"credential:card-key"'), encoding="utf-8"
    )
    assert load_config(folder / "agent.toml").card_key == b"\x11" * 32
