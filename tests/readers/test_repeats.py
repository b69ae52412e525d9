"""A card that repeats its frame counts when the frame came twice; else it has a light."""

from pathlib import Path

import pytest

from agent.domain.card import CardId
from agent.readers.dialogue import GARBLED_CHUNKS, Dialogue
from agent.readers.events import CardUnreadable
from agent.readers.faults import Fault
from agent.readers.framing import STALL_MS_MAX
from agent.readers.identity import Detection
from agent.readers.profile_rules import load_profile
from agent.readers.repeats import CARDS_MAX, FRAMES_IN_TURN, LOST_BYTES_MIN, Repeats
from tests.parts.serial_bench import bench_of, pause
from tests.parts.serial_line import Rdm6300, rdm6300_frame

WITHIN_MS = 400
RIGHT, OTHER = (CardId("em", bytes([1, 0, 0, 0, n])) for n in (1, 2))
# Two bits in one column of the checksum are flipped: its XOR is still right.
FRAME, DAMAGED = (rdm6300_frame(bytes([1, 0x10 * n, 0x10 * n, 0, 1])) for n in (0, 1))
BROKEN = FRAME[:-2] + b"F\x03"  # its XOR is wrong


def counting(*detections: tuple[Detection, int]) -> list[Detection]:
    """Return the detections that count, each after its time."""
    repeats = Repeats(WITHIN_MS)
    return [detection for detection, ms in detections if repeats.counts(detection, ms)]


def test_a_card_counts_from_its_second_frame_on() -> None:
    assert counting((RIGHT, 0), (RIGHT, 65), (RIGHT, 130)) == [RIGHT, RIGHT]


def test_a_damaged_frame_with_a_right_checksum_is_no_card() -> None:
    assert counting((OTHER, 0), (RIGHT, 65), (RIGHT, 130)) == [RIGHT]
    assert counting((RIGHT, 0), (OTHER, 65), (RIGHT, 130), (RIGHT, 195)) == [RIGHT]


def test_equal_damage_with_a_good_frame_in_between_is_no_card() -> None:
    assert counting((OTHER, 0), (RIGHT, 65), (OTHER, 130), (RIGHT, 195), (RIGHT, 260)) == [RIGHT]


def test_two_frames_that_are_too_far_apart_are_not_a_repetition() -> None:
    assert counting((RIGHT, 0), (RIGHT, WITHIN_MS)) == [RIGHT]
    assert counting((RIGHT, 0), (RIGHT, WITHIN_MS + 1)) == []


def test_two_cards_in_turn_count_both() -> None:
    turns = [
        (card, 130 * n + ms)
        for n in range(FRAMES_IN_TURN)
        for card, ms in ((RIGHT, 0), (OTHER, 65))
    ]
    assert counting(*turns) == [RIGHT, OTHER] and counting(*turns[:-2]) == []


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


def test_another_card_that_is_there_too_briefly_after_a_counted_one_is_a_fault() -> None:
    repeats = Repeats(WITHIN_MS)
    for detection, ms in ((RIGHT, 0), (RIGHT, 65), (OTHER, 130)):
        repeats.counts(detection, ms)
    assert repeats.ended(130 + WITHIN_MS) is Fault.SINGLE


def test_damage_of_a_card_that_is_held_badly_is_that_card() -> None:
    repeats = Repeats(WITHIN_MS)
    assert [repeats.counts(RIGHT, ms) for ms in (0, 65)] == [False, True]
    assert [repeats.damaged(65 + n * WITHIN_MS) for n in range(1, 9)] == [RIGHT] * 8
    assert repeats.ends_ms is None
    assert repeats.damaged(65 + 9 * WITHIN_MS + 1) is None and repeats.ends_ms is not None


def test_a_good_frame_behind_damage_is_still_that_card() -> None:
    repeats = Repeats(WITHIN_MS)
    assert [repeats.counts(RIGHT, ms) for ms in (0, 65)] == [False, True]
    assert repeats.damaged(365) == RIGHT
    assert repeats.counts(RIGHT, 665) and repeats.damaged(700) == RIGHT


def test_a_card_that_is_read_seldom_is_there_until_it_has_gone() -> None:
    repeats = Repeats(WITHIN_MS, near_ms=1_500)
    assert [repeats.counts(RIGHT, ms) for ms in (0, 65)] == [False, True]
    assert repeats.counts(RIGHT, 65 + 1_500) and not repeats.counts(RIGHT, 65 + 3_001)
    assert repeats.damaged(65 + 3_002) is None  # it counts no more, so there is no card to name


def test_a_card_that_comes_again_after_another_counted_needs_a_light() -> None:
    repeats = Repeats(WITHIN_MS)
    for detection, ms in ((OTHER, 0), (RIGHT, 65), (RIGHT, 130), (OTHER, 195)):
        repeats.counts(detection, ms)
    assert repeats.ended(WITHIN_MS) is Fault.SINGLE


def test_a_damaged_frame_needs_a_light_unless_a_card_counts_near_it() -> None:
    lone = Repeats(WITHIN_MS)
    lone.damaged(0)
    assert lone.ends_ms == WITHIN_MS and lone.ended(WITHIN_MS) is Fault.CHECKSUM
    leaving = Repeats(WITHIN_MS, is_once=True)
    assert leaving.counts(RIGHT, 0)
    assert leaving.damaged(WITHIN_MS) is None and leaving.ends_ms is None
    coming = Repeats(WITHIN_MS)
    coming.damaged(0)
    assert [coming.counts(RIGHT, ms) for ms in (65, 130)] == [False, True]
    assert coming.ended(WITHIN_MS) is None and coming.ends_ms is None


def test_only_the_newest_numbers_wait() -> None:
    repeats = Repeats(WITHIN_MS)
    for n in range(CARDS_MAX + 1):
        assert not repeats.counts(CardId("em", bytes([n + 1] * 5)), n)
    newest, dropped = (CardId("em", bytes([n] * 5)) for n in (CARDS_MAX + 1, 1))
    assert repeats.counts(newest, 20)
    assert [repeats.counts(dropped, ms) for ms in (21, 22)] == [False, True]


def test_only_the_newest_cards_still_count() -> None:
    repeats = Repeats(WITHIN_MS)
    cards = [CardId("em", bytes([n + 1] * 5)) for n in range(CARDS_MAX + 1)]
    assert [repeats.counts(card, n) for n, card in enumerate(cards) for _ in "12"] == [
        False,
        True,
    ] * len(cards)
    assert repeats.counts(cards[-1], 20) and not repeats.counts(cards[0], 21)


def test_an_rdm6300_needs_its_frame_twice_and_an_em_18_does_not() -> None:
    rdm6300 = Dialogue(load_profile("rdm6300"), 0)
    assert rdm6300.receive(DAMAGED, 1_000) == []
    assert rdm6300.receive(FRAME, 1_065) == []
    assert rdm6300.receive(FRAME, 1_130) == [RIGHT]
    em_18 = Dialogue(load_profile("em-18"), 0)
    assert em_18.receive(FRAME[1:-1], 1_000) == [RIGHT]


@pytest.mark.parametrize(
    ("name", "frames", "fault"),
    [
        ("rdm6300", FRAME, Fault.SINGLE),
        ("rdm6300", FRAME + DAMAGED, Fault.SINGLE),
        ("rdm6300", FRAME + BROKEN, Fault.SINGLE),
        ("rdm6300", BROKEN + BROKEN, Fault.CHECKSUM),
        ("id-12la", FRAME[:-2] + b"F\r\n\x03", Fault.CHECKSUM),
        ("em-18", BROKEN[1:-1], Fault.CHECKSUM),
    ],
)
def test_a_card_that_did_not_count_gets_an_answer_within_a_second(
    name: str, frames: bytes, fault: Fault
) -> None:
    dialogue = Dialogue(load_profile(name), 0)
    assert dialogue.receive(frames, 1_000) == []
    wait_ms = dialogue.wake_ms(1_000)
    assert wait_ms is not None and wait_ms < 1_000
    assert dialogue.receive(b"", 1_000 + wait_ms) == [fault]
    assert dialogue.wake_ms(1_000 + wait_ms) is None


@pytest.mark.parametrize(
    ("received", "has_light"),
    [
        (FRAME[:5] + FRAME[6:], True),  # lost a byte
        (FRAME[1:-3], True),  # its start and its end
        (FRAME[:-1], True),  # its end
        (FRAME[: LOST_BYTES_MIN - 1], False),  # so few are noise
        (FRAME[:LOST_BYTES_MIN], True),
    ],
)
@pytest.mark.parametrize("profile", ["rdm6300", "em-18", "id-12la", "serial-scanner"])
def test_a_frame_that_lost_bytes_gets_a_light_within_a_second(
    received: bytes, has_light: bool, profile: str
) -> None:
    dialogue = Dialogue(load_profile(profile), 0)
    if profile == "serial-scanner":
        received = received.replace(b"\r", b"")
    detections = list[Detection](dialogue.receive(received, 1_000))
    while (ends_ms := dialogue.repeat_ends_ms) is not None and ends_ms <= 2_000:
        detections += dialogue.receive(b"", ends_ms)
    assert detections == ([Fault.CHECKSUM] if has_light else [])
    assert dialogue.repeat_ends_ms is None


@pytest.mark.parametrize("gap_ms", [STALL_MS_MAX - 1, STALL_MS_MAX])
def test_bytes_that_became_no_frame_are_damage_after_a_stall(gap_ms: int) -> None:
    repeats = Repeats(WITHIN_MS)
    repeats.unframed(LOST_BYTES_MIN, 1_000)
    assert repeats.ends_ms == 1_000 + STALL_MS_MAX
    assert repeats.ended(1_000 + gap_ms) is None
    is_damage = gap_ms == STALL_MS_MAX
    assert repeats.ends_ms == 1_000 + (WITHIN_MS if is_damage else STALL_MS_MAX)


def test_bytes_that_became_no_frame_beside_a_good_frame_need_no_light() -> None:
    dialogue = Dialogue(load_profile("em-18"), 0)
    number = b"10006A9CF315"
    (card,) = dialogue.receive(number, 1_000)
    assert dialogue.receive(number[:8], 1_200) == [] and dialogue.receive(b"", 3_000) == []
    assert isinstance(card, CardId) and dialogue.repeat_ends_ms is None


def test_a_reader_at_a_wrong_baud_rate_shows_no_light_for_ever() -> None:
    """Once it is known that no bytes are frames, the reader has a sentence, and nobody a light."""
    dialogue, lights = Dialogue(load_profile("rdm6300"), 0), 0
    for now_ms in range(1_000, 61_000, 1_000):
        lights += len(dialogue.receive(b"\xff" * 14, now_ms))
        lights += len(dialogue.receive(b"", now_ms + 900))
    assert 0 < lights < GARBLED_CHUNKS and dialogue.is_garbled


def test_a_card_without_a_light_is_a_fault_when_the_port_is_lost() -> None:
    dialogue = Dialogue(load_profile("rdm6300"), 0)
    assert dialogue.receive(FRAME, 1_000) == []
    assert dialogue.end() == [Fault.SINGLE] and dialogue.end() == []


def test_a_card_that_waits_for_its_second_frame_is_a_fault_when_the_reader_is_unplugged(
    tmp_path: Path,
) -> None:
    with bench_of(Rdm6300, tmp_path) as bench:
        bench.line.write(bench.far_end.frame(bench.far_end.cards[0]))
        pause()  # shorter than the wait for a second frame
        bench.line.unplug()
        event = bench.next()
        assert isinstance(event, CardUnreadable) and event.fault == Fault.SINGLE
        assert "by-path" in bench.down_reason()
