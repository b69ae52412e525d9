"""Whether a reader can be read, as it was told: one `ReaderDown` when it goes and one `ReaderUp` when it is back, whatever the causes."""

import threading
from collections.abc import Callable

from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp

FLOOD_QUIET_MS = 1_000


class Health:
    """The reader's thread says what it finds, the main loop what it notices; both may at once.

    Up is a reader that is served, does not flood, and is not in doubt: after a hang it is believed when a card is seen, or
    when no thread hangs any more.
    """

    def __init__(self, name: str, emit: Callable[[ReaderEvent], object]) -> None:
        self._name = name
        self._emit = emit
        self._lock = threading.Lock()
        self._told: bool | None = None
        self._place: str | None = None
        self._doubted = False
        self._flooded_ms: int | None = None

    def served(self, place: str) -> None:
        """The reader can be read, at a PC/SC name or a path."""
        with self._lock:
            self._place, self._flooded_ms = place, None
            self._tell("")

    def lost(self, reason: str) -> bool:
        """The reader is gone. Return whether it was served until now."""
        with self._lock:
            was_served = self._place is not None
            self._place = self._flooded_ms = None
            self._tell(reason)
            return was_served

    def hangs(self, reason: str) -> None:
        """A call into its driver does not come back."""
        with self._lock:
            self._doubted, self._place, self._flooded_ms = True, None, None
            self._tell(reason)

    def believed(self) -> None:
        with self._lock:
            self._doubted = False
            self._tell("")

    def floods(self, reason: str, now_ms: int) -> None:
        with self._lock:
            self._flooded_ms = now_ms
            self._tell(reason)

    def is_flooding(self, now_ms: int) -> bool:
        """Return whether something that is seen now belongs to a flood, and so prolongs it."""
        with self._lock:
            if self._flooded_ms is None:
                return False
            self._flooded_ms = now_ms
            return True

    def settle(self, now_ms: int) -> None:
        """End a flood that is over."""
        with self._lock:
            if self._flooded_ms is not None and now_ms - self._flooded_ms >= FLOOD_QUIET_MS:
                self._flooded_ms = None
                self._tell("")

    def _tell(self, reason: str) -> None:
        is_up = self._place is not None and not self._doubted and self._flooded_ms is None
        if is_up is self._told or not (is_up or reason):
            return
        self._told = is_up
        if is_up and self._place is not None:
            self._emit(ReaderUp(reader=self._name, at=self._place))
        else:
            self._emit(ReaderDown(reader=self._name, reason=reason))
