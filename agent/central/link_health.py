"""What the central reports of its link: in the log at growing intervals, and as incidents.

An incident that repeats is one row with a count.
"""

import logging
from contextlib import suppress

from agent.central.books import incidents
from agent.central.books.database import Books
from agent.central.books.incidents import Incident
from agent.domain.clock import Instant, age_ms
from agent.errors import CentralError
from agent.sync.brake import Reminder
from agent.sync.events import Denied, LinkDown, LinkState, LinkUp, Taken

_EPOCH: Instant = "1970-01-01T00:00:00.000Z"

log = logging.getLogger("agent.central")


class LinkHealth:
    """Since when the link is down, and what the broker denies."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._reminder = Reminder()
        self._set_aside = Reminder()
        self._denials: dict[str, Reminder] = {}  # by topic

    def note(self, event: LinkState, at: Instant) -> None:
        """Take what the link reports."""
        match event:
            case LinkUp():
                log.info("Connected to the broker.")
                self._reminder.reset()
            case LinkDown(reason=reason, is_takeover=is_takeover):
                if self._reminder.is_due(_ms(at), reason):
                    log.warning("Connection to the broker lost: %s. Trying again.", reason)
                self._denials.clear()
                if is_takeover:
                    self.add_incident(Incident(at, "identity_in_use", reason))
            case Denied(topic=topic, reason=reason):
                if self._denials.setdefault(topic, Reminder()).is_due(_ms(at), reason):
                    log.error("Not published on %s: %s", topic, reason)
                self.add_incident(Incident(at, "denied", f"topic {topic}: {reason}"))
            case Taken(topic=topic):
                self._denials.pop(topic, None)
                log.info("The broker takes messages on %s again.", topic)

    def note_set_aside(self, topic: str, reason: str, at: Instant) -> None:
        """Log a message that was set aside; a flood of them at growing intervals."""
        if self._set_aside.is_due(_ms(at), f"{topic}: {reason}"):
            log.warning(
                "Message on %s set aside: %s. See: canteen-central incidents.", topic, reason
            )

    def add_incident(self, incident: Incident) -> None:
        """Add an incident or count it, as far as the file works; it is logged in any case."""
        is_new = True
        with suppress(CentralError), self._books.transaction():
            is_new = incidents.add_or_count(self._books, incident)
        if is_new:
            log.error("Incident %s: %s", incident.kind, incident.detail)


def _ms(at: Instant) -> int:
    return age_ms(_EPOCH, at)
