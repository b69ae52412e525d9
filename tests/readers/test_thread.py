"""A reader's thread: its back-off, and readers that block, flood or never come.

No test measures how long something took: a busy machine may take any time. A test waits for an
event, at most `SAFETY_S`. What depends on the clock is in test_channel.py and test_health.py.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.channel import FLOOD_TAPS, SIGNAL_SOON_MS, Channel
from agent.readers.events import CardPresented, ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.health import STEADY_MS
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import Presence, RecentTaps
from agent.readers.profile_rules import load_profile
from agent.readers.thread import (
    LEFT_BEHIND_MAX,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    STOP_S_MAX,
    STUCK_MS,
    Reader,
    ReaderThread,
    run_until_stopped,
)
from tests.parts.clocked_channel import ClockedChannel, numbered, presence
from tests.parts.process import wait_for
from tests.parts.serial_line import Id12la, SerialLine

Events: TypeAlias = "queue.Queue[ReaderEvent]"
SAFETY_S = 60
TURN_MS = 1_000  # the main loop watches at least so often


class Failing:
    """A reader that fails at once, or after it was up for a time."""

    def __init__(self, *up_ms: int) -> None:
        self._up_ms = list(up_ms)
        self.runs = 0

    def run(self, channel: Channel) -> None:
        self.runs += 1
        if self._up_ms and isinstance(channel, ClockedChannel):
            channel.up("usb")
            channel.at_ms += self._up_ms.pop(0)
        raise ReaderError("not plugged in")


class Blocking:
    """A reader whose driver does not return until `released`. What it detects then is too late."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.runs = 0
        self.reports = 0

    def run(self, channel: Channel) -> None:
        self.runs += 1
        channel.up("usb")
        channel.call(self.released.wait)
        channel.report(numbered(1))
        self.reports += 1
        while not channel.stopping:
            channel.pause(0.05)


class Cards:
    """A reader that detects the cards of a queue, and waits a moment for each signal."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.cards: queue.Queue[CardId] = queue.Queue()
        self.signals: list[Signal | None] = []
        self.reports = 0

    def run(self, channel: Channel) -> None:
        channel.up("usb")
        while not channel.stopping:
            try:
                card = self.cards.get(timeout=0.05)
            except queue.Empty:
                continue
            if channel.report(card):
                self.signals.append(channel.next_signal(self.wait_s))
            self.reports += 1


@pytest.fixture
def events() -> Events:
    return queue.Queue()


def thread_of(reader: Reader, emit: Callable[[ReaderEvent], object]) -> ReaderThread:
    return ReaderThread("counter", reader, emit, presence())


@pytest.fixture
def watched() -> Iterator[list[ReaderThread]]:
    """Threads that are watched once a second, as the main loop does."""
    threads: list[ReaderThread] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            for thread in threads:
                thread.watch()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield threads
    ended.set()
    watcher.join()
    for thread in threads:
        thread.stop()


def test_the_pauses_between_attempts_double_up_to_the_longest() -> None:
    reader, channel = Failing(), ClockedChannel(lambda event: None, pauses_max=9)
    run_until_stopped(reader, channel)
    assert channel.pauses_s == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]
    assert (RETRY_FIRST_S, RETRY_MAX_S) == (0.2, 5.0)
    assert reader.runs == 9


def test_after_a_steady_connection_the_pauses_start_again() -> None:
    reader = Failing(0, 0, 0, STEADY_MS, 0, STEADY_MS - 1)
    channel = ClockedChannel(lambda event: None, pauses_max=6)
    run_until_stopped(reader, channel)
    assert channel.pauses_s == [0.2, 0.4, 0.8, 0.2, 0.2, 0.4]


def test_a_reader_that_is_never_there_is_one_event_however_often_it_is_tried(
    events: Events,
) -> None:
    reader = Failing()
    thread = thread_of(reader, events.put)
    thread.start()
    assert isinstance(events.get(timeout=SAFETY_S), ReaderDown)
    wait_for(lambda: reader.runs == 3, "the third attempt", SAFETY_S)
    thread.stop()
    assert events.empty()


def test_a_reader_that_must_stop_during_a_pause_is_not_run_again() -> None:
    reader, channel = Failing(), ClockedChannel(lambda event: None, pauses_max=1)
    run_until_stopped(reader, channel)
    assert reader.runs == 1


def test_any_exception_but_the_readers_own_ends_the_thread() -> None:
    class Broken:
        def run(self, channel: Channel) -> None:
            raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        run_until_stopped(Broken(), ClockedChannel(lambda event: None, pauses_max=1))


def test_a_blocked_reader_is_reported_within_five_seconds_and_started_again(
    events: Events,
) -> None:
    assert STUCK_MS + TURN_MS < 5_000
    reader = Blocking()
    thread = thread_of(reader, events.put)
    thread.start()
    assert isinstance(events.get(timeout=SAFETY_S), ReaderUp)
    for n in range(2 + LEFT_BEHIND_MAX):
        pass_time(thread.channel, STUCK_MS - 1_000 * SAFETY_S)
        thread.watch()
        assert events.qsize() == min(n, 1)  # a call may take a moment; one event however often
        pass_time(thread.channel, 1_000 * SAFETY_S)
        thread.watch()
    down = events.get(timeout=SAFETY_S)
    assert isinstance(down, ReaderDown) and "blocked in a driver call" in down.reason
    assert reader.runs == 1 + LEFT_BEHIND_MAX
    reader.released.set()
    kinds = {type(events.get(timeout=SAFETY_S)), type(events.get(timeout=SAFETY_S))}
    assert kinds == {CardPresented, ReaderUp}
    wait_for(lambda: reader.reports == reader.runs, "the abandoned threads", SAFETY_S)
    thread.watch()
    assert events.empty()  # what the abandoned threads detect at last is not reported
    assert reader.runs == 1 + LEFT_BEHIND_MAX
    thread.stop()


class BlockingWithCard:
    """A reader on which a card stays, and whose first driver call does not return."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.runs = 0
        self.reports = 0

    def run(self, channel: Channel) -> None:
        self.runs += 1
        channel.up("usb")
        channel.report(numbered(1))
        self.reports += 1
        if self.runs == 1:
            channel.call(self.released.wait)
        while not channel.stopping:
            channel.pause(0.05)


def test_a_card_that_stays_on_a_blocked_reader_is_one_tap(events: Events) -> None:
    """The call began 8 s after the card was read, and lasts for longer than a card may be away."""
    same_ms, recent = 10_000, RecentTaps(threading.Lock())
    rules = Presence("counter", recent, gone_after_ms=0, same_ms=same_ms)
    reader = BlockingWithCard()
    thread = ReaderThread("counter", reader, events.put, rules)
    thread.start()
    assert isinstance(events.get(timeout=SAFETY_S), ReaderUp)
    assert isinstance(events.get(timeout=SAFETY_S), CardPresented)
    read_ms = thread.channel.now_ms()
    wait_for(lambda: thread.channel.now_ms() > read_ms, "the next millisecond")
    pass_time(thread.channel, same_ms + 2_000)
    recent.still_there([numbered(1)], thread.channel.now_ms() - 2 * same_ms)
    thread.watch()
    assert isinstance(events.get(timeout=SAFETY_S), ReaderDown)
    assert isinstance(events.get(timeout=SAFETY_S), ReaderUp)
    wait_for(lambda: reader.reports == 2, "the second look at the card", SAFETY_S)
    assert events.empty()  # the card is read, and is no tap
    reader.released.set()
    thread.stop()


def pass_time(channel: Channel, milliseconds: int) -> None:
    """Make a driver call look as if it had begun so much earlier."""
    wait_for(lambda: channel.calling_since_ms is not None, "a driver call", SAFETY_S)
    assert channel.calling_since_ms is not None
    channel.calling_since_ms -= milliseconds


def test_no_more_threads_than_the_limit_are_abandoned(events: Events) -> None:
    reader = Blocking()
    thread = thread_of(reader, events.put)
    thread.start()
    channels = [thread.channel]
    for n in range(1, LEFT_BEHIND_MAX + 3):
        pass_time(channels[-1], STUCK_MS)
        thread.watch()
        channels.append(thread.channel)
        assert len(set(channels)) == 1 + min(n, LEFT_BEHIND_MAX)
    reader.released.set()
    thread.stop()
    assert reader.runs == 1 + LEFT_BEHIND_MAX


def test_a_blocked_reader_delays_the_stop_for_a_moment_only(events: Events) -> None:
    reader = Blocking()
    thread = thread_of(reader, events.put)
    thread.start()
    assert isinstance(events.get(timeout=SAFETY_S), ReaderUp)
    begun = time.monotonic()
    thread.stop()
    assert time.monotonic() - begun >= STOP_S_MAX
    assert reader.reports == 0  # the driver has not returned
    reader.released.set()


def test_signals_for_earlier_taps_are_dropped_and_a_late_one_is_announced(events: Events) -> None:
    reader = Cards(wait_s=SIGNAL_SOON_MS / 1_000)
    thread = thread_of(reader, events.put)
    thread.start()
    events.get(timeout=SAFETY_S)
    reader.cards.put(numbered(1))
    events.get(timeout=SAFETY_S)
    wait_for(lambda: reader.signals == [Signal.WAIT], "wait", SAFETY_S)
    thread.show(1, Signal.REFUSED)
    reader.wait_s = SAFETY_S
    reader.cards.put(numbered(2))
    event = events.get(timeout=SAFETY_S)
    assert isinstance(event, CardPresented) and event.tap == 2
    thread.show(2, Signal.SERVED)
    wait_for(lambda: len(reader.signals) == 2, "the second signal", SAFETY_S)
    assert reader.signals == [Signal.WAIT, Signal.SERVED]
    thread.stop()


def test_a_flooding_reader_is_one_event_and_one_when_it_is_quiet(events: Events) -> None:
    reader = Cards(wait_s=0)
    thread = thread_of(reader, events.put)
    thread.start()
    for n in range(1_000):
        reader.cards.put(numbered(n))
    wait_for(lambda: reader.reports == 1_000, "all cards", SAFETY_S)
    received = [events.get() for _ in range(events.qsize())]
    downs = [event for event in received if isinstance(event, ReaderDown)]
    assert len(downs) == 1 and "floods" in downs[0].reason
    assert FLOOD_TAPS <= sum(isinstance(event, CardPresented) for event in received) < 500

    def has_news() -> bool:
        thread.watch()
        return not events.empty()

    wait_for(has_news, "the end of the flood", SAFETY_S)
    assert isinstance(events.get(), ReaderUp)
    reader.cards.put(CardId("em", b"after"))
    assert isinstance(events.get(timeout=SAFETY_S), CardPresented)
    thread.stop()


class Flood:
    """Ten thousand ID-12LA frames a second, each with another card."""

    RATE = 10_000

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self._far_end = Id12la(line)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._begun = time.monotonic()
        self.sent = 0
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self.sent > self.RATE * (time.monotonic() - self._begun):
                self._ended.wait(0.001)
                continue
            numbers = range(self.sent + 1, self.sent + 21)
            try:
                self._line.write(b"".join(self._far_end.frame(numbered(n).uid) for n in numbers))
                self.sent += 20
            except BlockingIOError:  # the pty is full
                self._ended.wait(0.001)


def test_a_flood_at_one_reader_costs_no_tap_at_another(
    tmp_path: Path, watched: list[ReaderThread], events: Events
) -> None:
    recent = RecentTaps(threading.Lock())
    lines = {name: SerialLine(tmp_path / name) for name in ("quiet", "flooding")}
    profiles = {"quiet": load_profile("rdm6300"), "flooding": load_profile("id-12la")}
    for name, line in lines.items():
        line.plug()
        config = ReaderConfig(name=name, profile=profiles[name], port=str(line.path), device=None)
        watched.append(reader_thread(config, events.put, recent))
        watched[-1].start()
    assert {events.get(timeout=SAFETY_S).reader for _ in lines} == set(lines)
    received: list[ReaderEvent] = []
    flood = Flood(lines["flooding"])
    for n in range(30):
        lines["quiet"].hold(b"\xaa" + n.to_bytes(4, "big"), repeats=3)
        while len(taps_of("quiet", received)) == n:
            received.append(events.get(timeout=SAFETY_S))
    wait_for(lambda: flood.sent >= Flood.RATE, "a flood of so many cards", SAFETY_S)
    flood.end()
    while not isinstance(received[-1], ReaderUp):
        received.append(events.get(timeout=SAFETY_S))
    assert [card.uid[4] for card in taps_of("quiet", received)] == list(range(30))
    assert len(taps_of("flooding", received)) < Flood.RATE / 100
    states = [event for event in received if not isinstance(event, CardPresented)]
    assert {event.reader for event in states} == {"flooding"}
    for line in lines.values():
        line.unplug()


def taps_of(reader: str, received: list[ReaderEvent]) -> list[CardId]:
    return [
        event.card
        for event in received
        if isinstance(event, CardPresented) and event.reader == reader
    ]
