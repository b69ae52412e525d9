"""Whether the signal of the newest tap may be shown on the card that is present now. Pure.

For readers that can show a signal only while a card is present. Another card must never show the
signal. The card itself gets it again when it is back soon (`presence.py`).
"""

from agent.readers.channel import SIGNAL_LATE_MS
from agent.readers.identity import Detection

PENDING_MS_MAX = SIGNAL_LATE_MS
# Lights for a card until another one is present: *wait*, its signal, that again after a failure.
# With a driver that answers every light with nothing, the card would be read and lit for ever.
LIGHTS_MAX = 4


class PendingSignal:
    """What is present at one reader, and what a signal is for."""

    def __init__(self) -> None:
        self._due: Detection = None
        self._since_ms = 0
        self._present: Detection = None
        self._lights = 0

    def detected(self, detection: Detection) -> None:
        """That is present now; None: nothing is."""
        if detection != self._present:
            self._lights = 0
        self._present = detection

    def due(self, now_ms: int) -> None:
        """The next signal is for what is present now, and for nothing before it."""
        self._due, self._since_ms = self._present, now_ms

    def may_show(self, now_ms: int) -> bool:
        """Return whether to show a signal now."""
        is_due = self._present is not None and self._present == self._due
        return is_due and self._lights < LIGHTS_MAX and now_ms - self._since_ms <= PENDING_MS_MAX

    def shown(self) -> None:
        """A light was sent, or failed."""
        self._lights += 1
