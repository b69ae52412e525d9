"""One tap for each time a card is held to a reader, at all readers of a terminal together."""

import threading

from agent.domain.card import CardId, UidFault
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.identity import Detection
from agent.readers.presence import (
    HELD_MAX,
    LONE,
    OUTAGE_MS_MAX,
    Look,
    Presence,
    RecentTaps,
    presence_of,
)
from agent.readers.profile_kinds import SAME_PRESENCE_MS
from agent.readers.profile_rules import load_profile

A, B = (CardId("em", bytes([n] * 5)) for n in (1, 2))
GONE_AFTER_MS = 400
SAME_MS = 2_000
NOTHING, AGAIN, TAP = Look.NOTHING, Look.AGAIN, Look.TAP


def recent_taps() -> RecentTaps:
    return RecentTaps(threading.Lock())


def presence(
    recent: RecentTaps | None = None, reader: str = "counter", gone_after_ms: int = GONE_AFTER_MS
) -> Presence:
    recent = recent or recent_taps()
    return Presence(reader, recent, gone_after_ms=gone_after_ms, same_ms=SAME_MS)


def level_presence() -> Presence:
    """Return the presence rules of a reader that reports removals."""
    return Presence(
        "counter", recent_taps(), gone_after_ms=0, same_ms=SAME_MS, reports_removal=True
    )


def looks(presence: Presence, *detections: tuple[Detection, int]) -> list[Look]:
    return [presence.look(detection, at_ms) for detection, at_ms in detections]


def numbered(n: int) -> CardId:
    return CardId("em", n.to_bytes(5, "big"))


def test_repeats_are_one_tap() -> None:
    repeats = ((A, 10_000 + 65 * n) for n in range(50))
    assert looks(presence(), *repeats) == [TAP] + [NOTHING] * 49


def test_noise_is_no_tap() -> None:
    noise: list[Detection] = [None, Fault.DEVICE]
    assert looks(presence(), *((detection, 10_000) for detection in noise)) == [NOTHING] * 2


def test_a_card_that_is_back_soon_is_the_same_presence_and_later_a_new_tap() -> None:
    last_ms = 10_000 + SAME_MS - 1
    assert looks(presence(), (A, 10_000), (A, last_ms), (A, last_ms + SAME_MS)) == [TAP, AGAIN, TAP]


def test_the_time_counts_from_when_the_card_was_last_there() -> None:
    stays = tuple((A, 10_000 + GONE_AFTER_MS * n) for n in range(20))
    back_ms = stays[-1][1] + SAME_MS - 1
    assert looks(presence(), *stays, (A, back_ms)) == [TAP] + [NOTHING] * 19 + [AGAIN]


def test_another_card_is_a_tap_at_once_and_the_first_one_again_is_not() -> None:
    detections = ((A, 10_000), (B, 10_065), (A, 10_130), (B, 10_195), (A, 11_000))
    assert looks(presence(), *detections) == [TAP, TAP, NOTHING, NOTHING, AGAIN]


def test_a_card_that_moves_to_the_next_reader_is_the_same_presence() -> None:
    recent = recent_taps()
    left, right = presence(recent, "left"), presence(recent, "right")
    assert looks(left, (A, 10_000)) == [TAP]
    left.answered(A, Signal.SERVED)
    assert looks(right, (A, 10_800), (B, 10_900)) == [AGAIN, TAP]
    assert right.signal_of(A) is Signal.SERVED and right.signal_of(B) is None
    assert looks(left, (A, 10_800 + SAME_MS)) == [TAP]


def test_a_fault_at_one_reader_says_nothing_of_another() -> None:
    recent = recent_taps()
    left, right = presence(recent, "left"), presence(recent, "right")
    assert looks(left, (UidFault.RANDOM, 10_000)) == [TAP]
    left.answered(UidFault.RANDOM, Signal.REFUSED)
    assert looks(right, (UidFault.RANDOM, 10_100)) == [TAP]
    assert right.signal_of(UidFault.RANDOM) is None


def test_a_signal_belongs_to_one_presence() -> None:
    reader = presence()
    reader.look(A, 10_000)
    reader.answered(A, Signal.SERVED)
    assert looks(reader, (A, 11_000)) == [AGAIN] and reader.signal_of(A) is Signal.SERVED
    assert looks(reader, (A, 11_000 + SAME_MS)) == [TAP] and reader.signal_of(A) is None


def test_after_out_of_order_the_next_look_is_a_new_tap() -> None:
    for reader in (presence(), level_presence()):
        reader.look(A, 10_000)
        reader.answered(A, Signal.OUT_OF_ORDER)
        assert looks(reader, (None, 10_500), (A, 10_600)) == [NOTHING, TAP]


def test_after_a_collision_removing_one_card_is_not_a_tap() -> None:
    detections = (
        (Fault.MANY, 10_000),
        (Fault.MANY, 10_150),
        (A, 10_300),
        (A, 10_450),
        (B, 10_700),
        (A, 11_500),  # all cards were gone
    )
    assert looks(presence(), *detections) == [TAP, NOTHING, NOTHING, NOTHING, NOTHING, TAP]


def test_a_card_is_there_until_its_removal_where_the_reader_reports_it() -> None:
    glitches = ((None, 70_000), (A, 71_000), (None, 90_000), (A, 90_000 + SAME_MS - 1))
    assert looks(level_presence(), (A, 10_000), *glitches) == [TAP, NOTHING, AGAIN, NOTHING, AGAIN]
    assert looks(level_presence(), (A, 10_000), (None, 11_000), (A, 11_000 + SAME_MS))[2] is TAP
    replaced = ((A, 10_000), (B, 70_000), (A, 71_000))  # without a report of the removal
    assert looks(level_presence(), *replaced) == [TAP, TAP, AGAIN]


def test_the_time_without_the_reader_does_not_count_up_to_a_limit() -> None:
    for outage_ms, look in ((OUTAGE_MS_MAX, AGAIN), (OUTAGE_MS_MAX + 1, TAP)):
        for reader in (presence(), level_presence()):
            reader.look(A, 10_000)
            reader.lost(10_100)
            reader.lost(20_000)  # every failed attempt
            reader.back(10_100 + outage_ms)
            assert reader.look(A, 10_100 + outage_ms + 500) is look


def test_a_card_that_was_gone_before_the_reader_was_lost_is_a_new_tap_afterwards() -> None:
    reader = level_presence()
    looks(reader, (A, 10_000), (None, 10_500))
    reader.lost(10_500 + SAME_MS + 1)
    reader.back(14_000)
    assert reader.look(A, 14_100) is TAP


def test_a_second_outage_begins_when_it_begins() -> None:
    reader = level_presence()
    reader.look(A, 10_000)
    reader.lost(11_000)
    reader.back(12_000)
    assert looks(reader, (A, 12_100), (None, 12_200)) == [AGAIN, NOTHING]
    reader.lost(60_000)
    reader.back(61_000)
    assert reader.look(A, 61_100) is TAP


def test_the_newest_cards_are_remembered_and_older_ones_forgotten() -> None:
    for count, look in ((HELD_MAX - 1, AGAIN), (HELD_MAX, TAP)):
        recent = recent_taps()
        recent.look(A, 10_000, SAME_MS)
        for n in range(count):
            recent.look(numbered(n), 10_001, SAME_MS)
        assert recent.look(A, 10_002, SAME_MS) is look


def test_memory_is_bounded_however_many_cards_come() -> None:
    recent = recent_taps()
    reader = presence(recent)
    for n in range(10_000):
        reader.look(numbered(n), n)
    assert len(reader._detected) == HELD_MAX and len(recent._held) == HELD_MAX


def test_a_profile_tells_when_a_card_is_gone_and_nothing_else_of_a_presence() -> None:
    for name, gone_after_ms in (("rdm6300", 400), ("pn532-hsu", 800), ("id-12la", 0)):
        reader = presence_of("counter", load_profile(name), recent_taps())
        end_ms = 10_000 + gone_after_ms
        assert looks(reader, (A, 10_000), (A, end_ms)) == [TAP, NOTHING]
        last_ms = end_ms + SAME_PRESENCE_MS - 1
        assert looks(reader, (A, last_ms), (A, last_ms + SAME_PRESENCE_MS)) == [AGAIN, TAP]


def test_only_a_pcsc_reader_reports_removals() -> None:
    for name, look in (("acs-acr122u", AGAIN), ("pn532-hsu", TAP)):
        reader = presence_of("counter", load_profile(name), recent_taps())
        assert looks(reader, (A, 10_000), (None, 60_000), (A, 60_500))[2] is look


def test_each_card_that_did_not_count_gets_a_light_also_soon_after_another() -> None:
    for fault in LONE:
        faults = ((fault, 10_000 + n * GONE_AFTER_MS) for n in range(3))
        assert looks(presence(), *faults) == [TAP, AGAIN, AGAIN]
