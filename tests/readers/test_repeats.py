"""A card that repeats its frame counts when the frame came twice."""

import pytest

from agent.domain.card import CardId
from agent.readers.dialogue import Dialogue
from agent.readers.faults import Fault
from agent.readers.identity import Detection
from agent.readers.profile_rules import load_profile
from agent.readers.repeats import WAITING_MAX, Repeats
from tests.parts.serial_line import rdm6300_frame

WITHIN_MS = 400
RIGHT, OTHER = (CardId("em", bytes([1, 0, 0, 0, n])) for n in (1, 2))
# Two bits in one column of the checksum are flipped: its XOR is still right.
FRAME, DAMAGED = (rdm6300_frame(bytes([1, 0x10 * n, 0x10 * n, 0, 1])) for n in (0, 1))


def counting(*detections: tuple[Detection, int]) -> list[Detection]:
    """Return the detections that count, each after its time."""
    repeats = Repeats(WITHIN_MS)
    return [detection for detection, ms in detections if repeats.counts(detection, ms)]


def test_a_card_counts_from_its_second_frame_on() -> None:
    assert counting((RIGHT, 0), (RIGHT, 65), (RIGHT, 130)) == [RIGHT, RIGHT]


def test_a_damaged_frame_with_a_right_checksum_is_never_a_card() -> None:
    assert counting((OTHER, 0), (RIGHT, 65), (RIGHT, 130)) == [RIGHT]
    assert counting((RIGHT, 0), (OTHER, 65), (RIGHT, 130), (RIGHT, 195)) == [RIGHT, RIGHT]


def test_two_frames_that_are_too_far_apart_are_not_a_repetition() -> None:
    assert counting((RIGHT, 0), (RIGHT, WITHIN_MS)) == [RIGHT]
    assert counting((RIGHT, 0), (RIGHT, WITHIN_MS + 1)) == []


def test_two_cards_in_turn_count_both() -> None:
    assert counting((RIGHT, 0), (OTHER, 65), (RIGHT, 130), (OTHER, 195)) == [RIGHT, OTHER]


def test_a_number_that_came_only_once_is_a_fault_when_it_can_come_no_more() -> None:
    repeats = Repeats(WITHIN_MS)
    assert not repeats.counts(RIGHT, 1_000)
    assert repeats.ends_ms == 1_000 + WITHIN_MS
    assert repeats.ended(999 + WITHIN_MS) is None
    assert repeats.ended(1_000 + WITHIN_MS) is Fault.SINGLE
    assert repeats.ends_ms is None


def test_a_damaged_frame_while_a_card_is_there_is_no_fault() -> None:
    repeats = Repeats(WITHIN_MS)
    for detection, ms in ((RIGHT, 0), (RIGHT, 65), (OTHER, 130), (RIGHT, 195)):
        repeats.counts(detection, ms)
    assert repeats.ended(130 + WITHIN_MS) is None and repeats.ends_ms is None


def test_only_the_newest_numbers_wait() -> None:
    repeats = Repeats(WITHIN_MS)
    for n in range(WAITING_MAX + 1):
        assert not repeats.counts(CardId("em", bytes([n + 1] * 5)), n)
    assert not repeats.counts(CardId("em", bytes([1] * 5)), 20)
    assert repeats.counts(CardId("em", bytes([WAITING_MAX + 1] * 5)), 21)


def test_an_rdm6300_needs_its_frame_twice_and_an_em_18_does_not() -> None:
    rdm6300 = Dialogue(load_profile("rdm6300"), 0)
    assert rdm6300.receive(DAMAGED, 1_000) == []
    assert rdm6300.receive(FRAME, 1_065) == []
    assert rdm6300.receive(FRAME, 1_130) == [RIGHT]
    em_18 = Dialogue(load_profile("em-18"), 0)
    assert em_18.receive(FRAME[1:-1], 1_000) == [RIGHT]


@pytest.mark.parametrize("frames", [FRAME, FRAME + DAMAGED])
def test_a_card_that_was_there_too_briefly_gets_an_answer_within_a_second(frames: bytes) -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    assert dialogue.receive(frames, 1_000) == []
    wait_ms = dialogue.wake_ms(1_000)
    assert wait_ms is not None and wait_ms < 1_000
    assert dialogue.receive(b"", 1_000 + wait_ms) == [Fault.SINGLE]
    assert dialogue.wake_ms(1_000 + wait_ms) is None
