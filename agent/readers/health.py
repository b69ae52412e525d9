"""Whether a reader can be read: one `ReaderDown` when it fails, one `ReaderUp` when it recovers.

Causes may overlap (disconnected, blocked, flooding, unstable). Only a change of the whole is
reported.
"""

import threading
from collections.abc import Callable

from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp

# A flood ends when no card was detected for this long.
FLOOD_QUIET_MS = 1_000
# A connection that lasts this long is steady.
STEADY_MS = 10_000
# More unsteady connections in a row than this make the reader unstable. Without the limit, a loose
# plug fills the log with pairs of "down" and "up".
FALLS_MAX = 2


class Health:
    """The state of one reader. The reader's thread and the main loop may call it at the same time.

    A reader is up while it is connected and neither blocked, nor flooding, nor unstable. After an
    unsteady time it is up again when a card is read, or when it stays connected for `STEADY_MS`.
    """

    def __init__(self, name: str, emit: Callable[[ReaderEvent], object]) -> None:
        self._name = name
        self._emit = emit
        self._lock = threading.Lock()
        self._reported_up: bool | None = None
        self._location: str | None = None
        self._warning = ""
        self._connected_ms = 0
        self._falls = 0
        self._is_blocked = False
        self._flooded_ms: int | None = None

    @property
    def is_suspect(self) -> bool:
        """Return whether the reader was unsteady, is blocked or floods. Read without the lock.

        A change that this read misses is noticed at the next card.
        """
        return self._falls > 0 or self._is_blocked or self._flooded_ms is not None

    def connected(self, location: str, now_ms: int) -> None:
        """The reader can be read from now on, at a PC/SC name or a device path."""
        with self._lock:
            self._location, self._connected_ms, self._flooded_ms = location, now_ms, None
            self._warning = ""
            self._report("")

    def warned(self, warning: str) -> None:
        """The reader can be read, but something disturbs it; empty: nothing does any more."""
        with self._lock:
            is_news, self._warning = warning != self._warning, warning
            if is_news and self._reported_up:
                self._emit_up()

    def disconnected(self, reason: str, now_ms: int) -> bool:
        """The reader is gone. Return whether its connection had been steady."""
        with self._lock:
            was_steady = self._is_steady(now_ms)
            self._falls = 0 if was_steady else self._falls + (self._location is not None)
            self._location = self._flooded_ms = None
            self._report(reason)
            return was_steady

    def blocked(self, reason: str, *, is_abandoned: bool) -> None:
        """A driver call does not return. `is_abandoned`: another thread runs the reader now."""
        with self._lock:
            self._is_blocked = True
            if is_abandoned:
                self._location = None
            self._report(reason)

    def unblocked(self) -> None:
        """No driver call is blocked any more."""
        with self._lock:
            self._is_blocked = False
            self._report("")

    def card_read(self) -> None:
        """A card was read, which proves that the reader is neither unstable nor blocked."""
        with self._lock:
            self._falls, self._is_blocked = 0, False
            self._report("")

    def flooding(self, reason: str, now_ms: int) -> None:
        """The reader sends more cards than people can tap."""
        with self._lock:
            self._flooded_ms = now_ms
            self._report(reason)

    def extend_flood(self, now_ms: int) -> bool:
        """Return whether a flood is going on. If so, it lasts `FLOOD_QUIET_MS` from now."""
        with self._lock:
            if self._flooded_ms is None:
                return False
            self._flooded_ms = now_ms
            return True

    def settle(self, now_ms: int) -> None:
        """End a flood after its quiet time, and trust a reader with a steady connection."""
        with self._lock:
            if self._is_steady(now_ms):
                self._falls = 0
                self._report("")
            if self._flooded_ms is not None and now_ms - self._flooded_ms >= FLOOD_QUIET_MS:
                self._flooded_ms = None
                self._report("")

    def _is_steady(self, now_ms: int) -> bool:
        return self._location is not None and now_ms - self._connected_ms >= STEADY_MS

    def _report(self, reason: str) -> None:
        is_up = (
            self._location is not None
            and not self._is_blocked
            and self._flooded_ms is None
            and self._falls <= FALLS_MAX
        )
        if is_up is self._reported_up or not (is_up or reason):
            return
        self._reported_up = is_up
        if is_up:
            self._emit_up()
        else:
            self._emit(ReaderDown(reader=self._name, reason=reason))

    def _emit_up(self) -> None:
        assert self._location is not None
        self._emit(ReaderUp(reader=self._name, location=self._location, warning=self._warning))
