"""A PC/SC reader thread on its own, for running inside a namespace: prints events as JSON lines, answers each tap with *served*.

`python -m tests.parts.reader_probe SECONDS [ANSWER_AFTER_SECONDS]`
"""

import json
import sys
import threading

from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.pcsc import PcscDevice
from agent.readers.profile import load_profile
from agent.readers.thread import ReaderThread


def main(seconds: float, answer_after_s: float) -> None:
    ended = threading.Event()

    def tell(event: ReaderEvent) -> None:
        match event:
            case CardPresented(card=card, tap=tap):
                print(json.dumps({"tap": str(card)}), flush=True)
                threading.Timer(answer_after_s, thread.show, (tap, Signal.SERVED)).start()
            case CardUnreadable(fault=fault, tap=tap):
                print(json.dumps({"fault": fault}), flush=True)
                thread.show(tap, Signal.REFUSED)
            case ReaderUp(device=device):
                print(json.dumps({"up": device}), flush=True)
            case ReaderDown(reason=reason):
                print(json.dumps({"down": reason}), flush=True)

    thread = ReaderThread("counter", PcscDevice("counter", load_profile("acs-acr122u"), None), tell)
    thread.start()
    ended.wait(seconds)
    thread.stop()


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0)
