"""A profile without self-tests does not load. Each error names file, key and what to write."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.profile_rules import all_profiles, load_profile, read_profile, run_selftest
from tests.parts.profiles import PATHS, TEXTS, assert_refused, edited


@pytest.mark.parametrize("path", PATHS.values(), ids=lambda path: path.stem)
def test_every_installed_profile_loads_and_its_selftests_hold(path: Path) -> None:
    profile = read_profile(path)
    words = [run_selftest(profile, test)[1] for test in profile.selftest]
    assert words == [test.uid or test.error for test in profile.selftest]
    assert profile.device.sources


def test_all_profiles_are_those_of_the_folder_in_order() -> None:
    assert [profile.id for profile in all_profiles()] == list(PATHS)


def test_an_unknown_profile_names_the_installed_ones() -> None:
    with pytest.raises(ProfileError, match="there are 7941e, acs-acr122u"):
        load_profile("acr")


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("acs-acr122u", "schema    = 2", "schema = = 2", r"TOML"),
        ("em-18", "max_gap_ms = 30", "max_gap = 30",
         r"unknown key 'framing.max_gap'; did you mean 'max_gap_ms'"),
        ("elatec-twn4-simple", "[match]\n", "[match]\nport = 1\n", r"unknown key 'match.port'$"),
        ("em-18", 'id        = "em-18"', 'id = "em-18"\nsupprt = "field"',
         r"unknown key 'supprt'; did you mean 'support'"),
        ("pn532-hsu", "[keepalive]", "[feedback.ok]", r"unknown key 'feedback.ok.idle_ms'"),
        ("rdm6300", "baud   = 9600", 'baud = "9600"', r"'serial.baud': Expected `int`, got `str`"),
        ("rdm6300", 'algo     = "xor8"', 'algo = "crc32"', r"'framing.checksum.algo': .*xor8"),
        ("rdm6300", 'support   = "fixtures"', 'support = "fixture"', r"did you mean 'fixtures'"),
        ("rdm6300", 'tech    = ["em4100"]', 'tech = ["em4001"]', r"did you mean 'em4100'"),
        ("rdm6300", 'error = "checksum"', 'error = "checksums"', r"did you mean 'checksum'"),
        ("7941e", '"02" = "em4100"', '"02" = "em41"', r"did you mean 'em4100'"),
        ("acs-acr122u", 'send   = "FF 00 40 2E 04 01 00 01 01"', "send = []", r"of length >= 1"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_well_formed_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rdm6300", "schema    = 2", "schema = 7", r"is 7; this program knows schema 2"),
        ("rdm6300", 'id        = "rdm6300"', 'id = "rdm"', r"the file is called 'rdm6300'"),
        ("rdm6300", "schema    = 2", 'schema = 2\ndigest = "12345678"',
         r"unknown key 'digest': the program computes it"),
        ("rdm6300", "[serial]", '[match]\npcsc_name = "x"\n[serial]',
         r"'match.pcsc_name': has no meaning in a serial profile; remove it"),
        ("rdm6300", "[serial]\nbaud   = 9600", "", r"'serial': missing; a serial profile needs it"),
        ("id-12la", '[poll]\nmode = "once"', '[poll]\nmode = "event"',
         r"'poll.mode': write once, repeat or request"),
        ("acs-acr122u", 'mode = "event"', 'mode = "once"', r"'poll.mode': write event"),
        ("keyboard-wedge", 'mode = "once"', 'mode = "once"\n[feedback.ok]\nsend = "00"',
         r"nothing can be sent to a keyboard"),
        ("acs-acr122u", 'value  = "2.06"', 'value = "new"', r"firmware-refused needs a version"),
        ("acs-acr122u", 'value  = "pn533_usb"\n', "", r"missing; kernel-module needs it"),
        ("elatec-twn4-simple", 'id     = "modem-manager"\n',
         'id = "modem-manager"\nvalue = "x"\n', r"no meaning for modem-manager"),
        ("rdm6300", 'sources = ["', 'sources = ["FILL IN: x", "', r"write where the numbers come"),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit_together_are_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rdm6300", "slice      = [1, 11]\n", "length_at = 1\n", r"'uid': write slice, or"),
        ("keyboard-wedge", "width      = 4\n", "", r"'uid.width': ascii-dec needs the number"),
        ("keyboard-wedge", "pattern    = '^[0-9]{10}$'\n", "", r"'uid.pattern': missing"),
        ("acs-acr122u", 'encoding   = "raw"', 'encoding = "raw"\nbcc = true', r"'uid.bcc': needs"),
        ("7941e", "type_at    = 2\n", "", r"type_at and types need each other"),
        ("7941e", 'type_at    = 2\ntypes      = { "01" = "iso14443a", "02" = "em4100" }\n', "",
         r"'uid.type_at': missing; the technology of a card is not guessed"),
        ("7941e", '"02" = "em4100"', '"02" = "felica"', r"'uid.types.02': felica is not in device"),
        ("rdm6300", "lengths    = [5]", "lengths = [4, 5]",
         r"'uid.lengths': 4: no technology of device.tech has such UIDs"),
    ],
)  # fmt: skip
def test_a_uid_that_cannot_be_read_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("id-12la", 'mode = "once"', 'mode = "push"',
         r"'poll.mode': 'push' is none of event, once, repeat, request"),
        ("id-12la", 'mode = "once"', 'mode = "request"', r"key 'poll.send': missing"),
        ("id-12la", 'mode = "once"', 'mode = "once"\nrepeat_ms = 65',
         r"'poll.repeat_ms': has no meaning for this mode"),
        ("pn532-hsu", 'expect        = ["4B"]', 'expect = ["4B", "00"]', r"for each of the 1"),
        ("pn532-hsu", 'expect        = ["4B"]', "expect = []", r"'poll.expect': .*length >= 1"),
        ("rdm6300", "repeat_ms     = 65\n", "", r"key 'poll.repeat_ms': missing"),
        ("rdm6300", "gone_after_ms = 400", "gone_after_ms = 194",
         r"write at least 195: three repeats may get lost"),
        ("rdm6300", "gone_after_ms = 400", "gone_after_ms = 2001", r"write 2000 at most"),
        ("em-18", "repeat_ms      = 200", "repeat_ms = 30",
         r"'poll.repeat_ms': write more than 30, .*: else no pause shows where a frame begins"),
        ("pn532-hsu", "gone_after_ms = 800", "gone_after_ms = 699",
         r"write at least 700: an answer may get lost, and a poll"),
        ("pn532-hsu", "gone_after_ms = 800   ", "# ", r"'poll.gone_after_ms': missing"),
    ],
)  # fmt: skip
def test_times_that_would_lose_or_double_taps_are_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[[init]]\nsend = "AA BB 02 12 10"\nexpect = "AA BB"\n', r"init\[0\].expect"),
        ('[keepalive]\nsend = "AA BB 02 12 10"\nexpect = "AA BB 12"\nidle_ms = 3000\n'
         "max_failures = 2\n", "keepalive.expect"),
    ],
)  # fmt: skip
def test_a_card_that_looks_like_an_answer_is_an_error(tmp_path: Path, table: str, key: str) -> None:
    """Such a card would be taken for the answer to the command before it."""
    sentence = f"key '{key}': the card of selftest 'auto-read block output of the manual' begins"
    assert_refused(edited(tmp_path, "yhy52x", "[poll]", f"{table}[poll]"), sentence)


def test_a_polled_reader_needs_a_keepalive_and_a_start_up_command(tmp_path: Path) -> None:
    text = TEXTS["elatec-twn4-simple"]
    keepalive = text[text.index("[keepalive]") : text.index("[[quirk]]")]
    assert_refused(edited(tmp_path, "elatec-twn4-simple", keepalive, ""), "'keepalive': missing")
    start_up = text[text.index("[[init]]") : text.index("[poll]")]
    assert_refused(edited(tmp_path, "elatec-twn4-simple", start_up, ""), "'init': missing")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('error = "checksum"', 'error = "rejected-uid"',
         r"selftest 'bad checksum': gives checksum, not rejected-uid"),
        ('uid  = "62e3086ced"', 'uid = "62e3086cee"',
         r"selftest 'Seeed datasheet': gives 62e3086ced"),
        ('dez10 = "0006547886"', 'dez10 = "0006547887"',
         r"as dez10 gives 0006547886, not 0006547887"),
    ],
)  # fmt: skip
def test_a_selftest_that_gives_something_else_is_an_error(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, "rdm6300", old, new), sentence)


def test_a_selftest_with_another_technology_is_an_error(tmp_path: Path) -> None:
    path = edited(tmp_path, "acs-acr122u", 'tech = "felica"', 'tech = "iso14443a"')
    assert_refused(path, "has technology f, not iso14443a")


@pytest.mark.parametrize("kept", ["uid", "error"])
def test_a_profile_needs_a_good_and_a_bad_selftest(tmp_path: Path, kept: str) -> None:
    head, *tests = TEXTS["rdm6300"].split("[[selftest]]")
    path = tmp_path / "rdm6300.toml"
    kept_tests = [test for test in tests if f"\n{kept} " in test]
    path.write_text("[[selftest]]".join([head, *kept_tests]), encoding="utf-8")
    assert_refused(path, "at least one with uid and one with error")
