"""Key events as the kernel reports them become the characters of a card's number."""

import struct

import pytest
from evdev import ecodes

from agent.domain.card import CardId
from agent.readers.dialogue import Dialogue
from agent.readers.faults import Fault
from agent.readers.keys import character
from agent.readers.profile_rules import load_profile

# struct input_event of a 64-bit kernel: seconds, microseconds, type, code, value.
EVENT = struct.Struct("llHHi")
NUMBER = "3220338716"
KEYS = [getattr(ecodes, f"KEY_{digit}") for digit in NUMBER]
CARD = CardId("a", bytes.fromhex("1c78f2bf"))


def recording(keys: list[int]) -> bytes:
    """Return the events of a Sycreader that types these keys and Enter.

    Each key is a scan code, a press, a report, a release and a report. Shift and num lock are
    pressed as well, as some readers do.
    """
    events = []
    for n, key in enumerate([ecodes.KEY_LEFTSHIFT, *keys, ecodes.KEY_NUMLOCK, ecodes.KEY_ENTER]):
        scan = (ecodes.EV_MSC, ecodes.MSC_SCAN, 458_000 + key)
        press, release, report = (ecodes.EV_KEY, key, 1), (ecodes.EV_KEY, key, 0), (0, 0, 0)
        for event in (scan, press, report, release, report):
            events.append(EVENT.pack(1_795_000_000, n * 4_000, *event))
    return b"".join(events)


def typed(events: bytes) -> bytes:
    return b"".join(
        character(kind, code, value) for _, _, kind, code, value in EVENT.iter_unpack(events)
    )


def test_key_codes_become_characters_whatever_the_keyboard_layout() -> None:
    assert typed(recording(KEYS)) == b"3220338716\r"


def test_a_recorded_number_is_the_card() -> None:
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    detections = [
        detection
        for n, byte in enumerate(typed(recording(KEYS)))
        for detection in dialogue.receive(bytes([byte]), 1_000 + 4 * n)
    ]
    assert detections == [CARD]


def test_the_number_pad_types_the_same_digits() -> None:
    pad = [getattr(ecodes, f"KEY_KP{digit}") for digit in NUMBER]
    assert typed(recording(pad)) == b"3220338716\r"


@pytest.mark.parametrize(
    ("key", "letter"),
    [
        ("KPDOT", "."),
        ("KPSLASH", "/"),
        ("MINUS", "-"),
        ("COMMA", ","),
        ("DOT", "."),
        ("SLASH", "/"),
    ],
)
def test_the_signs_in_printed_numbers_are_typed(key: str, letter: str) -> None:
    assert character(ecodes.EV_KEY, getattr(ecodes, f"KEY_{key}"), 1) == letter.encode("ascii")


def test_every_letter_and_digit_of_the_kernel_is_typed_as_itself() -> None:
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        code = getattr(ecodes, f"KEY_{letter}")
        assert character(ecodes.EV_KEY, code, 1) == letter.encode("ascii")


def test_a_key_that_is_held_down_types_once() -> None:
    assert character(ecodes.EV_KEY, ecodes.KEY_3, 2) == b""
    assert character(ecodes.EV_KEY, ecodes.KEY_3, 0) == b""


def test_a_key_that_no_reader_has_spoils_the_number() -> None:
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    text = typed(recording([*KEYS[:5], ecodes.KEY_F1, *KEYS[5:]]))
    assert dialogue.receive(text, 1_000) == [Fault.FORM]


def test_a_number_that_stops_in_the_middle_is_dropped_after_a_pause() -> None:
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    assert dialogue.receive(b"32203", 1_000) == []
    assert dialogue.receive(b"3220338716\r", 1_200) == [CARD]
