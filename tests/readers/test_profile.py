"""The keys of a profile: their limits, and what follows from them."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.events import Signal
from agent.readers.framing import Framed, Line, Pn53x
from agent.readers.profile import digest_of, profiles_dir
from agent.readers.profile_rules import all_profiles, load_profile, read_profile
from tests.parts.profiles import PATHS, edited

WANTED = {
    "acs-acr122u", "acs-acr1252u", "acs-acr1552u", "hid-omnikey-5022", "hid-omnikey-5422",
    "identiv-utrust-3700f", "sony-rc-s300", "elatec-twn4-ccid", "elatec-twn4-simple", "pn532-hsu",
    "rdm6300", "em-18", "id-12la", "7941e", "yhy52x", "yhy632", "keyboard-wedge", "serial-scanner",
    "pcsc-generic",
}  # fmt: skip


def test_the_readers_that_schools_own_have_profiles() -> None:
    assert profiles_dir() == PATHS["rdm6300"].parent
    assert set(PATHS) >= WANTED


@pytest.mark.parametrize(
    ("name", "old", "new", "limit"),
    [
        ("rdm6300", "baud   = 9600", "baud = 299", ">= 300"),
        ("rdm6300", "baud   = 9600", "baud = 1_000_001", "<= 1000000"),
        ("rdm6300", "revision  = 4", "revision = 0", ">= 1"),
        ("em-18", "max_gap_ms = 30", "max_gap_ms = 0", ">= 1"),
        ("em-18", "max_gap_ms = 30", "max_gap_ms = 60_001", "<= 60000"),
        ("rdm6300", "length     = 14", "length = 513", "<= 512"),
        ("rdm6300", "length     = 14", "length = 14\nlength_min = 0", ">= 1"),
        ("yhy632", "length_adds = 4", "length_adds = 17", "<= 16"),
        ("keyboard-wedge", "width      = 4", "width = 11", "<= 10"),
        ("pn532-hsu", "count_at      = 1", "count_at = -13", ">= 0"),
        ("pn532-hsu", "count_at      = 1", "count_at = 256", "<= 255"),
        ("pn532-hsu", "max_failures = 2", "max_failures = 11", "<= 10"),
        ("acs-acr122u", 'tech    = ["iso14443a", "felica"]', "tech = []", ">= 1"),
    ],
)
def test_a_number_beyond_its_limit_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, limit: str
) -> None:
    with pytest.raises(ProfileError, match=f"Expected .*{limit}"):
        read_profile(edited(tmp_path, name, old, new))


def test_a_number_at_its_limit_is_none(tmp_path: Path) -> None:
    for old, new in (
        ("baud   = 9600", "baud = 1_000_000"),
        ("max_gap_ms = 30", "max_gap_ms = 100"),
    ):
        read_profile(edited(tmp_path, "em-18", old, new))


def test_a_reader_without_lights_shows_nothing() -> None:
    assert [load_profile("rdm6300").step_for(signal) for signal in Signal] == [None] * len(Signal)


@pytest.mark.parametrize(
    "profile_id", [profile.id for profile in all_profiles() if profile.feedback.steps()]
)
def test_served_has_a_light_of_its_own(profile_id: str) -> None:
    steps = {signal: load_profile(profile_id).step_for(signal) for signal in Signal}
    served = steps.pop(Signal.SERVED)
    assert served is not None and served not in steps.values()


def test_already_served_falls_back_to_refused_and_to_nothing_else() -> None:
    twn4, acr122u = load_profile("elatec-twn4-simple"), load_profile("acs-acr122u")
    assert twn4.step_for(Signal.ALREADY_SERVED) == twn4.feedback.deny
    assert acr122u.step_for(Signal.ALREADY_SERVED) == acr122u.feedback.again
    assert twn4.step_for(Signal.WAIT) is None
    assert acr122u.step_for(Signal.OUT_OF_ORDER) == acr122u.feedback.deny


@pytest.mark.parametrize(
    ("profile_id", "kind"),
    [
        ("rdm6300", Framed),
        ("serial-scanner", Line),
        ("pn532-hsu", Pn53x),
    ],
)
def test_each_kind_of_framing_has_its_format(profile_id: str, kind: type) -> None:
    assert isinstance(load_profile(profile_id).frame_format(), kind)


def test_a_digest_names_the_content_of_the_file(tmp_path: Path) -> None:
    profile = load_profile("rdm6300")
    assert profile.digest == digest_of(PATHS["rdm6300"].read_bytes()) and len(profile.digest) == 8
    other = read_profile(edited(tmp_path, "rdm6300", "# ", "#  "))
    assert other.digest != profile.digest


def test_the_prefixes_are_those_of_card_ids() -> None:
    assert load_profile("7941e").prefixes == ("a", "em")
