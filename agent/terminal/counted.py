"""Incidents that repeat: one row with a count, instead of a row for each.

The count is written at growing intervals, so a fault that comes nine times a second costs no more
flushes than one that comes once a minute.
"""

import logging
from dataclasses import dataclass, field

from agent.domain.clock import Moment
from agent.store import writes
from agent.store.database import Database
from agent.store.rows import Incident
from agent.sync.brake import Reminder

SAME_WITHIN_MS = 3_600_000  # after an hour of rest it is another incident

log = logging.getLogger("agent.link")


@dataclass(slots=True)
class _Run:
    """A kind of incident that repeats. `unwritten`: the row does not have the count yet."""

    detail: str
    last_ms: int
    count: int = 1
    at: str = ""
    unwritten: bool = False
    reminder: Reminder = field(default_factory=Reminder)


class CountedIncidents:
    """The incidents of one file that may repeat, by kind."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._runs: dict[str, _Run] = {}

    def first(self, kind: str, detail: str, moment: Moment) -> Incident | None:
        """Return the incident, for the caller to write; None if it was counted as a repetition."""
        run = self._runs.get(kind)
        if run is None or moment.mono_ms - run.last_ms >= SAME_WITHIN_MS:
            run = self._runs[kind] = _Run(detail, moment.mono_ms)
            run.reminder.is_due(moment.mono_ms)
            return Incident(at=moment.at, kind=kind, detail=detail)
        run.detail, run.last_ms, run.at = detail, moment.mono_ms, moment.at
        run.count, run.unwritten = run.count + 1, True
        return None

    def add(self, kind: str, detail: str, moment: Moment) -> None:
        """Write and log an incident, or count it."""
        incident = self.first(kind, detail, moment)
        if incident is not None:
            writes.add_incident(self._db, incident)
            log_incident(incident)

    def step(self, moment: Moment) -> None:
        """Write the counts that are due."""
        for kind, run in self._runs.items():
            if run.unwritten and run.reminder.is_due(moment.mono_ms):
                detail = f"{run.detail} ({run.count} times, last {run.at})"
                writes.recount_incident(self._db, kind, detail)
                run.unwritten = False
                log_incident(Incident(at=run.at, kind=kind, detail=detail))


def log_incident(incident: Incident | None) -> None:
    """Log an incident, if there is one."""
    if incident is not None:
        fields = {"fields": {"incident": incident.kind}}
        log.error("Incident %s: %s", incident.kind, incident.detail, extra=fields)
