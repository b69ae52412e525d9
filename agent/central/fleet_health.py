"""What the central reports of its terminals: silent, with a fault, well again. By log and incident.

A fault has one line when it begins and one when it is over. While it lasts, its present words are
repeated at growing intervals. A terminal that is silent while its school eats is an incident.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.central.books import rules, terminals
from agent.central.books.database import Books
from agent.central.books.incidents import Incident
from agent.central.books.terminals import Contact
from agent.central.terminal_faults import SILENT, duration, state_of, terminal_faults
from agent.domain.canteen import ServiceNow, service_now
from agent.domain.clock import Instant, age_ms
from agent.sync.brake import Reminder

LOOK_EVERY_MS = 10_000
SETTLE_MS = 30_000
"""After the link is up: by then the broker has handed over the states of all terminals."""
JUMP_MS = 60_000
"""Looks that are so far apart are of a clock that was set, or of a machine that slept."""
SILENT_AT_SERVING_MS = 120_000
"""A terminal that only starts again at lunch is back before."""

_EPOCH: Instant = "1970-01-01T00:00:00.000Z"
_NUMBER = re.compile(r"[0-9]+")

log = logging.getLogger("agent.central")


@dataclass(slots=True)
class _Trouble:
    """A fault that lasts. `incident` is the service for which there is an incident."""

    since: Instant
    reminder: Reminder = field(default_factory=Reminder)
    incident: ServiceNow | None = None


class FleetHealth:
    """The troubles of one town's terminals, as far as this process has seen them."""

    def __init__(
        self, books: Books, zone: ZoneInfo, add_incident: Callable[[Incident], None]
    ) -> None:
        self._books = books
        self._zone = zone
        self._add_incident = add_incident
        self._troubles: dict[str, dict[str, _Trouble]] = {}  # by terminal and fault
        self._contacts: dict[str, Instant] = {}
        self._up_since: Instant | None = None  # the central's own link
        self._looked_at: Instant | None = None

    def link_up(self, at: Instant) -> None:
        """Begin to judge. Until now no terminal could be received."""
        self._up_since = at

    def link_down(self) -> None:
        """Judge no terminal while the central itself is cut off."""
        self._up_since = None

    def note(self, terminal: str, at: Instant) -> None:
        """Judge a terminal now, since a message of it was booked. Raise `CentralError`."""
        for contact in terminals.contacts(self._books, terminal):
            state = state_of(contact.state)
            # a retained last will may be of any time before
            if self._is_settled(at) or state is None or state.online:
                self._contacts[terminal] = at
            self._judge(contact, at)

    def look(self, at: Instant) -> None:
        """Judge all terminals when that is due. Raise `CentralError`."""
        if self._up_since is None or not self._is_due(at):
            return
        if self._is_settled(at):
            for contact in terminals.contacts(self._books):
                self._judge(contact, at)

    def _is_settled(self, at: Instant) -> bool:
        return self._up_since is not None and age_ms(self._up_since, at) >= SETTLE_MS

    def _is_due(self, at: Instant) -> bool:
        """Return whether a look is due. After a jump of the clock the silence counts from now."""
        before, now_ms = self._looked_at, _ms(at)
        if before is not None and 0 <= now_ms - _ms(before) < LOOK_EVERY_MS:
            return False
        self._looked_at = at
        if before is not None and not 0 <= now_ms - _ms(before) < JUMP_MS:
            self._up_since = at
        return True

    def _judge(self, contact: Contact, at: Instant) -> None:
        if contact.site is None or contact.hello_at is None:
            self._troubles.pop(contact.terminal, None)  # retired, or not installed yet
            return
        last = max(contact.hello_at, self._contacts.get(contact.terminal, _EPOCH))
        receivable = max(last, self._up_since or at)
        faults = terminal_faults(state_of(contact.state), receivable, at)
        troubles = self._troubles.setdefault(contact.terminal, {})
        if not self._is_settled(at) and SILENT not in troubles:
            faults.pop(SILENT, None)  # what follows this last will may be on its way
        name = f"Terminal {contact.terminal} at {contact.site}"
        for fault in [fault for fault in troubles if fault not in faults]:
            passed = duration(age_ms(troubles.pop(fault).since, at))
            back = "online again" if fault == SILENT else f"{fault} is well again"
            log.info("%s: %s after %s.", name, back, passed, extra=_fields(contact, fault))
        for fault, words in faults.items():
            began = last if fault == SILENT else at
            is_new = fault not in troubles
            trouble = troubles.setdefault(fault, _Trouble(began))
            # numbers that only grow are no new reason
            if trouble.reminder.is_due(_ms(at), _NUMBER.sub("", words)):
                lasts = "" if is_new else f" for {duration(age_ms(trouble.since, at))}"
                extra = _fields(contact, fault)
                log.warning("%s: %s%s: %s.", name, fault, lasts, words, extra=extra)
        if SILENT in troubles:
            self._look_at_serving(contact, troubles[SILENT], at)

    def _look_at_serving(self, contact: Contact, trouble: _Trouble, at: Instant) -> None:
        """Add an incident for a terminal that is silent during a service, once for each service."""
        if contact.site is None or age_ms(trouble.since, at) < SILENT_AT_SERVING_MS:
            return
        service = service_now(rules.site_services(self._books, contact.site), at, self._zone)
        if service is None or service.outside_hours or service == trouble.incident:
            return
        trouble.incident = service
        detail = (
            f"{contact.terminal} at {contact.site} is silent since {trouble.since}, and"
            f" {service.service} is served there; look at its power and its network."
            " Its taps need no network, and their entries come later"
        )
        self._add_incident(Incident(at, "silent_at_serving", detail, contact.terminal))


def _fields(contact: Contact, fault: str) -> dict[str, dict[str, str]]:
    """Return the structured fields of a log line."""
    return {"fields": {"terminal": contact.terminal, "fault": fault}}


def _ms(at: Instant) -> int:
    return age_ms(_EPOCH, at)
