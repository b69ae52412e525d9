"""Brakes, pure: how often something may be done, and how often something that lasts is reported.

Times are monotonic milliseconds and arguments.
"""

REMIND_FIRST_MS = 60_000
REASONS_MAX = 10  # different reasons of one fault that are reported at once; some hold a number
REMIND_MAX_MS = 3_600_000  # a fault that lasts a weekend has one line an hour in the log


class Brake:
    """Allows `burst` times at once, and one more every `every_ms`."""

    def __init__(self, burst: int, every_ms: int) -> None:
        self._burst = burst
        self._every_ms = every_ms
        self._all_free_ms: int | None = None  # when the whole burst is allowed again

    def wait_ms(self, now_ms: int) -> int:
        """Return in how many milliseconds it is allowed; 0 for now."""
        if self._all_free_ms is None:
            return 0
        return max(0, self._all_free_ms - (self._burst - 1) * self._every_ms - now_ms)

    def take(self, now_ms: int) -> bool:
        """Return whether it is allowed now, and count it."""
        if self.wait_ms(now_ms) > 0:
            return False
        self._all_free_ms = max(self._all_free_ms or now_ms, now_ms) + self._every_ms
        return True


class Reminder:
    """Says when a fault that lasts is reported: at once, then after 1 min doubling to 1 h.

    A reason that is new is reported at once, too.
    """

    def __init__(self) -> None:
        self._next_ms: int | None = None
        self._pause_ms = REMIND_FIRST_MS
        self._reasons: set[str] = set()

    def is_due(self, now_ms: int, reason: str = "") -> bool:
        """Return whether the fault is to be reported now, and count that."""
        is_news = reason not in self._reasons and len(self._reasons) < REASONS_MAX
        if is_news:
            self._reasons.add(reason)
        if self._next_ms is None:
            self._next_ms = now_ms + self._pause_ms
            return True
        # a time before the last report is of a clock that was set back
        if self._next_ms - self._pause_ms <= now_ms < self._next_ms:
            return is_news
        self._pause_ms = min(2 * self._pause_ms, REMIND_MAX_MS)
        self._next_ms = now_ms + self._pause_ms
        return True

    def reset(self) -> None:
        """Begin again: the fault is over."""
        self._next_ms, self._pause_ms = None, REMIND_FIRST_MS
        self._reasons.clear()
