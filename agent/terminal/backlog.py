"""Watches that entries get booked. *Nothing booked since …* is a fault of its own.

However healthy the link looks: a bridge between brokers may be cut, an access list may deny, large
packets may be dropped, the central may be down. The log has the sentence at growing intervals;
`status`, the summary line and `state` always have the present one.
"""

import logging
from dataclasses import dataclass

from agent.domain.clock import Instant, Moment, age_ms
from agent.domain.ledger import Place
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import standing
from agent.sync.brake import Reminder
from agent.terminal.outages import Outages
from agent.terminal.replication import Replication

NOTHING_BOOKED_MS = 60_000
SILENT_MS = 60_000  # no answer for so long: the central is named as the reason

log = logging.getLogger("agent.link")


@dataclass(frozen=True, slots=True)
class NotBooked:
    """Since when nothing was booked though entries wait, and the likely reason."""

    since: Instant
    age_ms: int
    pending: int
    reason: str

    def sentence(self) -> str:
        minutes = self.age_ms // 60_000
        age = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return (
            f"nothing booked since {self.since} ({age}), {self.pending} entries wait: {self.reason}"
        )


class Backlog:
    """Since when nothing was booked, as far as entries wait."""

    def __init__(self, db: Database, outages: Outages, replication: Replication) -> None:
        self._db = db
        self._outages = outages
        self._replication = replication
        self._reminder = Reminder()
        self._is_new = True  # nothing was looked at since the start
        self._mark: Place | None = None
        self._since: Instant | None = None  # None: nothing waits
        self._since_ms = 0
        self._age_before_ms = 0  # what had passed before this process began
        self._now_ms = 0
        self._is_fault = False

    def look(self, moment: Moment) -> bool:
        """Look at the ledger; return whether the fault began or ended now."""
        own, self._now_ms = standing(self._db), moment.mono_ms
        if own.pending == 0:
            self._since = None
        elif self._since is None or self._mark is None or own.mark > self._mark:
            self._since, self._since_ms, self._age_before_ms = moment.at, moment.mono_ms, 0
            oldest_at = reads.oldest_pending_at(self._db) if self._is_new else None
            if oldest_at is not None:
                self._since, self._age_before_ms = oldest_at, age_ms(oldest_at, moment.at)
        self._is_new, self._mark = False, own.mark
        was_fault = self._is_fault
        waited_ms = moment.mono_ms - self._since_ms
        self._is_fault = self._since is not None and waited_ms >= NOTHING_BOOKED_MS
        fault = self.fault()
        if fault is not None and self._reminder.is_due(moment.mono_ms):
            log.warning("Link: %s", fault.sentence())
        if was_fault and fault is None:
            self._reminder.reset()
            log.info("Entries are booked again; %d wait.", own.pending)
        return self._is_fault != was_fault

    def fault(self) -> NotBooked | None:
        """Return the fault as of the last look, with its present reason."""
        if not self._is_fault or self._since is None:
            return None
        passed_ms = self._now_ms - self._since_ms + self._age_before_ms
        return NotBooked(self._since, passed_ms, standing(self._db).pending, self._reason())

    def _reason(self) -> str:
        """Return the likeliest reason: what is known comes before what is guessed."""
        link = self._outages.link_fault()
        if link is not None:
            return link
        return _doubt(self._replication, self._now_ms)


def _doubt(replication: Replication, now_ms: int) -> str:
    """Return why nothing is booked, as far as this side can know. The link is up."""
    if replication.too_large is not None:
        return replication.too_large
    if replication.central_online is False:
        return "link up, but the central is offline; start canteen-central serve"
    if replication.unusable is not None:
        return (
            f"link up, but the central's messages cannot be used: {replication.unusable};"
            " tell the central's maker"
        )
    silence = ""
    if replication.limits.version < 5:
        silence = (
            "; this broker has only MQTT 3.1.1, which denies in silence: compare its access list"
            " (docs/broker)"
        )
    session = replication.session
    if not session.is_answered or session.silent_ms(now_ms) >= SILENT_MS:
        return (
            "link up, but the central does not answer; look whether canteen-central serve runs"
            f" and is connected, and for a bridge between brokers that is cut{silence}"
        )
    return (
        "link up, and the central answers, but entries do not arrive or are not booked; see"
        " canteen-central incidents, and look for packet limits and access lists on the way"
        f"{silence}"
    )
