"""A signal is shown on the card that was tapped, soon, or not at all."""

from agent.domain.card import CardId
from agent.readers.faults import Fault
from agent.readers.pending_signal import LIGHTS_MAX, PENDING_MS_MAX, PendingSignal

CARD, OTHER = (CardId("a", bytes([4, n, 0, 0])) for n in (1, 2))


def tapped(card: CardId | Fault = CARD) -> PendingSignal:
    """Return the state after a tap at 1,000 ms."""
    pending = PendingSignal()
    pending.detected(card)
    pending.due(1_000)
    return pending


def test_a_signal_is_shown_while_its_card_is_present() -> None:
    assert tapped().may_show(1_200)


def test_a_signal_is_not_shown_without_its_card_and_is_when_it_is_back() -> None:
    pending = tapped()
    pending.detected(None)
    assert not pending.may_show(1_200)
    pending.detected(CARD)
    assert pending.may_show(1_900)


def test_a_signal_is_never_shown_on_another_card() -> None:
    pending = tapped()
    pending.detected(OTHER)
    assert not pending.may_show(1_900)


def test_a_signal_is_dropped_when_its_time_is_over() -> None:
    assert tapped().may_show(1_000 + PENDING_MS_MAX)
    assert not tapped().may_show(1_000 + PENDING_MS_MAX + 1)


def test_the_signal_of_a_new_tap_is_for_its_own_card() -> None:
    pending = tapped()
    pending.detected(OTHER)
    pending.due(2_000)
    assert pending.may_show(2_000)
    pending.detected(CARD)
    assert not pending.may_show(2_000)


def test_an_unreadable_card_gets_its_signal_too() -> None:
    assert tapped(Fault.STATUS).may_show(1_200)


def test_a_card_gets_few_lights_until_another_one_is_present() -> None:
    pending = tapped()
    for _ in range(LIGHTS_MAX):
        assert pending.may_show(1_200)
        pending.shown()
        pending.detected(CARD)  # read again
    assert not pending.may_show(1_200)
    pending.detected(OTHER)
    pending.due(1_300)
    assert pending.may_show(1_300)
