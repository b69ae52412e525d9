"""An error about a TOML file names the file, the key, and what to write."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from agent.errors import ConfigError, ProfileError
from agent.toml_file import load_toml


class Light(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="light"):
    """A part of a reader."""

    colour: Literal["green", "red"]


class Beep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="beep"):
    """Another part of a reader."""

    long_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class Reader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reader."""

    port: str = ""
    signals: list[Light | Beep] = []
    by_name: dict[str, Light] = {}


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    town: str
    reader: Reader | None = None


def sentence(path: Path, text: str | bytes, error: type[ConfigError] = ConfigError) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error) as raised:
        load_toml(path, Shape, error)
    return str(raised.value).removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def test_a_right_file_is_decoded(path: Path) -> None:
    path.write_text('town = "borgo"\n[reader]\nport = "/dev/ttyUSB0"\n', encoding="utf-8")
    assert load_toml(path, Shape, ConfigError) == Shape("borgo", Reader("/dev/ttyUSB0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('twon = "borgo"', "unknown key 'twon'; did you mean 'town'?"),
        ('town = "b"\nzzz = 1', "unknown key 'zzz'"),
        ('town = "b"\n[reader]\nprot = ""', "unknown key 'reader.prot'; did you mean 'port'?"),
        (
            'town = "b"\n[[reader.signals]]\ntype = "light"\ncolour = "gren"',
            "key 'reader.signals[0].colour': 'gren' is none of green, red; did you mean 'green'?",
        ),
        (
            'town = "b"\n[reader.by_name.left]\ntype = "light"\ncolour = "zz"',
            "key 'reader.by_name[...].colour': 'zz' is none of green, red",
        ),
        (
            'town = "b"\n[[reader.signals]]\ntype = "beep"\nlong_ms = 1001',
            "key 'reader.signals[0].long_ms': Expected `int` <= 1000",
        ),
        ("town = 1", "key 'town': Expected `str`, got `int`"),
        ("", "key 'town': missing"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(path: Path, text: str, expected: str) -> None:
    assert sentence(path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("town = ", "is not TOML: "),
        ("town = " + "[" * 5_000, "is not TOML: "),
        (b"town = '\xff'", "cannot be read: "),
    ],
)
def test_a_file_that_is_not_toml_is_named(path: Path, text: str | bytes, expected: str) -> None:
    assert sentence(path, text).startswith(expected)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent\.toml: cannot be read: .*No such file"):
        load_toml(path, Shape, ConfigError)


def test_the_caller_chooses_the_error(path: Path) -> None:
    assert sentence(path, "twon = 1", ProfileError).startswith("unknown key")
