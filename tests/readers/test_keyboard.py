"""A reader that types: key events as the kernel gives them, and a path that is no keyboard.

There is no uinput in the kernels this runs on everywhere, so no keyboard can be made here: the decoder is tested on recorded
events, the wall on what it says when it cannot open.
"""

import queue
import struct
import threading
from pathlib import Path

import pytest
from evdev import ecodes

from agent.domain.card import CardId
from agent.readers.dialogue import Dialogue
from agent.readers.events import ReaderDown, ReaderEvent
from agent.readers.faults import Fault
from agent.readers.keys import character
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import LateTaps
from agent.readers.profile_rules import load_profile

# struct input_event of a 64-bit kernel: seconds, microseconds, type, code, value. A Sycreader typing 3220338716 and Enter, each key a
# scan code, a press, a report, a release and a report; shift and num lock pressed between, as some do.
EVENT = struct.Struct("llHHi")
TYPED = [
    ecodes.KEY_3,
    ecodes.KEY_2,
    ecodes.KEY_2,
    ecodes.KEY_0,
    ecodes.KEY_3,
    ecodes.KEY_3,
    ecodes.KEY_8,
    ecodes.KEY_7,
    ecodes.KEY_1,
    ecodes.KEY_6,
]


def recorded(keys: list[int]) -> bytes:
    events = []
    for n, key in enumerate([ecodes.KEY_LEFTSHIFT, *keys, ecodes.KEY_NUMLOCK, ecodes.KEY_ENTER]):
        for kind, code, value in (
            (ecodes.EV_MSC, ecodes.MSC_SCAN, 458_000 + key),
            (ecodes.EV_KEY, key, 1),
            (0, 0, 0),
            (ecodes.EV_KEY, key, 0),
            (0, 0, 0),
        ):
            events.append(EVENT.pack(1_795_000_000, n * 4_000, kind, code, value))
    return b"".join(events)


def typed(recording: bytes) -> bytes:
    return b"".join(
        character(kind, code, value) for _, _, kind, code, value in EVENT.iter_unpack(recording)
    )


def test_key_codes_become_the_characters_of_a_number_whatever_the_layout() -> None:
    assert typed(recorded(TYPED)) == b"3220338716\r"


def test_a_recorded_number_is_the_card() -> None:
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    (card,) = (
        seen
        for n, byte in enumerate(typed(recorded(TYPED)))
        for seen in dialogue.receive(bytes([byte]), 1_000 + 4 * n)
    )
    assert card == CardId("a", bytes.fromhex("1c78f2bf"))


def test_the_number_pad_types_the_same_digits() -> None:
    pad = [getattr(ecodes, f"KEY_KP{digit}") for digit in "3220338716"]
    assert typed(recorded(pad)) == b"3220338716\r"


def test_every_letter_and_digit_of_the_kernel_is_the_one_meant() -> None:
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        assert character(ecodes.EV_KEY, getattr(ecodes, f"KEY_{letter}"), 1) == letter.encode(
            "ascii"
        )


def test_a_key_that_is_held_types_once_and_one_on_no_reader_spoils_the_number() -> None:
    assert (
        character(ecodes.EV_KEY, ecodes.KEY_3, 2) == b""
        and character(ecodes.EV_KEY, ecodes.KEY_3, 0) == b""
    )
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    assert dialogue.receive(typed(recorded([*TYPED[:5], ecodes.KEY_F1, *TYPED[5:]])), 1_000) == [
        Fault.FORM
    ]


def test_a_number_that_stops_in_the_middle_is_dropped_after_a_moment() -> None:
    dialogue = Dialogue(load_profile("keyboard-wedge"), 0)
    assert dialogue.receive(b"32203", 1_000) == []
    assert dialogue.receive(b"3220338716\r", 1_200) == [CardId("a", bytes.fromhex("1c78f2bf"))]


@pytest.mark.parametrize("what", ["not there", "no keyboard"])
def test_a_path_that_is_no_keyboard_is_down_with_a_sentence_and_tried_again(
    tmp_path: Path, what: str
) -> None:
    events: queue.Queue[ReaderEvent] = queue.Queue()
    path = tmp_path / "event-kbd"
    if what == "no keyboard":
        path.symlink_to("/dev/null")
    config = ReaderConfig(
        name="counter", profile=load_profile("keyboard-wedge"), port=str(path), device=None
    )
    thread = reader_thread(config, events.put, LateTaps(threading.Lock()))
    thread.start()
    down = events.get(timeout=10)
    thread.stop()
    assert (
        isinstance(down, ReaderDown)
        and str(path) in down.reason
        and "keyboard reader, 10D" in down.reason
    )
