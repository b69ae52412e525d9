"""Reader threads without an agent, to run inside a namespace: prints events as JSON lines.

Answers each card with *served* and each unreadable one with *refused*.
`python -m tests.parts.reader_probe SECONDS ANSWER_AFTER_SECONDS NAME=PROFILE[@PORT OR GLOB]…`
PROFILE is an id, or the path of a .toml file.
"""

import contextlib
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import msgspec

from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    ReaderUp,
    Signal,
    SignalFailed,
)
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import RecentTaps
from agent.readers.profile_rules import load_profile, read_profile
from agent.readers.thread import ReaderThread

WATCH_S = 1.0  # as seldom as the main loop of an idle agent


class ProbeEvent(msgspec.Struct, frozen=True):
    """One line of output. `text` is the card id, the fault, the location or the reason."""

    reader: str
    at_ns: int
    kind: Literal["tap", "fault", "up", "down", "failed"]
    text: str


def main(seconds: float, answer_after_s: float, readers: list[str]) -> None:
    events: queue.Queue[tuple[int, ReaderEvent]] = queue.Queue()
    recent = RecentTaps(threading.Lock())
    threads = {
        config.name: reader_thread(
            config, lambda event: events.put((time.monotonic_ns(), event)), recent
        )
        for config in map(_config, readers)
    }
    for thread in threads.values():
        thread.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(queue.Empty):
            at_ns, event = events.get(timeout=WATCH_S)
            print(msgspec.json.encode(_probe_event(event, at_ns)).decode(), flush=True)
            _answer(event, answer_after_s, threads)
        for thread in threads.values():
            thread.watch()
    for thread in threads.values():
        thread.stop()


def _config(text: str) -> ReaderConfig:
    name, _, rest = text.partition("=")
    profile_id, _, location = rest.partition("@")
    is_file = profile_id.endswith(".toml")
    profile = read_profile(Path(profile_id)) if is_file else load_profile(profile_id)
    is_pcsc = profile.transport == "pcsc"
    return ReaderConfig(
        name=name,
        profile=profile,
        port=None if is_pcsc else location,
        device=(location or None) if is_pcsc else None,
    )


def _answer(event: ReaderEvent, answer_after_s: float, threads: dict[str, ReaderThread]) -> None:
    if isinstance(event, CardPresented):
        show, answer = threads[event.reader].show, (event.tap, Signal.SERVED)
        if answer_after_s:
            threading.Timer(answer_after_s, show, answer).start()
        else:
            show(*answer)
    elif isinstance(event, CardUnreadable):
        threads[event.reader].show(event.tap, Signal.REFUSED)


def _probe_event(event: ReaderEvent, at_ns: int) -> ProbeEvent:
    match event:
        case CardPresented(card=card):
            return ProbeEvent(event.reader, at_ns, "tap", card.text)
        case CardUnreadable(fault=fault):
            return ProbeEvent(event.reader, at_ns, "fault", fault)
        case ReaderUp(location=location):
            return ProbeEvent(event.reader, at_ns, "up", location)
        case ReaderDown(reason=reason):
            return ProbeEvent(event.reader, at_ns, "down", reason)
        case SignalFailed(reason=reason):
            return ProbeEvent(event.reader, at_ns, "failed", reason)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
