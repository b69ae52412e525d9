"""The exchange with a reader that types: key events in, what was detected out. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from agent.readers.dialogue import Dialogue
from agent.readers.faults import Fault
from agent.readers.identity import Detection
from agent.readers.keys import Keys
from agent.readers.profile import Profile

# A text whose end does not come within this time has none. A reader types a number in less.
UNFINISHED_MS = 400


class KeyEvent(NamedTuple):
    """An event of the kernel: type, code, value."""

    kind: int
    code: int
    value: int


class TypingReader:
    """What one reader types since its device was opened."""

    def __init__(self, profile: Profile, now_ms: int) -> None:
        self._dialogue = Dialogue(profile, now_ms)
        self._keys = Keys()
        self._typed_ms = now_ms
        self.typed = b""  # by the newest events

    def receive(self, events: Iterable[KeyEvent], now_ms: int) -> list[Detection]:
        """Return what these events detect, in order.

        Without events for `UNFINISHED_MS`, that is a text without an end.
        """
        self.typed, detections = b"", list[Detection]()
        for event in events:
            byte = self._keys.typed(*event)
            self._typed_ms = now_ms
            self.typed += byte
            for detection in self._dialogue.receive(byte, now_ms) if byte else ():
                detections.append(Fault.LAYOUT if self._keys.is_unknown else detection)
            if byte == b"\r":
                self._keys.begin()
        detections += self._dialogue.receive(b"", now_ms)  # damage that nothing followed
        if now_ms - self._typed_ms >= UNFINISHED_MS:
            if self._keys.is_unfinished:
                detections.append(Fault.UNFINISHED)
            self._keys.begin()
        return detections
