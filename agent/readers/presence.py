"""One tap for each time a card is held to a reader, however often the reader repeats it. Pure.

A presence is a card and when it was last there. An unsteady hand, a glitch of the field, a reader
that is lost and comes back, and a card that moves to the next reader of the terminal do not end it.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto

from agent.domain.card import CardId
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.identity import NOISE, Detection
from agent.readers.profile import Profile
from agent.readers.profile_kinds import SAME_PRESENCE_MS, Event, Repeat, Request

# How many cards are remembered: more than are ever held to the readers of one terminal at once.
HELD_MAX = 64
# A reader that was lost, or an agent that was started again, for no longer than this may find the
# card that lay there before. pcscd and USB are back in seconds; the reader is tried every 5 s.
OUTAGE_MS_MAX = 30_000


# Each is a card of its own that did not count, so it gets a light also soon after another.
LONE = frozenset({Fault.SINGLE, Fault.CHECKSUM})


class Look(Enum):
    """What a detection is: nothing that needs an answer, a further look at a card, or a new tap."""

    NOTHING = auto()
    AGAIN = auto()
    TAP = auto()


@dataclass(slots=True)
class _Held:
    """When something was last there, and the signal that its tap got."""

    there_ms: int
    signal: Signal | None = None


class RecentTaps:
    """What was at any reader of the terminal a moment ago, and its signals.

    `lock` protects them from the readers' threads, and from the main loop, which answers.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._held: dict[object, _Held] = {}
        self._lock = lock

    def look(self, key: object, now_ms: int, same_ms: int) -> Look:
        """Note that something is there. It is a tap if it was away for `same_ms`."""
        with self._lock:
            held = self._held.pop(key, None)
            is_same = held is not None and now_ms - held.there_ms < same_ms
            self._held[key] = _Held(now_ms, held.signal if held is not None and is_same else None)
            if len(self._held) > HELD_MAX:
                del self._held[next(iter(self._held))]
            return Look.AGAIN if is_same else Look.TAP

    def still_there(self, keys: Iterable[object], now_ms: int) -> None:
        """Note until when things were there that had been tapped."""
        with self._lock:
            for key in keys:
                if key in self._held:
                    self._held[key].there_ms = now_ms

    def there_since(self, keys: Iterable[object], since_ms: int) -> list[object]:
        """Return which of the things were there at `since_ms` or later."""
        with self._lock:
            known = [key for key in keys if key in self._held]
            return [key for key in known if self._held[key].there_ms >= since_ms]

    def answered(self, key: object, signal: Signal) -> None:
        """Note the signal of a tap.

        After *out of order* the next look is a new tap: nobody decided, and the file may work again
        by then.
        """
        with self._lock:
            if signal is Signal.OUT_OF_ORDER:
                self._held.pop(key, None)
            elif key in self._held:
                self._held[key].signal = signal

    def signal_of(self, key: object) -> Signal | None:
        """Return the signal that a tap got, None if it has none yet."""
        with self._lock:
            held = self._held.get(key)
            return None if held is None else held.signal


class Presence:
    """What is held to one reader.

    A card that is detected again within `gone_after_ms` needs no answer: it did not move. One that
    is back within `same_ms` is the same presence, even when another card was detected in between.
    Where the reader reports a removal (`reports_removal`), a card is there until then. Several
    cards at once (a collision) are one fault. After a collision, removing one card is not a tap:
    all cards must be removed first.
    """

    def __init__(
        self,
        reader: str,
        recent: RecentTaps,
        *,
        gone_after_ms: int,
        same_ms: int = SAME_PRESENCE_MS,
        reports_removal: bool = False,
    ) -> None:
        self._reader = reader
        self._recent = recent
        self._gone_after_ms = gone_after_ms
        self._same_ms = same_ms
        self._reports_removal = reports_removal
        self._detected: dict[Detection, int] = {}
        self._collision_ms: int | None = None
        self._resting: Detection = None
        self._lost_ms: int | None = None
        self._lost: list[object] = []

    def look(self, detection: Detection, now_ms: int) -> Look:
        """Return what a detection is. None says that nothing is at the reader."""
        self._end_rest(now_ms)
        if detection in NOISE:
            return Look.NOTHING
        if self._reports_removal:
            self._resting = detection
        detected_ms = self._detected.pop(detection, None)
        self._detected[detection] = now_ms
        if len(self._detected) > HELD_MAX:
            del self._detected[next(iter(self._detected))]
        is_there = detected_ms is not None and now_ms - detected_ms <= self._gone_after_ms
        if is_there and detection not in LONE:
            if detection is Fault.MANY or self._is_collision(now_ms):
                self._collision_ms = now_ms
            self._recent.still_there([self._key(detection)], now_ms)
            return Look.NOTHING
        if detection is Fault.MANY:
            self._collision_ms = now_ms
        elif self._is_collision(now_ms):
            self._collision_ms = now_ms
            return Look.NOTHING
        return self._recent.look(self._key(detection), now_ms, self._same_ms)

    def answered(self, detection: Detection, signal: Signal) -> None:
        """Note the signal of a tap, for further looks."""
        self._recent.answered(self._key(detection), signal)

    def signal_of(self, detection: Detection) -> Signal | None:
        """Return the signal that a presence got, None if it has none yet."""
        return self._recent.signal_of(self._key(detection))

    def lost(self, now_ms: int) -> None:
        """The reader cannot be read any more."""
        if self._lost_ms is None:
            self._end_rest(now_ms)
            keys = [self._key(detection) for detection in self._detected]
            self._lost_ms = now_ms
            self._lost = self._recent.there_since(keys, now_ms - self._same_ms)

    def back(self, now_ms: int) -> None:
        """The reader can be read. The time without it does not count, if it was short."""
        if self._lost_ms is not None and now_ms - self._lost_ms <= OUTAGE_MS_MAX:
            self._recent.still_there(self._lost, now_ms)
        self._lost_ms = None

    def _end_rest(self, now_ms: int) -> None:
        if self._resting is not None:
            self._recent.still_there([self._key(self._resting)], now_ms)
            self._resting = None

    def _key(self, detection: Detection) -> object:
        """Return what is the same at all readers for a card, and at this reader for a fault."""
        return detection if isinstance(detection, CardId) else (self._reader, detection)

    def _is_collision(self, now_ms: int) -> bool:
        return self._collision_ms is not None and now_ms - self._collision_ms <= self._gone_after_ms


def presence_of(name: str, profile: Profile, recent: RecentTaps) -> Presence:
    """Return the presence rules of a reader by its profile."""
    poll = profile.poll
    gone_after_ms = poll.gone_after_ms if isinstance(poll, Repeat | Request) else 0
    return Presence(
        name, recent, gone_after_ms=gone_after_ms, reports_removal=isinstance(poll, Event)
    )
