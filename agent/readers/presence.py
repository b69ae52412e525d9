"""One tap for each time a card is held to a reader, however often the reader repeats it. Pure.

A card that moves from one reader of a terminal to the next is one tap as well.
"""

from contextlib import AbstractContextManager

from msgspec import UNSET

from agent.domain.card import CardId
from agent.readers.faults import Fault
from agent.readers.identity import Detection
from agent.readers.profile import Profile

# Not about a card: the reader repeats it, or is asked again.
NOISE = frozenset({None, Fault.CHECKSUM, Fault.DEVICE})
# How many cards are remembered: more than are ever held to the readers of one terminal at once.
HELD_MAX = 64


class RecentTaps:
    """The cards that were tapped a moment ago at any reader of the terminal.

    They debounce an unsteady hand, and a card that moves to the next reader. `lock` protects them
    from the readers' threads.
    """

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._tapped: dict[object, int] = {}
        self._lock = lock

    def add(self, key: object, now_ms: int, debounce_ms: int) -> bool:
        """Remember a tap. Return False, and keep the earlier tap, within `debounce_ms` of it."""
        with self._lock:
            tapped_ms = self._tapped.get(key)
            if tapped_ms is not None and now_ms - tapped_ms < debounce_ms:
                return False
            _remember(self._tapped, key, now_ms)
            return True


class Presence:
    """What is held to one reader.

    A card that is detected again within `gone_after_ms` was never away, even when another card was
    detected in between. Several cards at once (a collision) are one fault. After a collision,
    removing one card is not a tap: all cards must be removed first.
    """

    def __init__(
        self, reader: str, recent: RecentTaps, *, gone_after_ms: int, debounce_ms: int
    ) -> None:
        self._reader = reader
        self._recent = recent
        self._gone_after_ms = gone_after_ms
        self._debounce_ms = debounce_ms
        self._detected: dict[object, int] = {}
        self._collision_ms: int | None = None

    def is_tap(self, detection: Detection, now_ms: int) -> bool:
        """Return whether a detection is a new tap of a card, or a new fault to show."""
        if detection in NOISE:
            return False
        detected_ms = self._detected.get(detection)
        _remember(self._detected, detection, now_ms)
        if detected_ms is not None and now_ms - detected_ms <= self._gone_after_ms:
            if detection is Fault.MANY or self._is_collision(now_ms):
                self._collision_ms = now_ms
            return False
        if detection is Fault.MANY:
            self._collision_ms = now_ms
        elif self._is_collision(now_ms):
            self._collision_ms = now_ms
            return False
        key = detection if isinstance(detection, CardId) else (self._reader, detection)
        return self._recent.add(key, now_ms, self._debounce_ms)

    def _is_collision(self, now_ms: int) -> bool:
        return self._collision_ms is not None and now_ms - self._collision_ms <= self._gone_after_ms


def _remember(times_ms: dict[object, int], key: object, now_ms: int) -> None:
    times_ms.pop(key, None)
    times_ms[key] = now_ms
    if len(times_ms) > HELD_MAX:
        del times_ms[next(iter(times_ms))]


def presence_of(name: str, profile: Profile, recent: RecentTaps) -> Presence:
    """Return the presence rules of a reader by its profile."""
    rule = profile.presence
    gone_after_ms = 0 if rule.gone_after_ms is UNSET else rule.gone_after_ms
    return Presence(name, recent, gone_after_ms=gone_after_ms, debounce_ms=rule.debounce_ms)
