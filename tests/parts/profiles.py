"""The installed profiles as texts, and edited copies of them."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.profile import profiles_dir
from agent.readers.profile_rules import read_profile

PATHS = {path.stem: path for path in sorted(profiles_dir().glob("*.toml"))}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PATHS.items()}


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """Write a copy of a profile with its first `old` replaced by `new`, and return its path."""
    assert old in TEXTS[name], f"{name} does not contain {old!r}"
    path = folder / f"{name}.toml"
    path.write_text(TEXTS[name].replace(old, new, 1), encoding="utf-8")
    return path


def assert_refused(path: Path, sentence: str) -> None:
    """Assert that a profile is refused with one sentence that names its file and matches this."""
    with pytest.raises(ProfileError, match=sentence) as raised:
        read_profile(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)
