"""From a reader of agent.toml to the thread that serves it, in an agent or for a trace."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import ReaderError
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    ReaderUp,
    Signal,
)
from agent.readers.pcsc import PcscReader
from agent.readers.presence import LateTaps, presence_of
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
        return PcscReader(reader.profile, reader.device)
    assert reader.port is not None
    if reader.profile.transport == "keyboard":
        from agent.readers.keyboard import (
            KeyboardReader,
        )  # evdev and its table of keys: only where one types

        return KeyboardReader(reader.profile, reader.port)
    return SerialReader(reader.profile, reader.port)


def reader_thread(
    reader: ReaderConfig,
    emit: Callable[[ReaderEvent], object],
    late: LateTaps,
    recorder: Recorder | None = None,
) -> ReaderThread:
    """Return the thread of a configured reader, not started."""
    return ReaderThread(
        reader.name,
        reader_of(reader),
        emit,
        presence_of(reader.name, reader.profile, late),
        recorder,
    )


def record(reader: ReaderConfig, seconds: float) -> tuple[Trace, list[str]]:
    """Serve a reader for a while and return what went over its wire, and a word for each tap: the card's technology, or the fault.

    Every card is told *out of order*: nothing is recorded here, and a light that says otherwise would lie. Raise `ReaderError` for a
    reader that never was there.
    """
    told: list[str] = []
    down: list[str] = []

    def tell(event: ReaderEvent) -> None:
        if isinstance(event, CardPresented | CardUnreadable):
            told.append(event.card.technology if isinstance(event, CardPresented) else event.fault)
            thread.show(event.tap, Signal.OUT_OF_ORDER)
        elif isinstance(event, ReaderUp | ReaderDown):
            down[:] = [event.reason] if isinstance(event, ReaderDown) else []

    recorder = TraceRecorder(reader.profile)
    thread = reader_thread(reader, tell, LateTaps(threading.Lock()), recorder)
    thread.start()
    with contextlib.suppress(KeyboardInterrupt):  # enough: what there is, is written
        for _ in range(round(seconds)):
            time.sleep(1)
            thread.watch()
    thread.stop()
    if not recorder.trace.notes and down:
        raise ReaderError(f"reader '{reader.name}': {down[0]}")
    return recorder.trace, told
