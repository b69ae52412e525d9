"""The template of a new profile loads once its gaps are filled in, and not before."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.new_profile import template
from agent.readers.profile_rules import read_profile

FILL_IN = "FILL IN: manual and page of every number below"
KINDS = ["pcsc", "serial", "keyboard"]


def with_selftests(text: str) -> str:
    """Return a template whose self-tests are no comments any more."""
    begin = text.index("# [[selftest]]")
    return text[:begin] + text[begin:].replace("# ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_loads_with_sources_and_selftests_only(tmp_path: Path, kind: str) -> None:
    text = template("my-reader", "Nobody", "Model 1", kind)
    path = tmp_path / "my-reader.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match="'selftest': write at least one with uid"):
        read_profile(path)
    path.write_text(with_selftests(text), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"'device.sources': write where the numbers come from"):
        read_profile(path)
    path.write_text(with_selftests(text).replace(FILL_IN, "manual p. 3"), encoding="utf-8")
    profile = read_profile(path)
    assert (profile.transport, profile.device.vendor, profile.device.model) == (
        kind,
        "Nobody",
        "Model 1",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_a_template_is_longer_than_100_columns(kind: str) -> None:
    assert max(len(line) for line in template("x", "y", "z", kind).splitlines()) <= 100


def test_an_id_has_48_characters_at_most() -> None:
    assert f'id        = "{"a" * 48}"' in template("a" * 48, "Nobody", "Model", "pcsc")
    with pytest.raises(ProfileError, match="up to 48 lower-case letters"):
        template("a" * 49, "Nobody", "Model", "pcsc")


@pytest.mark.parametrize("profile_id", ["", "My Reader", "../x", "-x", "x.toml"])
def test_an_id_that_is_no_file_name_is_refused(profile_id: str) -> None:
    with pytest.raises(ProfileError, match="an id has"):
        template(profile_id, "Nobody", "Model", "pcsc")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_a_name_that_would_end_its_toml_string_is_refused(name: str) -> None:
    for vendor, model in ((name, "Model"), ("Nobody", name)):
        with pytest.raises(ProfileError, match="a profile cannot contain it"):
            template("x", vendor, model, "pcsc")
