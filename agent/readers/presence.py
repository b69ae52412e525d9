"""One tap a presence, however often a reader repeats it, and one at all readers of a terminal. Pure."""

from contextlib import AbstractContextManager
from typing import Any

from msgspec import UNSET

from agent.domain.card import CardId
from agent.readers.faults import Fault
from agent.readers.identity import Seen
from agent.readers.profile import Profile

NOISE = frozenset(
    {None, Fault.CHECKSUM, Fault.DEVICE}
)  # not about a card: the reader repeats it, or is asked again
HELD_MAX = 64  # cards remembered at once: more than ever lie before the readers of one terminal


class LateTaps:
    """The cards tapped a moment ago at any reader of the terminal: a hand that wobbles, or wanders to the next reader.

    `lock` keeps the readers' threads apart.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._tapped: dict[object, int] = {}
        self._lock = lock

    def begins(self, shown: object, now_ms: int, debounce_ms: int) -> bool:
        """Return whether `shown` was not tapped within `debounce_ms`, and note that it is now."""
        with self._lock:
            before = self._tapped.get(shown)
            if before is not None and now_ms - before < debounce_ms:
                return False
            _remember(self._tapped, shown, now_ms)
            return True


class Presence:
    """What lies before one reader.

    A card seen again within `gone_after_ms` has not gone: it is the same presence, even with another card seen between.
    Several cards at once are one fault, and none of them a tap until all have gone: who takes one away has not chosen.
    """

    def __init__(
        self, reader: str, late: LateTaps, *, gone_after_ms: int, debounce_ms: int
    ) -> None:
        self._reader = reader
        self._late = late
        self._gone_after_ms = gone_after_ms
        self._debounce_ms = debounce_ms
        self._seen: dict[object, int] = {}
        self._crowded_ms: int | None = None

    def is_tap(self, shown: Seen, now_ms: int) -> bool:
        """Return whether this reading begins a new presence. `shown` is a card, the fault of what was not readable, or no card."""
        if shown in NOISE:
            return False
        before = self._seen.get(shown)
        _remember(self._seen, shown, now_ms)
        if before is not None and now_ms - before <= self._gone_after_ms:
            if shown is Fault.MANY or self._is_crowded(now_ms):
                self._crowded_ms = now_ms
            return False
        if shown is Fault.MANY:
            self._crowded_ms = now_ms
        elif self._is_crowded(now_ms):
            self._crowded_ms = now_ms
            return False
        key = shown if isinstance(shown, CardId) else (self._reader, shown)
        return self._late.begins(key, now_ms, self._debounce_ms)

    def _is_crowded(self, now_ms: int) -> bool:
        return self._crowded_ms is not None and now_ms - self._crowded_ms <= self._gone_after_ms


def _remember(seen: dict[object, int], shown: object, now_ms: int) -> None:
    seen.pop(shown, None)
    seen[shown] = now_ms
    if len(seen) > HELD_MAX:
        del seen[next(iter(seen))]


def presence_of(name: str, profile: Profile, late: LateTaps) -> Presence:
    """Return what keeps a reader's repetitions to one tap."""
    rule = profile.presence
    gone_after_ms = 0 if rule.gone_after_ms is UNSET else rule.gone_after_ms
    return Presence(name, late, gone_after_ms=gone_after_ms, debounce_ms=rule.debounce_ms)
