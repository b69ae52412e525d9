"""A profile without proof does not load; what is wrong is said with file, key and what to write."""

from pathlib import Path

import pytest

from agent.errors import ProfileError
from agent.readers.events import Signal
from agent.readers.match import clashes, find_reader, profile_of_name, profile_of_usb
from agent.readers.profile import profiles_dir
from agent.readers.profile_rules import all_profiles, load_profile, read_profile, run_selftest

FILES = {path.stem: path.read_text(encoding="utf-8") for path in profiles_dir().glob("*.toml")}
PROFILES = {path.stem: path for path in sorted(profiles_dir().glob("*.toml"))}
ACS_GREEN = "FF 00 40 2E 04 01 00 01 01"
OMNIKEY_APPLY = "FF 70 07 6B 08 A2 06 A1 04 A9 02 80 00 00"
WANTED = {
    "acs-acr122u", "acs-acr1252u", "acs-acr1552u", "hid-omnikey-5022", "hid-omnikey-5422", "identiv-utrust-3700f", "sony-rc-s300",
    "elatec-twn4-ccid", "elatec-twn4-simple", "pn532-hsu", "rdm6300", "em-18", "id-12la", "7941e", "yhy52x", "yhy632",
    "keyboard-wedge", "serial-scanner", "pcsc-generic",
}  # fmt: skip


def test_the_readers_schools_own_are_there() -> None:
    assert set(FILES) >= WANTED


@pytest.mark.parametrize("path", PROFILES.values(), ids=lambda path: path.stem)
def test_every_profile_loads_and_its_selftests_hold(path: Path) -> None:
    profile = read_profile(path)
    words = [run_selftest(profile, test)[1] for test in profile.selftest]
    assert words == [test.uid or test.error for test in profile.selftest]
    assert profile.device.sources and len(profile.digest) == 8


def test_no_two_profiles_fit_one_device_equally_well(tmp_path: Path) -> None:
    assert clashes(all_profiles()) == []
    twin = tmp_path / "rival.toml"
    twin.write_text(
        FILES["acs-acr122u"].replace('id        = "acs-acr122u"', 'id = "rival"'), encoding="utf-8"
    )
    assert clashes([*all_profiles(), read_profile(twin)]) == [
        "rival and acs-acr122u both match 072f:2200; let one of them say more in [match]",
        "rival and acs-acr122u both match ACS ACR122U*; let one of them say more in [match]",
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rdm6300", "max_gap_ms = 50", "max_gap = 50", r"unknown key 'framing.max_gap'; did you mean 'max_gap_ms'"),
        ("rdm6300", "baud   = 9600", 'baud = "9600"', r"key 'serial.baud': Expected `int`, got `str`"),
        ("rdm6300", 'id        = "rdm6300"', 'id = "rdm"', r"the file is called 'rdm6300'"),
        ("rdm6300", "schema    = 1", "schema = 7", r"is 7, this program knows 1"),
        ("rdm6300", "schema    = 1", 'schema = 1\ndigest = "12345678"', r"unknown key 'digest': it is computed"),
        ("rdm6300", "gone_after_ms = 400", "gone_after_ms = 100", r"write at least 195, three repeats may get lost"),
        ("rdm6300", "debounce_ms   = 1500", "debounce_ms = 300", r"write at least gone_after_ms, 400"),
        ("rdm6300", "repeat_ms     = 65\n", "", r"a reader that repeats needs repeat_ms and gone_after_ms"),
        ("rdm6300", "at       = [11, 13]", "at = [10, 12]", r"lies inside what the checksum covers"),
        ("rdm6300", "length     = 14", "length = 12", r"does not lie inside a frame of 12 bytes"),
        ("rdm6300", 'start      = "02"', 'start = "0202"', r"must be one byte"),
        ("rdm6300", 'end        = "03"\n', "", r"key 'framing.end': missing; kind delimited needs it"),
        ("rdm6300", 'end        = "03"', 'end = "03"\nstuffing = "AA"', r"'framing.stuffing': has no meaning for kind delimited"),
        ("rdm6300", 'algo     = "xor8"', 'algo = "crc32"', r"key 'framing.checksum.algo': 'crc32' is none of xor8"),
        ("rdm6300", 'support   = "fixtures"', 'support = "fixture"', r"none of untested, fixtures, bench, field; did you mean 'fixtures'"),
        ("rdm6300", 'tech    = ["em4100"]', 'tech = ["em4001"]', r"'em4001' is none of .*; did you mean 'em4100'"),
        ("rdm6300", 'error = "checksum"', 'error = "checksums"', r"'checksums' is none of .*did you mean 'checksum'"),
        ("7941e", '"02" = "em4100"', '"02" = "em41"', r"'em41' is none of .*did you mean 'em4100'"),
        ("elatec-twn4-simple", "[match]\n", "[match]\nport = 1\n", r"unknown key 'match.port'$"),
        ("pn532-hsu", "count_at    = 1", "count_at = -13", r"key 'poll.count_at': Expected `int` >= 0"),
        ("pn532-hsu", 'send   = "02" ', f'send = "{"02 " * 300}" ', r"more than 254 bytes"),
        ("acs-acr1552u", '"E0 00 00 28 03 0A 0A 02"', '"E0 00 00 28 03 0A 0A"', None),
        ("acs-acr122u", f'send   = "{ACS_GREEN}"', 'send = ["FF 00 40 2E 04 05 00 01 01", "FF 00 40 2E 04 06 00 01 01"]', r"for 1100 ms"),
        ("acs-acr122u", f'send   = "{ACS_GREEN}"', "send = []", r"Expected `array` of length >= 1"),
        ("acs-acr122u", 'send       = "FF CA 00 00 00"', 'send = "FF  70 07 6B 08 A2 06 A1 04"', r"'uid.send': sets an OMNIKEY"),
        ("acs-acr122u", 'value  = "2.06"', 'value = "new"', r"firmware-refused needs a version, as 2.06"),
        ("keyboard-wedge", "'^[0-9]{10}$'", "'^([0-9A-Z][0-9A-Z]|[0-9A-Z-]){6,60}$'", r"is no simple pattern; write"),
        ("keyboard-wedge", "'^[0-9]{10}$'", "'^a{99999999999}$'", r"is no simple pattern"),
        ("keyboard-wedge", "'^[0-9]{10}$'", "'^[A]{1,9}[A]{1,9}[A]{1,9}$'", r"is no simple pattern"),
        ("rdm6300", 'error = "checksum"', 'error = "rejected-uid"', r"selftest 'bad checksum': gives checksum, not rejected-uid"),
        ("rdm6300", 'uid  = "62e3086ced"', 'uid = "62e3086cee"', r"selftest 'Seeed datasheet': gives 62e3086ced"),
        ("rdm6300", "lengths    = [5]", "lengths = [4, 5]", r"'uid.lengths': 4: no technology of device.tech has such UIDs"),
        ("rdm6300", 'dez10 = "0006547886"', 'dez10 = "0006547887"', r"as dez10 gives 0006547886, not 0006547887"),
        ("rdm6300", '[poll]\nmode = "push"', '[poll]\nmode = "event"', r"'poll.mode': write push or request"),
        ("rdm6300", '[poll]\nmode = "push"', '[poll]\nmode = "request"', r"'poll': request needs send and interval_ms"),
        ("rdm6300", "[serial]", '[match]\npcsc_name = "x"\n[serial]', r"'match.pcsc_name': has no meaning in a serial profile"),
        ("em-18", 'id        = "em-18"', 'id = "em-18"\nsupprt = "field"', r"unknown key 'supprt'; did you mean 'support'"),
        ("7941e", "at       = [-2, -1]", "at = [1, 2]", r"lies inside what the checksum covers"),
        ("7941e", "type_at    = 2\n", "", r"type_at and types go together"),
        ("7941e", '"02" = "em4100"', '"02" = "felica"', r"'uid.types.02': felica is not among device.tech"),
        ("pn532-hsu", "gone_after_ms = 800", "gone_after_ms = 200", r"write at least 700, an answer may get lost, and a poll"),
        ("pn532-hsu", "gone_after_ms = 800   ", "# ", r"'presence.gone_after_ms': missing"),
        ("pn532-hsu", 'mode          = "level"', 'mode = "once"', r"'presence.mode': write level; poll.mode is request"),
        ("pn532-hsu", "[keepalive]", "[feedback.ok]", r"unknown key 'feedback.ok.idle_ms'"),
        ("pn532-hsu", 'expect      = ["4B"]', "expect = []", r"1 commands are sent, write as many beginnings of answers"),
        ("pn532-hsu", 'send = "55 55', 'expect = "00"\nsend = "55 55', r"'init\[0\].raw': is for serial readers, and awaits no answer"),
        ("elatec-twn4-simple", 'send   = "00 04 FF"', 'send = "07 C6 04 08 00"', r"sets a scanner's configuration"),
        ("keyboard-wedge", "pattern    = '^[0-9]{10}$'", "pattern = '[0-9]{10}'", r"is not anchored; begin with \^ and end with \$"),
        ("keyboard-wedge", "pattern    = '^[0-9]{10}$'", "pattern = '^([0-9]+)+$'", r"is no simple pattern"),
        ("keyboard-wedge", "width      = 4\n", "", r"'uid.width': ascii-dec needs the number of bytes"),
        ("keyboard-wedge", 'mode = "push"', 'mode = "push"\n[feedback.ok]\nsend = "00"', r"a keyboard is told nothing"),
        ("acs-acr122u", 'send       = "FF CA 00 00 00"', 'send = "FF CA 0"', r"'uid.send': 'FF CA 0' is not hex pairs"),
        ("acs-acr122u", 'expect   = "9000"', 'expect = "90xx"', r"'init\[0\].expect': '90xx' is not hex pairs, with .. for any byte"),
        ("rdm6300", 'reject     = ["0000000000"', 'reject = ["00 00 00 00 00"', r"is compared as it stands; write lower-case hex"),
        ("7941e", '"02" = "em4100"', '"0B" = "em4100"', r"'uid.types': '0B' is compared as it stands"),
        ("acs-acr122u", '5D 04 01 01 02 01"', '5D 04 05 05 03 01"', r"keeps the reader busy for 3000 ms, more than 1000"),
        ("acs-acr122u", 'mode        = "level"', 'mode = "repeat"', r"'presence.mode': write level; poll.mode is event"),
        ("acs-acr122u", 'value  = "pn533_usb"\n', "", r"'quirk.value': kernel-module needs one"),
        ("acs-acr1552u", "28 03 0A 0A 02", "28 03 64 64 02", r"keeps the reader busy for 4000 ms"),
        ("acs-acr1552u", '"E0 00 00 28 01 0A"', '"E0 00 00 21 01 00"', r"sets an ACS reader's behaviour for good"),
        ("hid-omnikey-5022", "[poll]", f'[[init]]\nvia = "escape"\nsend = "{OMNIKEY_APPLY}"\n[poll]',
         r"sets an OMNIKEY's configuration .* by hand, and say so in device.notes"),
        ("acs-acr122u", "schema    = 1", "schema = = 1", r"is not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_profile_is_one_sentence(
    tmp_path: Path, name: str, old: str, new: str, sentence: str | None
) -> None:
    assert old in FILES[name]
    path = tmp_path / f"{name}.toml"
    path.write_text(FILES[name].replace(old, new, 1), encoding="utf-8")
    if sentence is None:  # odd, and not wrong
        read_profile(path)
        return
    with pytest.raises(ProfileError, match=sentence) as raised:
        read_profile(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("kept", ["uid", "error"])
def test_a_profile_needs_a_good_and_a_bad_selftest(tmp_path: Path, kept: str) -> None:
    head, *tests = FILES["rdm6300"].split("[[selftest]]")
    path = tmp_path / "rdm6300.toml"
    path.write_text(
        "[[selftest]]".join([head, *(test for test in tests if f"\n{kept} " in test)]),
        encoding="utf-8",
    )
    with pytest.raises(ProfileError, match="at least one with uid and one with error"):
        read_profile(path)


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(ProfileError, match="there are 7941e, acs-acr122u"):
        load_profile("acr")


def test_a_reader_is_found_by_its_name_or_by_the_configured_one() -> None:
    profile = load_profile("acs-acr122u")
    names = ["HID Global OMNIKEY 5022 00 00", "ACS ACR122U PICC Interface 01 00"]
    assert find_reader(profile, names, None) == names[1]
    assert find_reader(profile, names, "HID*") == names[0]
    assert find_reader(profile, names[:1], None) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ACS ACR122U PICC Interface 00 00", "acs-acr122u"),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", "acs-acr1252u"),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01", "pcsc-generic"),
        (
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 01",
            "hid-omnikey-5422",
        ),
        ("Nobody's Reader 00 00", "pcsc-generic"),
    ],
)
def test_the_most_specific_profile_wins(name: str, wanted: str) -> None:
    found = profile_of_name(all_profiles(), name)
    assert found is not None and found.id == wanted


def test_one_hardware_with_three_transports_is_told_by_its_interfaces() -> None:
    profiles = all_profiles()
    ids = [
        getattr(profile_of_usb(profiles, "09d8:0427", interfaces), "id", None)
        for interfaces in ({"ccid"}, {"cdc"}, {"hid"})
    ]
    assert ids == ["elatec-twn4-ccid", "elatec-twn4-simple", None]


def test_a_reader_without_lights_shows_nothing() -> None:
    assert [load_profile("rdm6300").step_for(signal) for signal in Signal] == [None] * len(Signal)


@pytest.mark.parametrize("profile_id", [one.id for one in all_profiles() if one.feedback.steps()])
def test_served_has_a_light_of_its_own(profile_id: str) -> None:
    steps = {signal: load_profile(profile_id).step_for(signal) for signal in Signal}
    served = steps.pop(Signal.SERVED)
    assert served is not None and served not in steps.values()
