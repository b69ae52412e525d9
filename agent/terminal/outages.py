"""What is known of the readers and the link: since when each is down, and why.

The log gets one line when something goes down and one when it is back. While it lasts, its present
reason is repeated at growing intervals, and a reason that is new is logged at once.
"""

import logging
from dataclasses import dataclass, field

from agent.readers.events import CardUnreadable, ReaderDown, ReaderUp, SignalFailed
from agent.sync.brake import Reminder
from agent.sync.events import Denied, LinkDown, LinkState, LinkUp, Taken

log = logging.getLogger("agent.terminal")


@dataclass(slots=True)
class Outage:
    """Since when something is down, in monotonic milliseconds (0: since the start), and why."""

    since_ms: int
    reason: str
    reminder: Reminder = field(default_factory=Reminder, compare=False, repr=False)


@dataclass(slots=True)
class ReaderHealth:
    """What is known of one reader."""

    outage: Outage | None
    refused: str | None = None  # the last card that it could not read, and when
    failed_signals: int = 0
    failed_reason: str = ""
    warning: str = ""

    def fault(self) -> str:
        """Return what is to be mended; empty for a reader that works. A card alone is no fault."""
        return f"down: {self.outage.reason}" if self.outage is not None else self.warning

    def sentence(self) -> str:
        """Return how it works, for the staff."""
        if self.outage is not None:
            return f"down: {self.outage.reason}"
        parts = ["ready", *([self.warning] if self.warning else [])]
        if self.failed_signals:
            parts.append(f"{self.failed_signals} signals failed, last: {self.failed_reason}")
        if self.refused is not None:
            parts.append(f"last unreadable card {self.refused}")
        return "; ".join(parts)


class Outages:
    """The state of all configured readers and of the link; all are down until they report."""

    def __init__(self, readers: tuple[str, ...]) -> None:
        self.link: Outage | None = Outage(0, "not connected yet")
        self.denied: dict[str, Outage] = {}  # by topic, while the link is up
        self.readers = {name: ReaderHealth(Outage(0, "has not reported yet")) for name in readers}

    def note(self, event: ReaderUp | ReaderDown | SignalFailed | LinkState, now_ms: int) -> None:
        """Take what a reader or the link reports; a repeated `LinkUp` changes nothing."""
        match event:
            case LinkUp():
                if self.link is not None:
                    _log_up("Link", self.link, now_ms, "")
                self.link = None
            case LinkDown(reason=reason):
                self.link = _down("Link", self.link, reason, now_ms)
                self.denied.clear()
            case Denied(topic=topic, reason=reason):
                what = f"Link to topic {topic}"
                self.denied[topic] = _down(what, self.denied.get(topic), reason, now_ms)
            case Taken(topic=topic):
                if (denied := self.denied.pop(topic, None)) is not None:
                    _log_up(f"Link to topic {topic}", denied, now_ms, "")
            case ReaderUp(reader=name, location=place, warning=warning):
                health = self.readers[name]
                if health.outage is not None:
                    _log_up(f"Reader '{name}'", health.outage, now_ms, f" ({place})")
                if warning and warning != health.warning:
                    log.warning("Reader '%s': %s", name, warning)
                health.outage, health.warning = None, warning
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

    def unreported(self) -> set[str]:
        """Return the readers that have not reported since the start: some moments, as a rule."""
        return {
            name
            for name, health in self.readers.items()
            if health.outage is not None and health.outage.since_ms == 0
        }

    def reader_summary(self) -> str:
        down = [name for name, health in self.readers.items() if health.outage]
        return f"readers down: {', '.join(down)}" if down else f"{len(self.readers)} readers ready"

    def link_word(self) -> str:
        if self.link is not None:
            return f"down: {self.link.reason}"
        denied = self.link_fault()
        return "up" if denied is None else f"up, but {denied}"

    def link_fault(self) -> str | None:
        """Return why messages do not get to the broker, None if they do."""
        if self.link is not None:
            return f"link down: {self.link.reason}"
        return next((outage.reason for outage in self.denied.values()), None)

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
        outage = Outage(now_ms, reason)
        outage.reminder.is_due(now_ms, reason)
        return outage
    before.reason = reason
    if before.reminder.is_due(now_ms, reason):
        minutes = (now_ms - before.since_ms) // 60_000
        log.warning("%s down for %d min: %s", what, minutes, reason)
    return before


def _log_up(what: str, before: Outage | None, now_ms: int, detail: str) -> None:
    after = ""
    if before is not None and before.since_ms:
        after = f" after {(now_ms - before.since_ms) / 1000:.1f} s"
    log.info("%s up%s%s", what, after, detail)
