"""Whether a reader can be read, as it was told: one `ReaderDown` when it goes and one `ReaderUp` when it is back, whatever the causes."""

import threading
from collections.abc import Callable

from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp

FLOOD_QUIET_MS = 1_000
STEADY_MS = 10_000  # served for so long: it is no reader that comes only to go
FALLS_MAX = 2


class Health:
    """The reader's thread says what it finds, the main loop what it notices; both may at once.

    Up is a reader that is served, does not flood, does not hang, and does not go as soon as it has come, again and again: that one is
    believed when a card is seen, or when it has stayed for a while.
    """

    def __init__(self, name: str, emit: Callable[[ReaderEvent], object]) -> None:
        self._name = name
        self._emit = emit
        self._lock = threading.Lock()
        self._told: bool | None = None
        self._place: str | None = None
        self._served_ms = 0
        self._falls = 0
        self._hangs = False
        self._flooded_ms: int | None = None

    @property
    def is_doubted(self) -> bool:
        """Return whether anything speaks against its being up. Without the lock: what changes meanwhile is found at the next card."""
        return self._falls > 0 or self._hangs or self._flooded_ms is not None

    def served(self, place: str, now_ms: int) -> None:
        """The reader can be read, at a PC/SC name or a path."""
        with self._lock:
            self._place, self._served_ms, self._flooded_ms = place, now_ms, None
            self._tell("")

    def lost(self, reason: str, now_ms: int) -> bool:
        """The reader is gone. Return whether it had been there for a while."""
        with self._lock:
            was_steady = self._place is not None and now_ms - self._served_ms >= STEADY_MS
            self._falls = 0 if was_steady else self._falls + (self._place is not None)
            self._place = self._flooded_ms = None
            self._tell(reason)
            return was_steady

    def hangs(self, reason: str, *, is_left: bool) -> None:
        """A call into its driver does not come back. `is_left`: it is served by another thread from now on."""
        with self._lock:
            self._hangs = True
            if is_left:
                self._place = None
            self._tell(reason)

    def hangs_no_more(self) -> None:
        with self._lock:
            self._hangs = False
            self._tell("")

    def read_a_card(self) -> None:
        """Whatever was doubted: it reads."""
        with self._lock:
            self._falls, self._hangs = 0, False
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
        """End a flood that is over, and the doubt of a reader that has stayed."""
        with self._lock:
            if self._place is not None and now_ms - self._served_ms >= STEADY_MS:
                self._falls = 0
                self._tell("")
            if self._flooded_ms is not None and now_ms - self._flooded_ms >= FLOOD_QUIET_MS:
                self._flooded_ms = None
                self._tell("")

    def _tell(self, reason: str) -> None:
        is_up = (
            self._place is not None
            and not self._hangs
            and self._flooded_ms is None
            and self._falls <= FALLS_MAX
        )
        if is_up is self._told or not (is_up or reason):
            return
        self._told = is_up
        if is_up and self._place is not None:
            self._emit(ReaderUp(reader=self._name, at=self._place))
        else:
            self._emit(ReaderDown(reader=self._name, reason=reason))
