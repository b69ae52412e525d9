"""From a reader of agent.toml to the thread that serves it, in an agent or for a trace."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import UNSET

from agent.readers.events import CardPresented, CardUnreadable, ReaderEvent, Signal
from agent.readers.keyboard import KeyboardReader
from agent.readers.pcsc import PcscReader
from agent.readers.presence import LateTaps, Presence
from agent.readers.profile import Profile
from agent.readers.serial_port import SerialReader
from agent.readers.thread import Reader, ReaderThread, Recorder
from agent.readers.trace import Trace, TraceRecorder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """One `[[reader]]`. `port` is a path for serial and keyboard readers, `device` a glob over PC/SC names."""

    name: str
    profile: Profile
    port: str | None
    device: str | None


def reader_of(reader: ReaderConfig) -> Reader:
    """Return the reader model's way of being read. The configuration has seen to it that a port is given where one is needed."""
    if reader.profile.transport == "pcsc":
        return PcscReader(reader.name, reader.profile, reader.device)
    assert reader.port is not None
    if reader.profile.transport == "keyboard":
        return KeyboardReader(reader.name, reader.profile, reader.port)
    return SerialReader(reader.name, reader.profile, reader.port)


def presence_of(name: str, profile: Profile, late: LateTaps) -> Presence:
    """Return what keeps a reader's repetitions to one tap."""
    rule = profile.presence
    gone_after_ms = 0 if rule.gone_after_ms is UNSET else rule.gone_after_ms
    return Presence(name, late, gone_after_ms=gone_after_ms, debounce_ms=rule.debounce_ms)


def reader_thread(
    reader: ReaderConfig, emit: Callable[[ReaderEvent], object], late: LateTaps, recorder: Recorder | None = None
) -> ReaderThread:
    """Return the thread of a configured reader, not started."""
    return ReaderThread(reader.name, reader_of(reader), emit, presence_of(reader.name, reader.profile, late), recorder)


def record(reader: ReaderConfig, seconds: float) -> tuple[Trace, list[str]]:
    """Serve a reader for a while and return what went over its wire, and a word for each tap: the card's technology, or the fault.

    Every card is told *out of order*: nothing is recorded here, and a light that says otherwise would lie.
    """
    told: list[str] = []
    ended = threading.Event()

    def tell(event: ReaderEvent) -> None:
        if isinstance(event, CardPresented | CardUnreadable):
            told.append(event.card.technology if isinstance(event, CardPresented) else event.fault)
            thread.show(event.tap, Signal.OUT_OF_ORDER)

    late = LateTaps(threading.Lock())
    recorder = TraceRecorder(reader.profile)
    thread = reader_thread(reader, tell, late, recorder)
    thread.start()
    for _ in range(round(seconds)):
        ended.wait(1)
        thread.watch()
    thread.stop()
    return recorder.trace, told
