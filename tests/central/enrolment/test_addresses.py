"""Where boxes enrol, and the broker they use."""

from pathlib import Path

import pytest

from agent.central.enrolment.addresses import Addresses, load_addresses, write_addresses
from agent.errors import AgentError, ConfigError
from agent.sync.enrolment import Address

BROKER = "mqtts://broker.example.org:8883"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_addresses(tmp_path, "central.example.org:8884", BROKER)
    expected = Addresses(Address("central.example.org", 8884), BROKER)
    assert load_addresses(tmp_path) == expected


@pytest.mark.parametrize(
    ("enrol", "broker", "words"),
    [
        ("central", BROKER, "write HOST:PORT"),
        ("a:1", "mqtt://broker.example.org", "certificates need TLS"),
        ("a:1", "broker", "write mqtts://host:8883"),
    ],
)
def test_wrong_addresses_are_not_written_and_not_read(
    tmp_path: Path, enrol: str, broker: str, words: str
) -> None:
    with pytest.raises(AgentError, match=words):
        write_addresses(tmp_path, enrol, broker)
    assert not list(tmp_path.iterdir())
    text = f'enrol = "{enrol}"\nbroker = "{broker}"\n'
    (tmp_path / "addresses.toml").write_text(text)
    with pytest.raises(ConfigError, match=f"addresses.toml.*{words}"):
        load_addresses(tmp_path)


def test_a_key_that_is_not_known_is_named(tmp_path: Path) -> None:
    text = f'enrol = "a:1"\nbroker = "{BROKER}"\nbrokr = ""\n'
    (tmp_path / "addresses.toml").write_text(text)
    with pytest.raises(ConfigError, match="did you mean 'broker'"):
        load_addresses(tmp_path)
