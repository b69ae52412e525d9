"""Which of a reader's frames count, and which get a light because none of them does. Pure.

A checksum of eight bits is weak: one damaged frame in some hundred has a right one, and would be
another child's card. So a card that repeats its frame counts when the frame came twice in a row,
or three times with others in between. Equal damage twice in a row is rare, and still a card.

What cannot count, a frame that came once or was damaged, is a fault after a while. So a card that
was there too briefly gets a light.
"""

from dataclasses import dataclass

from agent.readers.faults import Fault
from agent.readers.framing import STALL_MS_MAX
from agent.readers.identity import Detection

# Different numbers that wait, or that counted: more than are ever held to a reader at once.
CARDS_MAX = 8
# A number with others in between must come so often.
FRAMES_IN_TURN = 3
# So many bytes that became no frame may have been a card. The shortest frames that a reader sends
# by itself have ten bytes, so these are half of such a frame. Fewer are noise of the line.
LOST_BYTES_MIN = 5


@dataclass(slots=True)
class _Waiting:
    """What does not count yet. `is_covered`: a card counted near it, so it needs no light."""

    since_ms: int
    frames: int = 1
    is_covered: bool = False


class Repeats:
    """What came within `within_ms`, and what of it counts. `is_once`: one frame must do.

    Damage within `near_ms` of a card that counted, or of such damage, is of that card.
    """

    def __init__(
        self, within_ms: int, *, near_ms: int | None = None, is_once: bool = False
    ) -> None:
        self._within_ms = within_ms
        self._near_ms = within_ms if near_ms is None else near_ms
        self._is_once = is_once
        self._newest: Detection = None
        self._waiting: dict[Detection, _Waiting] = {}  # the oldest first
        self._counted: dict[Detection, int] = {}  # when it was last there or damaged, in order
        self._lost = 0
        self._lost_ms = 0

    def counts(self, detection: Detection, now_ms: int) -> bool:
        """Note a detection; return whether it counts, or is a card that did and is still there.

        Else it may come again.
        """
        since_ms = now_ms - self._within_ms
        there_ms = self._counted.pop(detection, None)
        is_there = there_ms is not None and now_ms - there_ms <= self._near_ms
        is_in_a_row, self._newest = detection == self._newest, detection
        waiting = self._waiting.pop(detection, None)
        if waiting is None or waiting.since_ms < since_ms:
            waiting = _Waiting(now_ms)
        else:
            waiting.frames += 1
            waiting.is_covered = False
        is_repeated = waiting.frames >= (2 if is_in_a_row else FRAMES_IN_TURN)
        if self._is_once or is_repeated or is_there:
            if len(self._counted) == CARDS_MAX:
                del self._counted[next(iter(self._counted))]
            self._counted[detection] = now_ms
            for other in self._waiting.values():
                other.is_covered = True
            return True
        self._wait(detection, waiting)
        return False

    def damaged(self, now_ms: int) -> Detection:
        """Note a frame with a wrong checksum. Return the card that is still there, if it repeats.

        A card that counted sends some while it is held badly, and as it leaves the field.
        """
        newest = next(reversed(self._counted), None)
        if newest is not None and now_ms - self._counted[newest] <= self._near_ms:
            self._counted[newest] = now_ms
            return None if self._is_once else newest
        self._waiting.setdefault(Fault.CHECKSUM, _Waiting(now_ms))
        return None

    def framed(self) -> None:
        """Note a frame, damaged or not: the bytes before it were a part of it, or noise."""
        self._lost = 0

    def unframed(self, count: int, now_ms: int) -> None:
        """Note bytes that completed no frame.

        They are damage if nothing follows for `STALL_MS_MAX`: a frame that lost a byte, its start
        or its end.
        """
        self._lost, self._lost_ms = self._lost + count, now_ms

    @property
    def ends_ms(self) -> int | None:
        """Return when `ended` must be called, None while nothing waits."""
        times = [waiting.since_ms + self._within_ms for waiting in self._waiting.values()]
        if self._lost >= LOST_BYTES_MIN:
            times.append(self._lost_ms + STALL_MS_MAX)
        return min(times, default=None)

    def ended(self, now_ms: int | None) -> Fault | None:
        """Forget what did not come again in time; return the fault of a card that needs a light.

        None for `now_ms`: nothing comes any more.
        """
        is_silent = now_ms is None or now_ms >= self._lost_ms + STALL_MS_MAX
        if self._lost >= LOST_BYTES_MIN and is_silent:
            self._lost = 0
            self.damaged(self._lost_ms)
        late = {
            detection: waiting
            for detection, waiting in self._waiting.items()
            if now_ms is None or waiting.since_ms <= now_ms - self._within_ms
        }
        for detection in late:
            del self._waiting[detection]
        alone = {detection for detection, waiting in late.items() if not waiting.is_covered}
        if not alone:
            return None
        return Fault.CHECKSUM if alone == {Fault.CHECKSUM} else Fault.SINGLE

    def _wait(self, detection: Detection, waiting: _Waiting) -> None:
        if len(self._waiting) == CARDS_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[detection] = waiting
