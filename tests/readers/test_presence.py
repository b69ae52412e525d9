"""One tap for each time a card is held to a reader, at all readers of a terminal together."""

import threading

from agent.domain.card import CardId, UidFault
from agent.readers.faults import Fault
from agent.readers.identity import Detection
from agent.readers.presence import HELD_MAX, Presence, RecentTaps, presence_of
from agent.readers.profile_rules import load_profile

A, B = (CardId("em", bytes([n] * 5)) for n in (1, 2))
GONE_AFTER_MS = 400
DEBOUNCE_MS = 1_500


def recent_taps() -> RecentTaps:
    return RecentTaps(threading.Lock())


def presence(
    recent: RecentTaps | None = None, reader: str = "counter", gone_after_ms: int = GONE_AFTER_MS
) -> Presence:
    recent = recent or recent_taps()
    return Presence(reader, recent, gone_after_ms=gone_after_ms, debounce_ms=DEBOUNCE_MS)


def taps(presence: Presence, *detections: tuple[Detection, int]) -> list[bool]:
    return [presence.is_tap(detection, at_ms) for detection, at_ms in detections]


def numbered(n: int) -> CardId:
    return CardId("em", n.to_bytes(5, "big"))


def test_repeats_are_one_tap() -> None:
    repeats = ((A, 10_000 + 65 * n) for n in range(50))
    assert taps(presence(), *repeats) == [True] + [False] * 49


def test_noise_is_no_tap() -> None:
    noise: list[Detection] = [None, Fault.CHECKSUM, Fault.DEVICE]
    assert taps(presence(), *((detection, 10_000) for detection in noise)) == [False] * 3


def test_a_card_that_went_and_came_back_is_a_new_tap() -> None:
    assert taps(presence(), (A, 10_000), (A, 12_000)) == [True, True]


def test_a_card_is_debounced_for_its_time_and_not_longer() -> None:
    assert taps(presence(), (A, 10_000), (A, 10_000 + DEBOUNCE_MS - 1)) == [True, False]
    assert taps(presence(), (A, 10_000), (A, 10_000 + DEBOUNCE_MS)) == [True, True]


def test_another_card_is_a_tap_at_once_and_the_first_one_again_is_not() -> None:
    detections = ((A, 10_000), (B, 10_065), (A, 10_130), (B, 10_195))
    assert taps(presence(), *detections) == [True, True, False, False]


def test_a_card_that_stays_is_no_tap_after_the_debounce() -> None:
    stays = tuple((A, 10_000 + GONE_AFTER_MS * n) for n in range(20))
    assert taps(presence(), *stays) == [True] + [False] * 19


def test_a_card_that_moves_to_the_next_reader_is_the_same_tap() -> None:
    recent = recent_taps()
    left, right = presence(recent, "left"), presence(recent, "right")
    assert taps(left, (A, 10_000)) == [True]
    assert taps(right, (A, 10_800), (B, 10_900)) == [False, True]
    assert taps(left, (A, 12_000)) == [True]


def test_a_fault_at_one_reader_says_nothing_of_another() -> None:
    recent = recent_taps()
    left, right = presence(recent, "left"), presence(recent, "right")
    assert taps(left, (UidFault.RANDOM, 10_000)) == [True]
    assert taps(right, (UidFault.RANDOM, 10_100)) == [True]


def test_after_a_collision_removing_one_card_is_not_a_tap() -> None:
    detections = (
        (Fault.MANY, 10_000),
        (Fault.MANY, 10_150),
        (A, 10_300),
        (A, 10_450),
        (B, 10_700),
        (A, 11_500),  # all cards were gone
    )
    assert taps(presence(), *detections) == [True, False, False, False, False, True]


def test_a_reader_that_reports_removal_needs_no_time() -> None:
    detections = ((A, 10_000), (B, 10_001), (A, 10_700), (A, 12_000))
    assert taps(presence(gone_after_ms=0), *detections) == [True, True, False, True]


def test_the_newest_cards_are_remembered_and_older_ones_forgotten() -> None:
    for count, is_new in ((HELD_MAX - 1, False), (HELD_MAX, True)):
        recent = recent_taps()
        assert recent.add(A, 10_000, DEBOUNCE_MS)
        for n in range(count):
            recent.add(numbered(n), 10_001, DEBOUNCE_MS)
        assert recent.add(A, 10_002, DEBOUNCE_MS) is is_new


def test_memory_is_bounded_however_many_cards_come() -> None:
    recent = recent_taps()
    reader = presence(recent)
    for n in range(10_000):
        reader.is_tap(numbered(n), n)
    assert len(reader._detected) == HELD_MAX and len(recent._tapped) == HELD_MAX


def test_the_times_are_those_of_the_profile() -> None:
    rule = load_profile("rdm6300").presence
    assert isinstance(rule.gone_after_ms, int)
    reader = presence_of("counter", load_profile("rdm6300"), recent_taps())
    end_ms = 10_000 + rule.gone_after_ms
    assert taps(reader, (A, 10_000), (A, end_ms)) == [True, False]
    assert taps(reader, (A, end_ms + rule.debounce_ms)) == [True]
