"""What a running reader reports, the signals it takes, and the limits of both."""

import logging
import threading
import time

import pytest

from agent.readers.channel import (
    FLOOD_TAPS,
    FLOOD_TAPS_PER_S,
    SIGNAL_LATE_MS,
    SIGNAL_SOON_MS,
    SIGNALS_MAX,
    TRAFFIC,
    Channel,
)
from agent.readers.events import (
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    Signal,
    SignalFailed,
)
from agent.readers.faults import SENTENCES, Fault
from agent.readers.health import FALLS_MAX, Health
from agent.readers.presence import OUTAGE_MS_MAX
from tests.parts.clocked_channel import ClockedChannel, numbered, presence

SAME_MS = 2_000


def test_wait_is_shown_once_when_a_signal_is_late_and_not_before() -> None:
    channel = ClockedChannel(lambda event: None)
    channel.report(numbered(1))
    channel.at_ms += SIGNAL_SOON_MS - 1
    assert channel.next_signal() is None
    channel.at_ms += 1
    assert [channel.next_signal(), channel.next_signal()] == [Signal.WAIT, None]
    channel.show(1, Signal.SERVED)
    assert [channel.next_signal(), channel.next_signal()] == [Signal.SERVED, None]


def test_a_tap_waits_for_its_signal_for_a_time_and_not_longer() -> None:
    channel = ClockedChannel(lambda event: None)
    waits = [channel.is_waiting]
    channel.report(numbered(1))
    for step_ms in (0, SIGNAL_LATE_MS - 1, 1):
        channel.at_ms += step_ms
        waits.append(channel.is_waiting)
    assert waits == [False, True, True, False] and channel.next_signal() is None


def test_a_further_look_shows_the_first_signal_again_without_an_event() -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append, rules=presence(SAME_MS))
    assert channel.report(numbered(1))
    channel.show(1, Signal.SERVED)
    assert [channel.next_signal(), channel.next_signal()] == [Signal.SERVED, None]
    for _ in range(4):
        channel.at_ms += SAME_MS - 1
        assert channel.report(numbered(1)) and channel.is_waiting
        assert [channel.next_signal(), channel.next_signal()] == [Signal.SERVED, None]
    assert names(events) == ["CardPresented"] and not channel.is_waiting


def test_a_card_that_was_away_when_its_signal_came_gets_it_when_it_is_back() -> None:
    channel = ClockedChannel(lambda event: None, rules=presence(SAME_MS))
    channel.report(numbered(1))
    channel.report(numbered(2))
    channel.show(1, Signal.REFUSED)
    assert channel.next_signal() is None
    channel.at_ms += 1
    assert channel.report(numbered(1))
    assert channel.next_signal() is Signal.REFUSED
    channel.show(2, Signal.SERVED)  # not on the first card
    assert channel.next_signal() is None
    assert channel.report(numbered(2))
    assert channel.next_signal() is Signal.SERVED


def test_a_further_look_before_the_first_signal_waits_for_it() -> None:
    channel = ClockedChannel(lambda event: None, rules=presence(SAME_MS))
    channel.report(numbered(1))
    channel.at_ms += 1
    assert not channel.report(numbered(1))
    channel.show(1, Signal.SERVED)
    assert [channel.next_signal(), channel.next_signal()] == [Signal.SERVED, None]


def test_an_outage_of_the_reader_does_not_end_a_presence() -> None:
    channel = ClockedChannel(lambda event: None, rules=presence(SAME_MS))
    channel.up("usb")
    channel.report(numbered(1))
    channel.show(1, Signal.SERVED)
    channel.next_signal()
    channel.down("unplugged")
    channel.at_ms += OUTAGE_MS_MAX
    channel.up("usb")
    assert channel.report(numbered(1)) and channel.next_signal() is Signal.SERVED


def test_a_further_look_proves_that_an_unsteady_reader_reads() -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append, rules=presence(SAME_MS))
    channel.up("usb")
    channel.report(numbered(1))
    for _ in range(FALLS_MAX + 1):
        channel.down("unplugged")
        channel.up("usb")
    assert names(events)[-1] == "ReaderDown"
    channel.at_ms += 1
    assert not channel.report(numbered(1))  # its tap has no signal yet
    assert names(events)[-1] == "ReaderUp"


def test_signals_are_remembered_for_the_newest_taps() -> None:
    for later, signal in ((SIGNALS_MAX - 1, Signal.SERVED), (SIGNALS_MAX, None)):
        channel = ClockedChannel(lambda event: None, rules=presence(SAME_MS))
        for n in range(later + 1):
            channel.report(numbered(n))
        channel.show(1, Signal.SERVED)
        channel.at_ms += 1
        assert channel.report(numbered(0)) is (signal is not None)


def test_more_signals_than_the_limit_are_dropped() -> None:
    for earlier, signal in ((SIGNALS_MAX - 1, Signal.SERVED), (SIGNALS_MAX, None)):
        channel = ClockedChannel(lambda event: None)
        channel.report(numbered(1))
        for _ in range(earlier):
            channel.show(0, Signal.REFUSED)
        channel.show(1, Signal.SERVED)
        assert channel.next_signal() is signal


def test_an_unreadable_card_is_an_event_with_its_sentence() -> None:
    events: list[ReaderEvent] = []
    assert ClockedChannel(events.append).report(Fault.MANY)
    assert events == [
        CardUnreadable(reader="counter", fault="many", sentence=SENTENCES[Fault.MANY], tap=1)
    ]


def test_an_abandoned_channel_reports_nothing() -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append)
    channel.stop()
    channel.up("usb")
    assert not channel.report(numbered(1)) and not channel.down("unplugged")
    channel.signal_failed("no answer")
    assert events == []


def test_a_failed_signal_is_an_event() -> None:
    events: list[ReaderEvent] = []
    ClockedChannel(events.append).signal_failed("no answer")
    assert events == [SignalFailed(reader="counter", reason="no answer")]


def test_the_raw_bytes_are_logged_at_their_own_level_only(caplog: pytest.LogCaptureFixture) -> None:
    channel = ClockedChannel(lambda event: None)
    with caplog.at_level(logging.DEBUG, logger="agent.readers"):
        channel.trace("<", bytes.fromhex("010063e9ae"))
    assert caplog.records == []
    with caplog.at_level(TRAFFIC, logger="agent.readers"):
        channel.trace("<", bytes.fromhex("010063e9ae"))
    assert [record.message for record in caplog.records] == ["Reader 'counter' < 01 00 63 e9 ae"]


def test_as_many_taps_at_once_as_a_class_can_make_are_no_flood() -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append)
    channel.up("usb")
    assert all(channel.report(numbered(n)) for n in range(FLOOD_TAPS))
    assert not channel.report(numbered(FLOOD_TAPS))
    down = events[-1]
    assert isinstance(down, ReaderDown) and "floods" in down.reason


def test_taps_at_the_highest_rate_are_no_flood_and_faster_ones_are() -> None:
    for every_ms, is_flood in ((1_000 // FLOOD_TAPS_PER_S, False), (90, True)):
        events: list[ReaderEvent] = []
        channel = ClockedChannel(events.append)
        channel.up("usb")
        for n in range(400):
            channel.at_ms += every_ms
            channel.report(numbered(n))
        assert any(isinstance(event, ReaderDown) for event in events) is is_flood


def names(events: list[ReaderEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_faults_prove_nothing_and_a_card_proves_that_an_unsteady_reader_reads() -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append)
    for _ in range(20):
        channel.up("usb")
        assert not channel.report(Fault.DEVICE)
        channel.down("only faults")
    assert names(events) == ["ReaderUp", "ReaderDown"] * (FALLS_MAX + 1)
    events.clear()
    channel.up("usb")
    assert channel.report(numbered(1))
    assert names(events) == ["ReaderUp", "CardPresented"]


def test_a_pause_ends_at_once_when_the_reader_must_stop() -> None:
    channel = Channel("counter", lambda event: None, Health("counter", print), presence())
    threading.Timer(0.05, channel.stop).start()
    begun = time.monotonic()
    channel.pause(60)
    assert time.monotonic() - begun < 30 and channel.stopping


def test_a_driver_call_is_timed_until_it_returns_or_raises() -> None:
    channel = ClockedChannel(lambda event: None)
    assert channel.call(lambda: channel.calling_since_ms) == channel.at_ms
    assert channel.calling_since_ms is None
    with pytest.raises(ZeroDivisionError):
        channel.call(lambda: 1 // 0)
    assert channel.calling_since_ms is None


def test_a_signal_and_a_stop_wake_the_reader() -> None:
    wakes: list[str] = []
    channel = ClockedChannel(lambda event: None)
    channel.wake_by(lambda: wakes.append("wake"))
    channel.show(1, Signal.SERVED)
    channel.stop()
    assert wakes == ["wake", "wake"]


def test_the_recorder_gets_the_time_that_the_readers_code_used() -> None:
    class Lines:
        def __init__(self) -> None:
            self.added: list[tuple[int, str]] = []

        def add(self, now_ms: int, mark: str, data: bytes) -> None:
            self.added.append((now_ms, mark))

    lines = Lines()
    channel = Channel("x", lambda event: None, Health("x", print), presence(), lines)
    channel.trace("<", b"\2", at_ms=17)
    channel.trace("gone")
    assert lines.added[0] == (17, "<") and lines.added[1][0] > 17
