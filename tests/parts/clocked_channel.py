"""A reader's channel whose time a test moves."""

import threading
from collections.abc import Callable

from agent.domain.card import CardId
from agent.readers.channel import Channel
from agent.readers.events import ReaderEvent
from agent.readers.health import Health
from agent.readers.presence import Presence, RecentTaps


def numbered(n: int) -> CardId:
    """Return a card by its number."""
    return CardId("em", n.to_bytes(5, "big"))


def presence(same_ms: int = 1) -> Presence:
    """Return presence rules by which every other card is a new tap."""
    return Presence("counter", RecentTaps(threading.Lock()), gone_after_ms=0, same_ms=same_ms)


class ClockedChannel(Channel):
    """Time stands still until a test moves `at_ms`, or until a pause passes it.

    After `pauses_max` pauses the reader must stop.
    """

    def __init__(
        self,
        emit: Callable[[ReaderEvent], object],
        pauses_max: int = 0,
        rules: Presence | None = None,
    ) -> None:
        super().__init__("counter", emit, Health("counter", emit), rules or presence())
        self.at_ms = 100_000
        self.pauses_s: list[float] = []
        self._pauses_max = pauses_max

    def now_ms(self) -> int:
        return self.at_ms

    def pause(self, seconds: float) -> None:
        if self.stopping:
            return
        self.pauses_s.append(seconds)
        self.at_ms += round(seconds * 1000)
        if len(self.pauses_s) == self._pauses_max:
            self.stop()
