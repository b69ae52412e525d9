"""One tap a presence, and one at all readers of a terminal."""

import threading

from agent.domain.card import CardId, UidFault
from agent.readers.faults import Fault
from agent.readers.identity import Seen
from agent.readers.presence import HELD_MAX, LateTaps, Presence

A, B = (CardId("em", bytes([n] * 5)) for n in (1, 2))


def presence(
    late: LateTaps | None = None, reader: str = "counter", gone_after_ms: int = 400
) -> Presence:
    return Presence(
        reader, late or LateTaps(threading.Lock()), gone_after_ms=gone_after_ms, debounce_ms=1_500
    )


def taps(presence: Presence, *seen: tuple[Seen, int]) -> list[bool]:
    return [presence.is_tap(shown, at_ms) for shown, at_ms in seen]


def test_repeats_are_one_tap() -> None:
    assert taps(presence(), *((A, 10_000 + 65 * n) for n in range(50))) == [True] + [False] * 49


def test_a_card_that_went_and_came_back_is_a_new_tap() -> None:
    assert taps(presence(), (A, 10_000), (A, 12_000)) == [True, True]


def test_a_hand_that_wobbles_is_not() -> None:
    assert taps(presence(), (A, 10_000), (A, 10_900)) == [True, False]


def test_another_card_is_a_tap_at_once_and_the_first_seen_again_between_is_not() -> None:
    assert taps(presence(), (A, 10_000), (B, 10_065), (A, 10_130), (B, 10_195)) == [
        True,
        True,
        False,
        False,
    ]


def test_a_hand_that_wanders_to_the_next_reader_is_the_same_tap() -> None:
    late = LateTaps(threading.Lock())
    left, right = presence(late, "left"), presence(late, "right")
    assert taps(left, (A, 10_000)) + taps(right, (A, 10_800), (B, 10_900)) + taps(
        left, (A, 12_000)
    ) == [True, False, True, True]


def test_what_is_not_readable_at_one_reader_says_nothing_of_another() -> None:
    late = LateTaps(threading.Lock())
    left, right = presence(late, "left"), presence(late, "right")
    assert taps(left, (UidFault.RANDOM, 10_000)) + taps(right, (UidFault.RANDOM, 10_100)) == [
        True,
        True,
    ]


def test_several_cards_are_one_refusal_and_none_of_them_a_tap_until_all_have_gone() -> None:
    shown = (
        (Fault.MANY, 10_000),
        (Fault.MANY, 10_150),
        (A, 10_300),
        (A, 10_450),
        (B, 10_700),
        (A, 11_500),
    )
    assert taps(presence(), *shown) == [True, False, False, False, False, True]


def test_a_reader_that_tells_when_a_card_goes_needs_no_time() -> None:
    one = presence(gone_after_ms=0)
    assert taps(one, (A, 10_000), (B, 10_001), (A, 10_700), (A, 12_000)) == [
        True,
        True,
        False,
        True,
    ]


def test_memory_is_bounded() -> None:
    one = presence()
    for n in range(10_000):
        one.is_tap(CardId("em", n.to_bytes(5, "big")), n)
    assert len(one._seen) <= HELD_MAX and len(one._late._tapped) <= HELD_MAX
