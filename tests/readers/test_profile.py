"""A profile without proof does not load; what is wrong is said with file, key and what to write."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.apdu import parse_hex
from agent.readers.events import Signal
from agent.readers.profile import find_reader, load_profile, profiles_dir, read_profile, run_selftest

ACR122U = (profiles_dir() / "acs-acr122u.toml").read_text(encoding="utf-8")
RDM6300 = (profiles_dir() / "rdm6300.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(profiles_dir().glob("*.toml")), ids=lambda path: path.stem)
def test_every_profile_loads_and_its_selftests_hold(path: Path) -> None:
    profile = read_profile(path)
    assert [run_selftest(profile, parse_hex(test.rx)) for test in profile.selftest] == [test.uid or test.error for test in profile.selftest]


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rdm6300", "max_gap_ms = 50", "max_gap = 50", r"unknown key 'framing.max_gap'; did you mean 'max_gap_ms'"),
        ("rdm6300", "baud            = 9600", 'baud = "9600"', r"key 'serial.baud': Expected `int`, got `str`"),
        ("rdm6300", 'id        = "rdm6300"', 'id = "rdm"', r"the file is called 'rdm6300'"),
        ("rdm6300", "schema    = 1", "schema = 7", r"is 7, this program knows 1"),
        ("rdm6300", "gone_after_ms = 400", "gone_after_ms = 100", r"write at least 195"),
        ("rdm6300", "debounce_ms   = 1500", "debounce_ms = 300", r"write at least gone_after_ms, 400"),
        ("rdm6300", "at       = [11, 13]", "at = [10, 12]", r"lies inside what the checksum covers"),
        ("rdm6300", "length     = 14", "length = 12", r"does not lie inside a frame of 12 bytes"),
        ("rdm6300", 'start      = "02"', 'start = "0202"', r"must be one byte"),
        ("rdm6300", 'algo     = "xor8"', 'algo = "crc32"', r"key 'framing.checksum.algo': Invalid enum value 'crc32'"),
        ("rdm6300", 'error = "checksum"', 'error = "rejected-uid"', r"selftest 'bad checksum': gives checksum, not rejected-uid"),
        ("rdm6300", 'uid  = "62e3086ced"', 'uid = "62e3086cee"', r"selftest 'Seeed datasheet': gives 62e3086ced"),
        ("rdm6300", '[match]\nport = "configured"', '[match]\npcsc_name = "x"', r"'match.pcsc_name': has no meaning in a serial profile"),
        ("acs-acr122u", 'send       = "FF CA 00 00 00"', 'send = "FF CA 0"', r"'uid.send': 'FF CA 0' is not hex pairs"),
        ("acs-acr122u", 'expect   = "9000"', 'expect = "90xx"', r"'init\[0\].expect': '90xx' is not hex pairs, with .. for any byte"),
        ("acs-acr122u", "[pcsc.escape]\ncontrol_code = 1 ", "[pcsc] #", r"escape needs a table \[pcsc.escape\]"),
        ("acs-acr122u", '5D 04 01 01 02 01"', '5D 04 05 05 03 01"', r"keeps the reader busy for 3000 ms, more than 1000"),
        ("acs-acr122u", 'mode        = "level"', 'mode = "repeat"', r"needs repeat_ms and gone_after_ms"),
        ("acs-acr122u", "schema    = 1", "schema = = 1", r"is not TOML"),
    ],
)
def test_a_wrong_profile_is_one_sentence(tmp_path: Path, name: str, old: str, new: str, sentence: str) -> None:
    text = {"rdm6300": RDM6300, "acs-acr122u": ACR122U}[name]
    assert old in text
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=sentence) as raised:
        read_profile(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_profile_needs_a_good_and_a_bad_selftest(tmp_path: Path) -> None:
    path = tmp_path / "rdm6300.toml"
    path.write_text(
        RDM6300[: RDM6300.index("[[selftest]]")] + '[[selftest]]\nname = "one"\nrx = "00"\nerror = "checksum"\n', encoding="utf-8"
    )
    with pytest.raises(ProfileError, match="at least one with uid and one with error"):
        read_profile(path)


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(ProfileError, match="there are acs-acr122u, rdm6300"):
        load_profile("acr")


def test_a_reader_is_found_by_its_name_or_by_the_configured_one() -> None:
    profile = load_profile("acs-acr122u")
    names = ["HID Global OMNIKEY 5022 00 00", "ACS ACR122U PICC Interface 01 00"]
    assert find_reader(profile, names, None) == names[1]
    assert find_reader(profile, names, "HID*") == names[0]
    assert find_reader(profile, names[:1], None) is None


def test_a_reader_without_lights_shows_nothing() -> None:
    assert [load_profile("rdm6300").step_for(signal) for signal in Signal] == [None] * len(Signal)


def test_served_has_a_light_of_its_own() -> None:
    steps = {signal: load_profile("acs-acr122u").step_for(signal) for signal in Signal}
    served = steps.pop(Signal.SERVED)
    assert served is not None and served not in steps.values()
