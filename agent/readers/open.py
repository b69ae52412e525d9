"""From a `[[reader]]` of agent.toml to its thread, in an agent or for recording a trace."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import ReaderError
from agent.readers.channel import Recorder
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    ReaderUp,
    Signal,
)
from agent.readers.pcsc import PcscReader
from agent.readers.presence import RecentTaps, presence_of
from agent.readers.profile import Profile
from agent.readers.serial_port import SerialReader
from agent.readers.thread import Reader, ReaderThread
from agent.readers.trace import Trace, TraceRecorder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """One `[[reader]]`.

    `port` is the path of a serial or keyboard reader, `device` a glob over PC/SC names.
    """

    name: str
    profile: Profile
    port: str | None
    device: str | None


def reader_of(config: ReaderConfig) -> Reader:
    """Return the reader for a configuration, which has a port wherever one is needed."""
    if config.profile.transport == "pcsc":
        return PcscReader(config.profile, config.device)
    assert config.port is not None
    if config.profile.transport == "keyboard":
        # Only a terminal with a keyboard reader loads evdev, with its table of all keys.
        from agent.readers.keyboard import KeyboardReader

        return KeyboardReader(config.profile, config.port)
    return SerialReader(config.profile, config.port)


def reader_thread(
    config: ReaderConfig,
    emit: Callable[[ReaderEvent], object],
    recent: RecentTaps,
    recorder: Recorder | None = None,
) -> ReaderThread:
    """Return the thread of a configured reader, not started."""
    presence = presence_of(config.name, config.profile, recent)
    return ReaderThread(config.name, reader_of(config), emit, presence, recorder)


def record_trace(config: ReaderConfig, seconds: float) -> tuple[Trace, list[str]]:
    """Run a reader for a while; return the trace of its traffic, and a word for each tap.

    The word is the card's technology, or the fault. Every tap is answered with *out of order*,
    because no meal is recorded. Raise `ReaderError` when the reader was never up.
    """
    words: list[str] = []
    down_reasons: list[str] = []

    def on_event(event: ReaderEvent) -> None:
        match event:
            case CardPresented(card=card):
                words.append(card.technology)
                thread.show(event.tap, Signal.OUT_OF_ORDER)
            case CardUnreadable(fault=fault):
                words.append(fault)
                thread.show(event.tap, Signal.OUT_OF_ORDER)
            case ReaderDown(reason=reason):
                down_reasons[:] = [reason]
            case ReaderUp():
                down_reasons.clear()

    recorder = TraceRecorder(config.profile)
    thread = reader_thread(config, on_event, RecentTaps(threading.Lock()), recorder)
    thread.start()
    with contextlib.suppress(KeyboardInterrupt):  # ends early; what came so far is kept
        for _ in range(round(seconds)):
            time.sleep(1)
            thread.watch()
    thread.stop()
    if not recorder.trace.lines and down_reasons:
        raise ReaderError(f"reader '{config.name}': {down_reasons[0]}")
    return recorder.trace, words
