"""A card that repeats its frame counts when the frame came twice. Pure.

A checksum of eight bits is weak: one damaged frame in some hundred has a right one, and would be
another child's card. Two damaged frames in a row are not the same. A frame that came only once is
reported too, so that a card that was there too briefly gets a light.
"""

from agent.readers.faults import Fault
from agent.readers.identity import Detection

# Different numbers that wait for a repetition: more than are ever held to a reader at once.
WAITING_MAX = 8


class Repeats:
    """What came within `within_ms`, and what of it counts."""

    def __init__(self, within_ms: int) -> None:
        self._within_ms = within_ms
        self._waiting: dict[Detection, int] = {}  # when it came, the oldest first
        self._passed: dict[Detection, int] = {}  # when a detection that came twice was last there

    def counts(self, detection: Detection, now_ms: int) -> bool:
        """Note a detection; return whether it came twice, or is a card that did and is still there.

        Else it may come again.
        """
        since_ms = now_ms - self._within_ms
        self._passed = {known: ms for known, ms in self._passed.items() if ms >= since_ms}
        first_ms = self._waiting.pop(detection, None)
        is_second = first_ms is not None and first_ms >= since_ms
        if detection in self._passed or is_second:
            self._passed[detection] = now_ms
            return True
        if len(self._waiting) == WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[detection] = now_ms
        return False

    @property
    def ends_ms(self) -> int | None:
        """Return when `ended` must be called, None while nothing waits."""
        return min(self._waiting.values()) + self._within_ms if self._waiting else None

    def ended(self, now_ms: int) -> Fault | None:
        """Forget what did not come again in time; return a fault if no card was there meanwhile."""
        until_ms = now_ms - self._within_ms
        late = [detection for detection, ms in self._waiting.items() if ms <= until_ms]
        is_alone = not any(ms >= until_ms - self._within_ms for ms in self._passed.values())
        for detection in late:
            del self._waiting[detection]
        return Fault.SINGLE if late and is_alone else None
