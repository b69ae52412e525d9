"""`[screen]` of agent.toml: defaults, and what is refused."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.ops.screen_settings import HELP_CHARACTERS_MAX, load_screen


def test_a_file_without_the_table_has_its_defaults(tmp_path: Path) -> None:
    settings = load_screen(_written(tmp_path, 'town = "b"\nstate_dir = "state"\n'))
    assert settings.staff_socket == tmp_path / "state" / "staff.sock"
    assert (settings.port, settings.language, settings.help) == (8080, "it", "")
    assert settings.zone == "Europe/Rome"


def test_a_time_zone_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key 'zone': no time zone 'Europe/Roma'"):
        load_screen(_written(tmp_path, 'zone = "Europe/Roma"\n'))


def _written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("port = 80", "key 'screen.port'"),
        ('language = "de"', "'de' is none of it, en"),
        ("prot = 1", "unknown key 'screen.prot'; did you mean 'port'"),
        (f'help = "{"x" * (HELP_CHARACTERS_MAX + 1)}"', "key 'screen.help'"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_screen(_written(tmp_path, f"[screen]\n{line}\n"))
