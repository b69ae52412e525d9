"""One tap a presence, however often the reader repeats it. Pure."""


class Presence:
    """For readers that repeat while a card is near: seen once, then not again until it has been away.

    `gone_after_ms` without it re-arms; `debounce_ms` after a tap the same card is still the same tap (a hand that wobbles).
    """

    def __init__(self, *, gone_after_ms: int, debounce_ms: int) -> None:
        self._gone_after_ms = gone_after_ms
        self._debounce_ms = debounce_ms
        self._shown: object = None
        self._seen_ms = 0
        self._tapped_ms = 0

    def is_tap(self, shown: object, now_ms: int) -> bool:
        """Return whether this reading begins a new presence. `shown` is a card id, or a fault for what was not readable."""
        same = shown == self._shown
        away = now_ms - self._seen_ms > self._gone_after_ms
        bounced = now_ms - self._tapped_ms < self._debounce_ms
        self._seen_ms = now_ms
        if same and (not away or bounced):
            return False
        self._shown = shown
        self._tapped_ms = now_ms
        return True
