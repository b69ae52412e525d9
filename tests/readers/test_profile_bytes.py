"""The rules of a profile's bytes: each error is one sentence with file, key and what to write."""

from pathlib import Path

import pytest

from agent.readers.profile_bytes import FEEDBACK_MS_MAX, OPEN_COUNTS_MAX, SEND_BYTES_MAX
from agent.readers.profile_rules import read_profile
from tests.parts.profiles import assert_refused, edited

ACS_GREEN = 'send   = "FF 00 40 2E 04 01 00 01 01"'
OMNIKEY_APPLY = "FF 70 07 6B 08 A2 06 A1 04 A9 02 80 00 00"
TEN_DIGITS = "pattern    = '^[0-9]{10}$'"


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("acs-acr122u", '"FF CA 00 00 00"', '"FF CA 0"', r"'uid.send': 'FF CA 0' is not hex pairs"),
        ("acs-acr122u", 'expect   = "9000"', 'expect = "90xx"',
         r"'init\[0\].expect': '90xx' is not hex pairs with .. for any byte"),
        ("acs-acr122u", 'status     = "9000"', 'status = "9"', r"'uid.status': '9' is not hex"),
        ("rdm6300", '["0000000000"', '["00 00 00 00 00"', r"write lower-case hex without spaces"),
        ("7941e", '"02" = "em4100"', '"0B" = "em4100"', r"'uid.types': '0B': write lower-case hex"),
        ("elatec-twn4-simple", 'expect = "00"', f'expect = "{"00" * 200}"',
         r"longer than a frame, which has 128 bytes at most"),
        ("keyboard-wedge", TEN_DIGITS, "pattern = '[0-9]{10}'",
         r"is not anchored; begin with \^ and end with \$"),
        ("keyboard-wedge", TEN_DIGITS, "pattern = '^([0-9]+)+$'", r"is not a simple pattern"),
        ("keyboard-wedge", TEN_DIGITS, "pattern = '^([0-9A-Z][0-9A-Z]|[0-9A-Z-]){6,60}$'",
         r"is not a simple pattern"),
        ("keyboard-wedge", TEN_DIGITS, "pattern = '^a{99999999999}$'", r"is not a simple pattern"),
        ("keyboard-wedge", TEN_DIGITS, "pattern = '^[9-0]{10}$'", r"is not a regular expression"),
    ],
)  # fmt: skip
def test_a_text_that_stands_for_no_bytes_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rdm6300", "at       = [11, 13]", "at = [10, 12]", r"overlaps the bytes that the"),
        ("7941e", "at       = [-2, -1]", "at = [1, 2]", r"overlaps the bytes that the checksum"),
        ("rdm6300", "length     = 14", "length = 12", r"is outside a frame of 12 bytes"),
        ("yhy632", 'stuffing    = "AA"', 'stuffing = "AABB"', r"'framing.stuffing': .* one byte"),
        ("serial-scanner", "length     = 64", 'length = 64\nend = "03"',
         r"'framing.end': has no meaning for this kind; remove it"),
        ("rdm6300", 'kind       = "frame"', 'kind = "delimited"',
         r"'framing.kind': 'delimited' is none of frame, line, pn53x"),
        ("rdm6300", "length     = 14 ", "# ", r"key 'framing.length': missing"),
        ("rdm6300", 'end        = "03"', "length_min = 2", r"'framing.length_min': needs end"),
        ("rdm6300", "length     = 14", "length = 14\nlength_min = 15",
         r"'framing.length_min': write 14 at most"),
        ("rdm6300", "length     = 14", "length = 14\nlength_adds = 2",
         r"'framing.length_adds': .* which is missing"),
        ("rdm6300", "length     = 14", "length = 14\nmax_gap_ms = 30",
         r"'framing.max_gap_ms': is for frames without start; remove it"),
        ("em-18", "max_gap_ms = 30 ", "# ", r"'framing.max_gap_ms': write 100 at most"),
        ("pn532-hsu", "[framing]", "[serial.framing]", r"unknown key 'serial.framing'"),
    ],
)  # fmt: skip
def test_a_framing_that_cannot_work_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("acs-acr122u", 'via      = "escape"', 'via = "apdu"', r"'init\[0\].via': write escape"),
        ("acs-acr122u", 'via      = "escape"\n', "", r"'init\[0\].via': write apdu or escape"),
        ("yhy632", "[feedback.ok]\n", '[feedback.ok]\nvia = "apdu"\n', r"only PC/SC has it"),
        ("pn532-hsu", 'send = "55 55', 'expect = "00"\nsend = "55 55',
         r"'init\[0\].raw': is for serial readers, and without expect"),
        ("acs-acr122u", '"FF CA 00 00 00"', '"FF  70 07 6B 08 A2 06 A1 04"',
         r"'uid.send': changes an OMNIKEY's configuration"),
        ("elatec-twn4-simple", 'send   = "00 04 FF"', 'send = "07 C6 04 08 00"',
         r"changes a scanner's configuration"),
        ("yhy632", '"AA BB 06 00 FF FF 07 01 02 04"', '"AA BB 06 00 FF FF 07 01 02 05"',
         r"'feedback.ok.send': is no frame of \[framing\]"),
        ("yhy632", '"AA BB 06 00 FF FF 01 02 52 51"', '"AA BB 06 00 FF FF 01 02 52 51 00"',
         r"'poll.send\[0\]': is no frame"),
        ("yhy632", 'send         = "AA BB 05 00 FF FF 04 01 05"', 'send = "AA BB 05"',
         r"'keepalive.send': is no frame"),
        ("serial-scanner", "[uid]", '[[init]]\nsend = "53 54"\n[uid]', r"'init\[0\].send': is no"),
        ("acs-acr1552u", '"E0 00 00 28 01 0A"', '"E0 00 00 21 01 00"',
         r"changes an ACS reader's behaviour for good"),
        ("acs-acr1552u", '"E0 00 00 28 01 0A"', '"E0 00 00 23 01 00"',
         r"changes an ACS reader's behaviour for good"),
        ("hid-omnikey-5022", "[poll]",
         f'[[init]]\nvia = "escape"\nsend = "{OMNIKEY_APPLY}"\n[poll]',
         r"OMNIKEY's configuration .* once by hand, and write it in device.notes"),
    ],
)  # fmt: skip
def test_a_command_that_must_not_be_sent_is_an_error(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    assert_refused(edited(tmp_path, name, old, new), sentence)


@pytest.mark.parametrize("command", ["53 54 0D 0A", "53 54 0D", "53 54 0A"])
def test_a_command_of_text_ends_as_texts_end(tmp_path: Path, command: str) -> None:
    read_profile(
        edited(tmp_path, "serial-scanner", "[uid]", f'[[init]]\nsend = "{command}"\n[uid]')
    )


def test_commands_that_look_unlike_the_answers_are_accepted_when_the_profile_tells_so(
    tmp_path: Path,
) -> None:
    path = edited(tmp_path, "serial-scanner", "[uid]", '[[init]]\nsend = "16 54"\n[uid]')
    assert_refused(path, r"is no frame of \[framing\]; .* write commands_differ = true")
    text = path.read_text().replace('kind       = "line"', 'kind = "line"\ncommands_differ = true')
    path.write_text(text)
    read_profile(path)


@pytest.mark.parametrize(
    ("name", "old", "new", "busy_ms"),
    [
        ("acs-acr122u", ACS_GREEN, 'send = "FF 00 40 2E 04 05 05 01 01"', 1_000),
        ("acs-acr122u", ACS_GREEN, 'send = "FF 00 40 2E 04 05 06 01 01"', 1_100),
        ("acs-acr122u", ACS_GREEN,
         'send = ["FF 00 40 2E 04 05 00 01 01", "FF 00 40 2E 04 06 00 01 01"]', 1_100),
        ("acs-acr1552u", "28 03 0A 0A 02", "28 03 64 64 02", 4_000),
        ("acs-acr1552u", "28 01 0A", "28 01 64", 1_000),
        ("acs-acr1552u", "28 01 0A", "28 01 65", 1_010),
        ("acs-acr1552u", '"E0 00 00 28 03 0A 0A 02"', '"E0 00 00 28 03 0A 0A"', 0),  # of no family
    ],
)  # fmt: skip
def test_a_signal_keeps_the_reader_busy_for_a_second_at_most(
    tmp_path: Path, name: str, old: str, new: str, busy_ms: int
) -> None:
    path = edited(tmp_path, name, old, new)
    if busy_ms <= FEEDBACK_MS_MAX:
        read_profile(path)
    else:
        assert_refused(path, f"keeps the reader busy for {busy_ms} ms, more than {FEEDBACK_MS_MAX}")


def test_a_command_has_as_many_bytes_as_a_frame_can_carry(tmp_path: Path) -> None:
    def with_bytes(count: int) -> Path:
        return edited(tmp_path, "pn532-hsu", 'send   = "02" ', f'send = "{"02 " * count}" ')

    read_profile(with_bytes(SEND_BYTES_MAX))
    assert_refused(with_bytes(SEND_BYTES_MAX + 1), f"more than {SEND_BYTES_MAX} bytes")


def test_a_pattern_has_few_open_counts_so_that_no_text_takes_long(tmp_path: Path) -> None:
    def with_open_counts(count: int) -> Path:
        pattern = f"pattern = '^[A-Z0-9-]{{8}}{'[0-9]{0,9}' * count}$'"
        return edited(tmp_path, "keyboard-wedge", TEN_DIGITS, pattern)

    read_profile(with_open_counts(OPEN_COUNTS_MAX))
    assert_refused(with_open_counts(OPEN_COUNTS_MAX + 1), "is not a simple pattern")
