"""Reader threads on their own, for running inside a namespace: prints events as JSON lines, answers each tap with *served*.

`python -m tests.parts.reader_probe SECONDS ANSWER_AFTER_SECONDS NAME=PROFILE[@PORT OR GLOB]…`
"""

import json
import sys
import threading
import time
from typing import Any

from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderEvent, ReaderUp, Signal, SignalFailed
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import LateTaps
from agent.readers.profile_rules import load_profile
from agent.readers.thread import ReaderThread

WATCH_S = 1.0  # as seldom as the main loop of an agent that has nothing to do


def main(seconds: float, answer_after_s: float, readers: list[str]) -> None:
    threads: dict[str, ReaderThread] = {}

    def tell(event: ReaderEvent) -> None:
        match event:
            case CardPresented(card=card, tap=tap):
                say(event.reader, tap=str(card))
                if answer_after_s:
                    threading.Timer(answer_after_s, threads[event.reader].show, (tap, Signal.SERVED)).start()
                else:
                    threads[event.reader].show(tap, Signal.SERVED)
            case CardUnreadable(fault=fault, tap=tap):
                say(event.reader, fault=fault)
                threads[event.reader].show(tap, Signal.REFUSED)
            case ReaderUp(at=place):
                say(event.reader, up=place)
            case ReaderDown(reason=reason):
                say(event.reader, down=reason)
            case SignalFailed(reason=reason):
                say(event.reader, failed=reason)

    late = LateTaps(threading.Lock())
    for text in readers:
        name, _, rest = text.partition("=")
        profile_id, _, place = rest.partition("@")
        profile = load_profile(profile_id)
        is_pcsc = profile.transport == "pcsc"
        config = ReaderConfig(name=name, profile=profile, port=None if is_pcsc else place, device=(place or None) if is_pcsc else None)
        threads[name] = reader_thread(config, tell, late)
    for thread in threads.values():
        thread.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(WATCH_S)
        for thread in threads.values():
            thread.watch()
    for thread in threads.values():
        thread.stop()


def say(reader: str, **what: Any) -> None:
    sys.stdout.write(json.dumps({"reader": reader, "at_ns": time.monotonic_ns(), **what}) + "\n")  # one write: threads speak at once
    sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
