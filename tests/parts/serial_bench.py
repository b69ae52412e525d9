"""A reader's thread on a pty, with the far end of its profile."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.domain.card import CardId
from agent.readers.events import CardPresented, ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import RecentTaps
from agent.readers.profile import Profile, Step
from agent.readers.profile_rules import load_profile
from agent.readers.thread import ReaderThread
from tests.parts.process import wait_for
from tests.parts.serial_line import FarEnd, PolledFarEnd, SerialLine, Twn4

PAUSE_S = 0.35  # longer than STALL_MS_MAX


def pause() -> None:
    """Leave a line quiet for longer than the longest gap in a frame."""
    time.sleep(PAUSE_S)


@dataclass
class Bench:
    """A reader's thread, and the far end of its line."""

    line: SerialLine
    far_end: FarEnd
    thread: ReaderThread
    events: "queue.Queue[ReaderEvent]"

    @property
    def polled(self) -> PolledFarEnd:
        assert isinstance(self.far_end, PolledFarEnd)
        return self.far_end

    def next(self) -> ReaderEvent:
        return self.events.get(timeout=10)

    def card(self) -> str:
        """Return the card of the next event, and answer its tap."""
        event = self.next()
        assert isinstance(event, CardPresented), event
        self.thread.show(event.tap, Signal.SERVED)
        return event.card.text

    def down_reason(self) -> str:
        event = self.next()
        assert isinstance(event, ReaderDown), event
        return event.reason

    def wait_for_polls(self, count: int) -> None:
        polls = self.polled.polls
        wait_for(lambda: self.polled.polls >= polls + count, f"{count} polls")


@contextmanager
def thread_on(
    line: SerialLine, profile: Profile
) -> Iterator[tuple[ReaderThread, "queue.Queue[ReaderEvent]"]]:
    """Yield a reader's thread on a line, not started, and the queue of its events."""
    events: queue.Queue[ReaderEvent] = queue.Queue()
    config = ReaderConfig(name="counter", profile=profile, port=str(line.path), device=None)
    thread = reader_thread(config, events.put, RecentTaps(threading.Lock()))
    try:
        yield thread, events
    finally:
        thread.stop()
        line.unplug()


@contextmanager
def bench_of(kind: type[FarEnd], folder: Path, profile: Profile | None = None) -> Iterator[Bench]:
    line = SerialLine(folder / "by-path")
    line.plug()
    profile = profile or load_profile(kind.profile)
    with thread_on(line, profile) as (thread, events), kind(line) as far_end:
        thread.start()
        bench = Bench(line, far_end, thread, events)
        assert bench.next() == ReaderUp(reader="counter", location=str(line.path))
        pause()
        yield bench
        thread.stop()  # before its far end


def card_of(far_end: FarEnd, uid: bytes) -> str:
    return CardId(far_end.prefix if len(uid) != 4 else "a", uid).text


def shown_texts(far_end: FarEnd) -> list[str]:
    """Return the commands of signals that arrived, as a profile writes them, without spaces."""
    is_text = isinstance(far_end, Twn4)
    return [sent.decode("ascii") if is_text else sent.hex().upper() for sent in far_end.shown]


def sends_of(step: Step) -> list[str]:
    return [text.replace(" ", "") for text in step.sends]
