"""Whether the signal for a tap may be shown on the card that is present now. Pure.

For readers that can show a signal only while a card is present. A card that was removed before its
signal gets it when it is back soon. Later it may have been tapped elsewhere, and another card must
never show the signal.
"""

from agent.readers.channel import SIGNAL_LATE_MS
from agent.readers.events import Signal
from agent.readers.identity import Detection

PENDING_MS_MAX = SIGNAL_LATE_MS


class PendingSignal:
    """The newest tap of one reader. `signal` waits for its card to come back, None if none does."""

    def __init__(self) -> None:
        self.signal: Signal | None = None
        self._tapped: Detection = None
        self._tapped_ms = 0
        self._present: Detection = None

    def detected(self, detection: Detection) -> None:
        """The reader has read the card that is present now."""
        self._present = detection

    def tapped(self, detection: Detection, now_ms: int) -> None:
        """That was a new tap: no earlier signal is shown any more."""
        self._tapped, self._tapped_ms, self.signal = detection, now_ms, None

    def may_show(self, signal: Signal, *, has_card: bool, now_ms: int) -> bool:
        """Return whether to show a signal now. Without a card it waits in `signal`."""
        self.signal = None
        is_other_card = has_card and self._present != self._tapped
        if is_other_card or now_ms - self._tapped_ms > PENDING_MS_MAX:
            return False
        if not has_card:
            self.signal = signal
        return has_card
