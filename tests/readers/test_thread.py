"""A reader's thread: a reader that hangs, floods or dies; its signals; and what the others notice of it."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.events import CardPresented, ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.faults import Fault
from agent.readers.health import Health
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import LateTaps, Presence
from agent.readers.profile_rules import load_profile
from agent.readers.thread import FLOOD_TAPS, LEFT_BEHIND_MAX, Channel, ReaderThread
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine, rdm6300_frame

Events: TypeAlias = "queue.Queue[ReaderEvent]"


class Hanging:
    """A reader whose driver does not come back until `released`; what it then sees is told too late."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.served = 0

    def serve(self, channel: Channel) -> None:
        self.served += 1
        channel.up("a reader")
        channel.call(self.released.wait)
        channel.saw(CardId("em", bytes(4) + b"\1"))
        while not channel.stopping:
            channel.pause(0.05)


class Cards:
    """A reader that sees the cards put before it, and waits a moment for the signal."""

    def __init__(self, wait_s: float = 0.3) -> None:
        self._wait_s = wait_s
        self.cards: queue.Queue[CardId] = queue.Queue()
        self.signals: list[Signal | None] = []

    def serve(self, channel: Channel) -> None:
        channel.up("a reader")
        while not channel.stopping:
            try:
                card = self.cards.get(timeout=0.05)
            except queue.Empty:
                continue
            if channel.saw(card):
                self.signals.append(channel.signal(self._wait_s))


class Failing:
    """A reader that is never there."""

    def serve(self, channel: Channel) -> None:
        raise ReaderError(f"reader '{channel.name}': not plugged in")


@pytest.fixture
def events() -> Events:
    return queue.Queue()


def thread_of(
    reader: Hanging | Cards | Failing, emit: Callable[[ReaderEvent], object]
) -> ReaderThread:
    return ReaderThread(
        "counter",
        reader,
        emit,
        Presence("counter", LateTaps(threading.Lock()), gone_after_ms=0, debounce_ms=1),
    )


@pytest.fixture
def watched() -> Iterator[list[ReaderThread]]:
    """Threads that are looked after as the main loop does, once a second."""
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


def test_a_reader_that_hangs_is_reported_within_five_seconds_and_served_anew(
    events: Events, watched: list[ReaderThread]
) -> None:
    reader = Hanging()
    thread = thread_of(reader, events.put)
    begun = time.monotonic()
    thread.start()
    watched.append(thread)
    assert isinstance(events.get(timeout=1), ReaderUp)
    down = events.get(timeout=10)
    assert isinstance(down, ReaderDown) and "hangs in its driver" in down.reason
    assert time.monotonic() - begun < 5
    wait_for(lambda: reader.served == 1 + LEFT_BEHIND_MAX, "as many attempts as may hang", 20)
    assert events.empty()  # one line, however often it is tried
    reader.released.set()
    told = [events.get(timeout=5), events.get(timeout=5)]
    assert sorted(type(event).__name__ for event in told) == ["CardPresented", "ReaderUp"]
    with pytest.raises(
        queue.Empty
    ):  # what those left behind see at last is told by the living one alone
        events.get(timeout=1)


def test_a_reader_that_is_never_there_is_one_line(events: Events) -> None:
    thread = thread_of(Failing(), events.put)
    thread.start()
    assert isinstance(events.get(timeout=2), ReaderDown)
    with pytest.raises(queue.Empty):
        events.get(timeout=1)
    thread.stop()


def test_a_signal_for_an_earlier_tap_is_dropped_and_a_late_one_is_announced(events: Events) -> None:
    reader = Cards()
    thread = thread_of(reader, events.put)
    thread.start()
    events.get(timeout=2)
    reader.cards.put(CardId("em", b"11111"))
    events.get(timeout=2)
    wait_for(lambda: reader.signals == [Signal.WAIT], "wait", 5)
    thread.show(1, Signal.REFUSED)
    reader.cards.put(CardId("em", b"22222"))
    event = events.get(timeout=2)
    assert isinstance(event, CardPresented) and event.tap == 2
    thread.show(2, Signal.SERVED)
    wait_for(lambda: reader.signals == [Signal.WAIT, Signal.SERVED], "the light of the second", 5)
    thread.stop()


def test_a_reader_that_floods_is_one_line_and_one_when_it_is_quiet(
    events: Events, watched: list[ReaderThread]
) -> None:
    reader = Cards(wait_s=0)
    thread = thread_of(reader, events.put)
    thread.start()
    watched.append(thread)
    for n in range(1_000):
        reader.cards.put(CardId("em", n.to_bytes(5, "big")))
    told: list[ReaderEvent] = [events.get(timeout=5)]
    while len(told) == 1 or not isinstance(told[-1], ReaderUp):
        told.append(events.get(timeout=5))
    downs = [event for event in told if isinstance(event, ReaderDown)]
    assert len(downs) == 1 and "floods" in downs[0].reason
    assert FLOOD_TAPS <= sum(isinstance(event, CardPresented) for event in told) <= FLOOD_TAPS + 2
    reader.cards.put(CardId("em", b"after"))
    assert isinstance(events.get(timeout=5), CardPresented)


def test_a_reader_nobody_listens_to_does_not_fill_the_memory() -> None:
    health = Health("counter", lambda event: None)
    channel = Channel(
        "counter",
        lambda event: None,
        health,
        Presence("counter", LateTaps(threading.Lock()), gone_after_ms=0, debounce_ms=1),
    )
    for n in range(1_000):
        channel.show(n, Signal.SERVED)
    assert channel._signals.qsize() <= 16


def told_by(*said: Callable[[Health], object]) -> list[str]:
    told: list[ReaderEvent] = []
    health = Health("counter", told.append)
    for one in said:
        one(health)
    return [type(event).__name__.removeprefix("Reader") for event in told]


def test_a_flooding_reader_that_is_unplugged_is_not_up_when_it_is_quiet() -> None:
    flood = (
        lambda h: h.served("here", 0),
        lambda h: h.floods("floods", 1_000),
        lambda h: h.lost("unplugged", 1_500),
    )
    assert told_by(*flood, lambda h: h.settle(3_000)) == ["Up", "Down"]
    assert told_by(*flood, lambda h: h.settle(3_000), lambda h: h.served("here", 4_000)) == [
        "Up",
        "Down",
        "Up",
    ]


def test_a_reader_that_hung_and_is_lost_meanwhile_is_not_up_when_the_hang_ends() -> None:
    hang = (
        lambda h: h.served("here", 0),
        lambda h: h.hangs("hangs", is_left=True),
        lambda h: h.served("here", 5_000),
    )
    assert told_by(
        *hang, lambda h: h.lost("pcscd is gone", 6_000), lambda h: h.hangs_no_more()
    ) == ["Up", "Down"]
    assert told_by(*hang, lambda h: h.hangs_no_more()) == ["Up", "Down", "Up"]


def test_a_third_hang_that_ends_is_up_again() -> None:
    assert told_by(
        lambda h: h.served("here", 0),
        lambda h: h.hangs("hangs", is_left=False),
        lambda h: h.hangs_no_more(),
    ) == [
        "Up",
        "Down",
        "Up",
    ]


def test_a_reader_that_comes_only_to_go_is_told_a_few_times_and_then_when_it_stays_or_reads() -> (
    None
):
    flapping = [
        said
        for n in range(20)
        for said in (
            lambda h, n=n: h.served("here", 1_000 * n),
            lambda h, n=n: h.lost("gone", 1_000 * n + 500),
        )
    ]
    assert told_by(*flapping) == ["Up", "Down"] * 3
    stays = (
        lambda h: h.served("here", 30_000),
        lambda h: h.settle(35_000),
        lambda h: h.settle(40_000),
    )
    assert told_by(*flapping, *stays) == ["Up", "Down"] * 3 + ["Up"]
    assert told_by(*flapping, lambda h: h.served("here", 30_000), lambda h: h.read_a_card()) == [
        "Up",
        "Down",
    ] * 3 + ["Up"]


def test_a_reader_that_answers_with_faults_only_has_read_nothing() -> None:
    told: list[ReaderEvent] = []
    health = Health("counter", told.append)
    channel = Channel(
        "counter",
        told.append,
        health,
        Presence("counter", LateTaps(threading.Lock()), gone_after_ms=0, debounce_ms=1),
    )
    for _ in range(20):
        channel.up("here")
        assert not channel.saw(Fault.DEVICE)
        channel.lost("answers nothing but faults")
    assert [type(event).__name__ for event in told] == ["ReaderUp", "ReaderDown"] * 3
    channel.up("here")
    assert channel.saw(CardId("em", b"12345"))
    assert [type(event).__name__ for event in told[6:]] == ["ReaderUp", "CardPresented"]


def test_ten_thousand_frames_a_second_at_one_reader_cost_no_tap_at_another(
    tmp_path: Path, watched: list[ReaderThread]
) -> None:
    events: queue.Queue[ReaderEvent] = queue.Queue()
    late = LateTaps(threading.Lock())
    lines = {name: SerialLine(tmp_path / name) for name in ("quiet", "flooding")}
    for name, line in lines.items():
        line.plug()
        config = ReaderConfig(
            name=name, profile=load_profile("rdm6300"), port=str(line.path), device=None
        )
        watched.append(reader_thread(config, events.put, late))
        watched[-1].start()
    ups = {events.get(timeout=5).reader for _ in lines}
    assert ups == {"quiet", "flooding"}
    ended, sent = threading.Event(), [0]

    def flood() -> None:
        n, begun = 1, time.monotonic()
        while not ended.is_set():
            if n > 10_000 * (time.monotonic() - begun):
                ended.wait(0.001)
                continue
            try:
                lines["flooding"].write(
                    b"".join(rdm6300_frame((n + k).to_bytes(5, "big")) for k in range(20))
                )
                n += 20
            except BlockingIOError:  # the pty is full
                ended.wait(0.001)
            sent[0] = n

    flooder = threading.Thread(target=flood, daemon=True)
    flooder.start()
    begun = time.monotonic()
    for n in range(30):
        lines["quiet"].hold(b"\xaa" + n.to_bytes(4, "big"), repeats=2)
        ended.wait(0.15)
    lasted = time.monotonic() - begun
    ended.set()
    flooder.join()
    assert sent[0] > 0.9 * 10_000 * lasted
    seen: list[ReaderEvent] = []
    while not any(isinstance(event, ReaderUp) for event in seen):
        seen.append(events.get(timeout=20))
    quiet = [event for event in seen if event.reader == "quiet"]
    assert [event.card.uid[4] for event in quiet if isinstance(event, CardPresented)] == list(
        range(30)
    )
    flooding = [event for event in seen if event.reader == "flooding"]
    assert sum(isinstance(event, CardPresented) for event in flooding) <= FLOOD_TAPS + 2
    assert [type(event).__name__ for event in flooding if not isinstance(event, CardPresented)] == [
        "ReaderDown",
        "ReaderUp",
    ]
    for line in lines.values():
        line.unplug()
