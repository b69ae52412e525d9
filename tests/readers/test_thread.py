"""A reader's thread: its back-off, and readers that block, flood or never come."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.channel import FLOOD_TAPS, Channel
from agent.readers.events import CardPresented, ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.health import STEADY_MS
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import RecentTaps
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

    def run(self, channel: Channel) -> None:
        self.runs += 1
        channel.up("usb")
        channel.call(self.released.wait)
        channel.report(numbered(1))
        while not channel.stopping:
            channel.pause(0.05)


class Cards:
    """A reader that detects the cards of a queue, and waits a moment for each signal."""

    def __init__(self, wait_s: float = 0.3) -> None:
        self._wait_s = wait_s
        self.cards: queue.Queue[CardId] = queue.Queue()
        self.signals: list[Signal | None] = []

    def run(self, channel: Channel) -> None:
        channel.up("usb")
        while not channel.stopping:
            try:
                card = self.cards.get(timeout=0.05)
            except queue.Empty:
                continue
            if channel.report(card):
                self.signals.append(channel.next_signal(self._wait_s))


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


def test_a_reader_that_is_never_there_is_one_event_and_few_attempts(events: Events) -> None:
    reader = Failing()
    thread = thread_of(reader, events.put)
    thread.start()
    assert isinstance(events.get(timeout=20), ReaderDown)
    with pytest.raises(queue.Empty):
        events.get(timeout=1)
    thread.stop()
    assert 2 <= reader.runs <= 4  # at 0, 0.2, 0.6 and 1.4 s


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
    events: Events, watched: list[ReaderThread]
) -> None:
    reader = Blocking()
    thread = thread_of(reader, events.put)
    begun = time.monotonic()
    thread.start()
    assert isinstance(events.get(timeout=20), ReaderUp)
    thread.watch()
    assert events.empty()  # a call may take a moment
    watched.append(thread)
    down = events.get(timeout=10)
    assert isinstance(down, ReaderDown) and "blocked in a driver call" in down.reason
    assert time.monotonic() - begun < 5
    wait_for(lambda: reader.runs == 1 + LEFT_BEHIND_MAX, "as many threads as may block", 20)
    assert events.empty()  # one event, however often it is tried
    reader.released.set()
    kinds = {type(events.get(timeout=20)), type(events.get(timeout=20))}
    assert kinds == {CardPresented, ReaderUp}
    with pytest.raises(queue.Empty):  # what the abandoned threads detect at last is not reported
        events.get(timeout=1)
    assert reader.runs == 1 + LEFT_BEHIND_MAX


class BlockingWithCard:
    """A reader on which a card stays, and whose first driver call does not return."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.runs = 0

    def run(self, channel: Channel) -> None:
        self.runs += 1
        channel.up("usb")
        channel.report(numbered(1))
        if self.runs == 1:
            channel.call(self.released.wait)
        while not channel.stopping:
            channel.pause(0.05)


def test_a_card_that_stays_on_a_blocked_reader_is_one_tap(events: Events) -> None:
    same_ms = 100
    reader = BlockingWithCard()
    thread = ReaderThread("counter", reader, events.put, presence(same_ms))
    thread.start()
    assert isinstance(events.get(timeout=20), ReaderUp)
    assert isinstance(events.get(timeout=20), CardPresented)
    with pytest.raises(queue.Empty):  # blocked for longer than a presence may be away
        events.get(timeout=3 * same_ms / 1000)
    pass_time(thread.channel)
    thread.watch()
    assert isinstance(events.get(timeout=20), ReaderDown)
    assert isinstance(events.get(timeout=20), ReaderUp)  # the card is read, and is no tap
    with pytest.raises(queue.Empty):
        events.get(timeout=0.3)
    reader.released.set()
    thread.stop()


def pass_time(channel: Channel) -> None:
    """Make a driver call look as if it had begun `STUCK_MS` earlier."""
    wait_for(lambda: channel.calling_since_ms is not None, "a driver call")
    assert channel.calling_since_ms is not None
    channel.calling_since_ms -= STUCK_MS


def test_no_more_threads_than_the_limit_are_abandoned(events: Events) -> None:
    reader = Blocking()
    thread = thread_of(reader, events.put)
    thread.start()
    channels = [thread.channel]
    for n in range(1, LEFT_BEHIND_MAX + 3):
        pass_time(channels[-1])
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
    assert isinstance(events.get(timeout=20), ReaderUp)
    begun = time.monotonic()
    thread.stop()
    assert STOP_S_MAX <= time.monotonic() - begun < STOP_S_MAX + 10
    reader.released.set()


def test_signals_for_earlier_taps_are_dropped_and_a_late_one_is_announced(events: Events) -> None:
    reader = Cards()
    thread = thread_of(reader, events.put)
    thread.start()
    events.get(timeout=20)
    reader.cards.put(numbered(1))
    events.get(timeout=20)
    wait_for(lambda: reader.signals == [Signal.WAIT], "wait", 20)
    thread.show(1, Signal.REFUSED)
    reader.cards.put(numbered(2))
    event = events.get(timeout=20)
    assert isinstance(event, CardPresented) and event.tap == 2
    thread.show(2, Signal.SERVED)
    wait_for(lambda: reader.signals == [Signal.WAIT, Signal.SERVED], "the second signal", 20)
    thread.stop()


def test_a_flooding_reader_is_one_event_and_one_when_it_is_quiet(
    events: Events, watched: list[ReaderThread]
) -> None:
    reader = Cards(wait_s=0)
    thread = thread_of(reader, events.put)
    thread.start()
    watched.append(thread)
    for n in range(1_000):
        reader.cards.put(numbered(n))
    received: list[ReaderEvent] = [events.get(timeout=20)]
    while len(received) == 1 or not isinstance(received[-1], ReaderUp):
        received.append(events.get(timeout=20))
    downs = [event for event in received if isinstance(event, ReaderDown)]
    assert len(downs) == 1 and "floods" in downs[0].reason
    taps = sum(isinstance(event, CardPresented) for event in received)
    assert FLOOD_TAPS <= taps <= FLOOD_TAPS + 2
    reader.cards.put(CardId("em", b"after"))
    assert isinstance(events.get(timeout=20), CardPresented)


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

    def end(self) -> float:
        """End the flood; return how long it lasted, in seconds."""
        lasted = time.monotonic() - self._begun
        self._ended.set()
        self._thread.join()
        return lasted

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
    assert {events.get(timeout=20).reader for _ in lines} == set(lines)
    flood = Flood(lines["flooding"])
    for n in range(30):
        lines["quiet"].hold(b"\xaa" + n.to_bytes(4, "big"), repeats=3)
    lasted_s = flood.end()
    assert flood.sent > 0.9 * Flood.RATE * lasted_s
    received: list[ReaderEvent] = []
    while not any(isinstance(event, ReaderUp) for event in received):
        received.append(events.get(timeout=20))
    quiet = [event for event in received if event.reader == "quiet"]
    taps = [event.card.uid[4] for event in quiet if isinstance(event, CardPresented)]
    assert taps == list(range(30))
    flooding = [event for event in received if event.reader == "flooding"]
    assert sum(isinstance(event, CardPresented) for event in flooding) <= FLOOD_TAPS + 2
    names = [type(event).__name__ for event in flooding if not isinstance(event, CardPresented)]
    assert names == ["ReaderDown", "ReaderUp"]
    for line in lines.values():
        line.unplug()
