"""What is reported of the clock: a line of the log, and a `state` before it is due.

A time server that flaps must not flood log and network, and nobody may read for minutes a reason
that is over. Pure but for the log.
"""

import logging

from agent.domain.clock import ClockTrust

EVERY_MS = 60_000
"""At most so often a fault or another trust is reported; the first fault and its end at once."""

log = logging.getLogger("agent.terminal")


class ClockReport:
    """What was reported of one terminal's clock."""

    def __init__(self) -> None:
        self._logged, self._logged_ms = "", -EVERY_MS
        self._sent: tuple[str, ClockTrust] | None = None
        self._sent_ms = -EVERY_MS

    def log(self, fault: str, now_ms: int) -> None:
        """Log a fault that is not in the log yet, or its end."""
        if fault != self._logged and abs(now_ms - self._logged_ms) >= EVERY_MS:
            self._logged, self._logged_ms = fault, now_ms
            log.warning("Clock: %s.", fault or "nothing contradicts it any more")

    def is_news(self, fault: str, trust: ClockTrust, now_ms: int) -> bool:
        """Return whether the newest `state` has another fault or trust, and is to be replaced."""
        if self._sent is None or self._sent == (fault, trust):
            return False
        is_other = bool(fault) != bool(self._sent[0])
        return is_other or abs(now_ms - self._sent_ms) >= EVERY_MS

    def sent(self, fault: str, trust: ClockTrust, now_ms: int) -> None:
        """Note what a `state` had."""
        self._sent, self._sent_ms = (fault, trust), now_ms
