"""What is known of the readers and the link: since when each is down, and why.

The log gets one line when something goes down and one when it is back.
"""

import logging
from dataclasses import dataclass

from agent.readers.events import CardUnreadable, ReaderDown, ReaderUp, SignalFailed
from agent.sync.events import LinkDown, LinkUp

log = logging.getLogger("agent.terminal")


@dataclass(slots=True)
class Outage:
    """Since when something is down, in monotonic milliseconds (0: since the start), and why."""

    since_ms: int
    reason: str


@dataclass(slots=True)
class ReaderHealth:
    """What is known of one reader."""

    outage: Outage | None
    refused: str | None = None  # the last card that it could not read, and when
    failed_signals: int = 0
    failed_reason: str = ""

    def sentence(self) -> str:
        """Return how it works, for the staff."""
        if self.outage is not None:
            return f"down: {self.outage.reason}"
        parts = ["ready"]
        if self.failed_signals:
            parts.append(f"{self.failed_signals} signals failed, last: {self.failed_reason}")
        if self.refused is not None:
            parts.append(f"last unreadable card {self.refused}")
        return "; ".join(parts)


class Outages:
    """The state of all configured readers and of the link; all are down until they report."""

    def __init__(self, readers: tuple[str, ...]) -> None:
        self.link: Outage | None = Outage(0, "not connected yet")
        self.readers = {name: ReaderHealth(Outage(0, "has not reported yet")) for name in readers}

    def note(
        self, event: ReaderUp | ReaderDown | SignalFailed | LinkUp | LinkDown, now_ms: int
    ) -> None:
        """Take what a reader or the link reports; a repeated `LinkUp` changes nothing."""
        match event:
            case LinkUp():
                if self.link is not None:
                    _log_up("Link", self.link, now_ms, "")
                self.link = None
            case LinkDown(reason=reason):
                self.link = _down("Link", self.link, reason, now_ms)
            case ReaderUp(reader=name, location=place):
                health = self.readers[name]
                _log_up(f"Reader '{name}'", health.outage, now_ms, f" ({place})")
                health.outage = None
            case ReaderDown(reader=name, reason=reason):
                health = self.readers[name]
                health.outage = _down(f"Reader '{name}'", health.outage, reason, now_ms)
            case SignalFailed(reader=name, reason=reason):
                self._signal_failed(name, reason)

    def note_unreadable(self, event: CardUnreadable, at: str) -> None:
        self.readers[event.reader].refused = f"{at}: {event.sentence}"

    def reader_words(self) -> dict[str, str]:
        """Return `ready` or `down` by reader, for the `state` message."""
        return {
            name: "ready" if health.outage is None else "down"
            for name, health in self.readers.items()
        }

    def reader_summary(self) -> str:
        down = [name for name, health in self.readers.items() if health.outage]
        return f"readers down: {', '.join(down)}" if down else f"{len(self.readers)} readers ready"

    def link_word(self) -> str:
        return "up" if self.link is None else f"down: {self.link.reason}"

    def _signal_failed(self, name: str, reason: str) -> None:
        health = self.readers[name]
        health.failed_signals += 1
        health.failed_reason = reason
        if health.failed_signals == 1:
            log.warning(
                "Reader '%s' does not show its signals: %s. Status counts further failures.",
                name,
                reason,
            )


def _down(what: str, before: Outage | None, reason: str, now_ms: int) -> Outage:
    if before is None or before.since_ms == 0:
        log.warning("%s down: %s", what, reason)
        return Outage(now_ms, reason)
    return Outage(before.since_ms, reason)


def _log_up(what: str, before: Outage | None, now_ms: int, detail: str) -> None:
    after = ""
    if before is not None and before.since_ms:
        after = f" after {(now_ms - before.since_ms) / 1000:.1f} s"
    log.info("%s up%s%s", what, after, detail)
