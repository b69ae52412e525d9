"""The queue is bounded, taps come first, and a reader's state is never dropped."""

import threading

import pytest

from agent.domain.card import parse_card_id
from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderUp
from agent.sync.events import LinkUp
from agent.terminal.events import Event
from agent.terminal.inbox import OTHERS_MAX, TAPS_MAX, Inbox
from tests.conftest import CARD

TAP = CardPresented(reader="counter", card=parse_card_id(CARD), tap=1)
UNREADABLE = CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=2)
UP = ReaderUp(reader="counter", location="usb")
DOWN = ReaderDown(reader="counter", reason="unplugged")


def all_of(inbox: Inbox) -> list[Event]:
    events = []
    while (event := inbox.get(0)) is not None:
        events.append(event)
    return events


def put_many(inbox: Inbox, event: Event, count: int) -> int:
    """Enqueue an event so many times; return how often it was taken."""
    return [inbox.put(event) for _ in range(count)].count(True)


def test_taps_come_before_everything_else_in_their_order() -> None:
    inbox = Inbox()
    for event in (LinkUp(), UP, TAP, UNREADABLE):
        assert inbox.put(event)
    assert all_of(inbox) == [TAP, UNREADABLE, LinkUp(), UP]


def test_beyond_others_max_the_newest_event_is_dropped_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = Inbox()
    assert put_many(inbox, LinkUp(), OTHERS_MAX + 3) == OTHERS_MAX
    assert inbox.dropped == 3
    assert caplog.text.count("Queue full") == 1
    assert len(all_of(inbox)) == OTHERS_MAX


def test_taps_have_room_of_their_own_up_to_taps_max() -> None:
    inbox = Inbox()
    put_many(inbox, LinkUp(), OTHERS_MAX + 3)
    assert put_many(inbox, TAP, TAPS_MAX + 2) == TAPS_MAX
    assert inbox.dropped == 3 + 2


@pytest.mark.parametrize("event", [UP, DOWN])
def test_a_full_queue_still_takes_the_state_of_a_reader(event: Event) -> None:
    """A reader sends it only once: dropped, its state would be wrong for days."""
    inbox = Inbox()
    put_many(inbox, LinkUp(), OTHERS_MAX)
    assert inbox.put(event)
    assert all_of(inbox)[-1] == event


def test_an_event_wakes_the_loop() -> None:
    inbox = Inbox()
    threading.Timer(0.05, inbox.put, [TAP]).start()
    assert inbox.get(60_000) == TAP


def test_an_empty_queue_returns_nothing_in_time() -> None:
    assert Inbox().get(1) is None


def test_closing_wakes_the_loop_and_does_not_lose_events() -> None:
    inbox = Inbox()
    threading.Timer(0.05, inbox.close).start()
    assert inbox.get(60_000) is None
    inbox.put(TAP)
    assert (inbox.get(60_000), inbox.get(60_000)) == (TAP, None)
