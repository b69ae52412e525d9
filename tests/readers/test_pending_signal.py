"""A signal is shown on the card that was tapped, soon, or not at all."""

from agent.domain.card import CardId
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.pending_signal import PENDING_MS_MAX, PendingSignal

CARD, OTHER = (CardId("a", bytes([4, n, 0, 0])) for n in (1, 2))


def tapped(card: CardId | Fault = CARD) -> PendingSignal:
    """Return the state after a tap at 1,000 ms."""
    pending = PendingSignal()
    pending.detected(card)
    pending.tapped(card, 1_000)
    return pending


def test_a_signal_is_shown_while_its_card_is_present() -> None:
    pending = tapped()
    assert pending.may_show(Signal.SERVED, has_card=True, now_ms=1_200)
    assert pending.signal is None


def test_a_signal_waits_for_a_card_that_went() -> None:
    pending = tapped()
    assert not pending.may_show(Signal.SERVED, has_card=False, now_ms=1_200)
    assert pending.signal is Signal.SERVED
    pending.detected(CARD)
    assert pending.may_show(Signal.SERVED, has_card=True, now_ms=1_900)


def test_a_signal_is_never_shown_on_another_card() -> None:
    pending = tapped()
    pending.may_show(Signal.SERVED, has_card=False, now_ms=1_200)
    pending.detected(OTHER)
    assert not pending.may_show(Signal.SERVED, has_card=True, now_ms=1_900)
    assert pending.signal is None


def test_a_signal_is_dropped_when_its_time_is_over() -> None:
    end_ms = 1_000 + PENDING_MS_MAX
    assert tapped().may_show(Signal.SERVED, has_card=True, now_ms=end_ms)
    assert not tapped().may_show(Signal.SERVED, has_card=True, now_ms=end_ms + 1)
    pending = tapped()
    assert not pending.may_show(Signal.SERVED, has_card=False, now_ms=end_ms + 1)
    assert pending.signal is None


def test_a_new_tap_drops_the_waiting_signal() -> None:
    pending = tapped()
    pending.may_show(Signal.SERVED, has_card=False, now_ms=1_200)
    pending.tapped(OTHER, 2_000)
    assert pending.signal is None


def test_an_unreadable_card_gets_its_signal_too() -> None:
    assert tapped(Fault.STATUS).may_show(Signal.REFUSED, has_card=True, now_ms=1_200)
