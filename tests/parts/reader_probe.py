"""Reader threads on their own, for running inside a namespace: prints events as JSON lines, answers each tap with *served*.

`python -m tests.parts.reader_probe SECONDS ANSWER_AFTER_SECONDS NAME=PROFILE[@PORT OR GLOB]…`
"""

import contextlib
import json
import queue
import sys
import threading
import time

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
from agent.readers.presence import LateTaps
from agent.readers.profile_rules import load_profile
from agent.readers.thread import ReaderThread

WATCH_S = 1.0  # as seldom as the main loop of an agent that has nothing to do


def main(seconds: float, answer_after_s: float, readers: list[str]) -> None:
    threads: dict[str, ReaderThread] = {}

    events: queue.Queue[tuple[int, ReaderEvent]] = queue.Queue()

    late = LateTaps(threading.Lock())
    for text in readers:
        name, _, rest = text.partition("=")
        profile_id, _, place = rest.partition("@")
        profile = load_profile(profile_id)
        is_pcsc = profile.transport == "pcsc"
        config = ReaderConfig(
            name=name,
            profile=profile,
            port=None if is_pcsc else place,
            device=(place or None) if is_pcsc else None,
        )
        threads[name] = reader_thread(
            config, lambda event: events.put((time.monotonic_ns(), event)), late
        )
    for thread in threads.values():
        thread.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(queue.Empty):
            at_ns, event = events.get(timeout=WATCH_S)
            tell(event, at_ns)
            if isinstance(event, CardPresented) and answer_after_s:
                threading.Timer(
                    answer_after_s, threads[event.reader].show, (event.tap, Signal.SERVED)
                ).start()
            elif isinstance(event, CardPresented | CardUnreadable):
                signal = Signal.SERVED if isinstance(event, CardPresented) else Signal.REFUSED
                threads[event.reader].show(event.tap, signal)
        for thread in threads.values():
            thread.watch()
    for thread in threads.values():
        thread.stop()


def tell(event: ReaderEvent, at_ns: int) -> None:
    match event:
        case CardPresented(card=card):
            what = {"tap": card.text}
        case CardUnreadable(fault=fault):
            what = {"fault": fault}
        case ReaderUp(at=place):
            what = {"up": place}
        case ReaderDown(reason=reason):
            what = {"down": reason}
        case SignalFailed(reason=reason):
            what = {"failed": reason}
    print(json.dumps({"reader": event.reader, "at_ns": at_ns, **what}), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
