"""One tap a presence."""

from agent.readers.presence import Presence


def taps(presence: Presence, *seen: tuple[str, int]) -> list[bool]:
    return [presence.is_tap(shown, at_ms) for shown, at_ms in seen]


def test_repeats_are_one_tap() -> None:
    presence = Presence(gone_after_ms=400, debounce_ms=1_500)
    assert taps(presence, *(("a", 10_000 + 65 * n) for n in range(50))) == [True] + [False] * 49


def test_a_card_that_went_and_came_back_is_a_new_tap() -> None:
    presence = Presence(gone_after_ms=400, debounce_ms=1_500)
    assert taps(presence, ("a", 10_000), ("a", 12_000)) == [True, True]


def test_a_hand_that_wobbles_is_not() -> None:
    presence = Presence(gone_after_ms=400, debounce_ms=1_500)
    assert taps(presence, ("a", 10_000), ("a", 10_900)) == [True, False]


def test_another_card_is_a_tap_at_once() -> None:
    presence = Presence(gone_after_ms=400, debounce_ms=1_500)
    assert taps(presence, ("a", 10_000), ("b", 10_065), ("a", 10_130)) == [True, True, True]
