"""What a reader types is a card, or a fault with a sentence: never another card."""

from evdev import ecodes

from agent.domain.card import CardId
from agent.readers.faults import Fault
from agent.readers.framing import STALL_MS_MAX
from agent.readers.identity import Detection
from agent.readers.keys import KEY, KEYS_MIN
from agent.readers.profile_rules import load_profile
from agent.readers.typing_reader import UNFINISHED_MS, KeyEvent, TypingReader

KEYS = [getattr(ecodes, f"KEY_{digit}") for digit in "3220338716"]
CARD = CardId("a", bytes.fromhex("1c78f2bf"))
ENTER, SHIFT = ecodes.KEY_ENTER, ecodes.KEY_LEFTSHIFT


def reader() -> TypingReader:
    return TypingReader(load_profile("keyboard-wedge"), 0)


def press(*codes: int) -> list[KeyEvent]:
    return [KeyEvent(KEY, code, value) for code in codes for value in (1, 0)]


def with_shift(code: int) -> list[KeyEvent]:
    return [KeyEvent(KEY, SHIFT, 1), *press(code), KeyEvent(KEY, SHIFT, 0)]


def detected(*events: KeyEvent) -> list[Detection]:
    return reader().receive(events, 1_000)


def test_a_number_with_enter_or_tab_is_a_card() -> None:
    for end in (ENTER, ecodes.KEY_KPENTER, ecodes.KEY_TAB):
        assert detected(*press(*KEYS, end)) == [CARD]


def test_a_number_with_shift_is_not_that_number() -> None:
    shifted = [event for code in KEYS for event in with_shift(code)]
    assert detected(*shifted, *press(ENTER)) == [Fault.LAYOUT]
    assert detected(*with_shift(KEYS[0]), *press(*KEYS[1:], ENTER)) == [Fault.LAYOUT]


def test_an_unknown_key_in_a_number_that_is_long_enough_without_it_gives_no_card() -> None:
    assert detected(*press(*KEYS, ecodes.KEY_F1, ENTER)) == [Fault.LAYOUT]
    assert detected(*press(ecodes.KEY_F1, ENTER, *KEYS, ENTER)) == [Fault.LAYOUT, CARD]


def test_a_number_without_an_end_is_a_fault_and_the_next_one_a_card() -> None:
    typing = reader()
    assert typing.receive(press(*KEYS), 1_000) == []
    assert typing.receive([], 1_000 + UNFINISHED_MS - 1) == []
    assert typing.receive([], 1_000 + UNFINISHED_MS) == [Fault.UNFINISHED]
    assert typing.receive([], 9_000) == []
    assert typing.receive(press(*KEYS, ENTER), 10_000) == [CARD]


def test_a_few_keys_by_hand_are_nothing() -> None:
    typing = reader()
    assert typing.receive(press(*KEYS[: KEYS_MIN - 1]), 1_000) == []
    assert typing.receive([], 9_000) == []


def test_a_number_that_stops_in_the_middle_is_dropped_after_a_pause() -> None:
    typing = reader()
    assert typing.receive(press(*KEYS[:5]), 1_000) == []
    assert typing.receive(press(*KEYS, ENTER), 1_001 + STALL_MS_MAX) == [CARD]


def test_the_typed_bytes_are_those_of_the_newest_events() -> None:
    typing = reader()
    typing.receive(press(*KEYS, ENTER), 1_000)
    assert typing.typed == b"3220338716\r"
    typing.receive([], 1_100)
    assert typing.typed == b""
