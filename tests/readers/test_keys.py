"""Key events as the kernel reports them become the characters of a card's number, or unknown."""

import struct

import pytest
from evdev import ecodes

from agent.readers.keys import KEYS_MIN, Keys

# struct input_event of a 64-bit kernel: seconds, microseconds, type, code, value.
EVENT = struct.Struct("llHHi")
NUMBER = "3220338716"
KEYS = [getattr(ecodes, f"KEY_{digit}") for digit in NUMBER]


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


def typed(events: bytes, keys: Keys | None = None) -> bytes:
    keys = keys or Keys()
    return b"".join(
        keys.typed(kind, code, value) for _, _, kind, code, value in EVENT.iter_unpack(events)
    )


def pressed(*codes: int, keys: Keys | None = None) -> bytes:
    """Return what is typed by keys of which each is held until all are pressed."""
    keys = keys or Keys()
    down = b"".join(keys.typed(ecodes.EV_KEY, code, 1) for code in codes)
    return down + b"".join(keys.typed(ecodes.EV_KEY, code, 0) for code in codes)


def test_key_codes_become_characters() -> None:
    assert typed(recording(KEYS)) == b"3220338716\r"


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
        ("TAB", "\r"),
        ("KPENTER", "\r"),
    ],
)
def test_the_signs_in_printed_numbers_are_typed(key: str, letter: str) -> None:
    assert pressed(getattr(ecodes, f"KEY_{key}")) == letter.encode("ascii")


def test_letters_and_digits_are_typed_as_themselves() -> None:
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        assert pressed(getattr(ecodes, f"KEY_{letter.upper()}")) == letter.encode("ascii")


@pytest.mark.parametrize("shift", [ecodes.KEY_LEFTSHIFT, ecodes.KEY_RIGHTSHIFT])
def test_shift_types_capitals_and_ends_when_it_is_released(shift: int) -> None:
    keys = Keys()
    assert pressed(shift, ecodes.KEY_B, keys=keys) == b"B"
    assert pressed(ecodes.KEY_B, keys=keys) == b"b" and not keys.is_unknown


def test_caps_lock_types_capitals_until_it_is_pressed_again() -> None:
    keys = Keys()
    pressed(ecodes.KEY_CAPSLOCK, keys=keys)
    assert pressed(ecodes.KEY_B, keys=keys) == b"B"
    assert pressed(ecodes.KEY_LEFTSHIFT, ecodes.KEY_B, keys=keys) == b"b"
    pressed(ecodes.KEY_CAPSLOCK, keys=keys)
    assert pressed(ecodes.KEY_B, keys=keys) == b"b"


@pytest.mark.parametrize("held", ["LEFTSHIFT", "RIGHTALT", "LEFTALT", "LEFTCTRL", "LEFTMETA"])
def test_a_digit_with_another_key_held_is_not_that_digit(held: str) -> None:
    keys = Keys()
    unknown = []
    for codes in ((getattr(ecodes, f"KEY_{held}"), ecodes.KEY_3), (ecodes.KEY_3,)):
        unknown.append((pressed(*codes, keys=keys), keys.is_unknown))
        keys.begin()
    assert unknown == [(b"?", True), (b"3", False)]


def test_shift_with_enter_is_enter() -> None:
    assert pressed(ecodes.KEY_LEFTSHIFT, ecodes.KEY_ENTER) == b"\r"


def test_a_key_that_no_reader_has_makes_the_text_unknown() -> None:
    keys = Keys()
    assert pressed(ecodes.KEY_F1, keys=keys) == b"?" and keys.is_unknown


def test_a_key_that_is_held_down_types_once() -> None:
    keys = Keys()
    assert [keys.typed(ecodes.EV_KEY, ecodes.KEY_3, value) for value in (1, 2, 2, 0)] == [
        b"3",
        b"",
        b"",
        b"",
    ]


def test_a_text_of_a_few_keys_is_no_card() -> None:
    for count, is_unfinished in ((KEYS_MIN - 1, False), (KEYS_MIN, True)):
        keys = Keys()
        for _ in range(count):
            pressed(ecodes.KEY_3, keys=keys)
        assert keys.is_unfinished is is_unfinished


def test_a_new_text_begins_with_nothing() -> None:
    keys = Keys()
    pressed(ecodes.KEY_F1, *[ecodes.KEY_3] * KEYS_MIN, keys=keys)
    keys.begin()
    assert not keys.is_unfinished and not keys.is_unknown
