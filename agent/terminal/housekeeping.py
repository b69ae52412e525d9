"""Keeps the file small, ready and whole while nobody taps.

The disk and its reserve, certificates, pruning, checkpoints, headroom, and a look for damage.
"""

import logging
from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.domain.canteen import policy_on
from agent.domain.clock import ClockTrust, Moment, day_of, format_instant, parse_instant
from agent.errors import DamagedError, StoreError
from agent.store import pruning, reads
from agent.store.database import Database
from agent.store.inspection import Inspection
from agent.terminal.certificates import Certificates
from agent.terminal.disk import Disk

PRUNE_EVERY_MS = 3_600_000  # one day of entries each time, so no wrong clock prunes them all
KEPT_AT_LEAST_MS = 24 * 3_600_000  # of this boot, whatever the clock says: today's meals
# Housekeeping waits for so long after a tap. During a resynchronisation each message is
# checkpointed at once (core.py).
QUIET_MS = 3_000
INSPECT_EVERY_MS = 6 * 3_600_000  # a pass over 100,000 accounts takes some minutes of quiet

log = logging.getLogger("agent.terminal")


class Housekeeping:
    """Housekeeping of one database."""

    def __init__(self, db: Database, zone: ZoneInfo, certificates: Certificates) -> None:
        self._db = db
        self._certificates = certificates
        self._zone = zone
        self._pruned_ms: int | None = None
        self._day: str | None = None  # the UTC day whose entries are being pruned
        self._checkpoint_due = False
        self.disk = Disk(db)
        self._inspection = Inspection(db)
        self._inspected_ms: int | None = None  # when the last pass ended; the start looked, too

    def file_changed(self) -> None:
        """Note a write: a checkpoint is due in the next quiet moment."""
        self._checkpoint_due = True

    def is_news(self) -> bool:
        """Return whether a fault of disk or certificates began or ended since the last call."""
        return self.disk.is_news() | self._certificates.is_news()

    def faults(self) -> list[str]:
        """Return the present sentences of disk and certificates."""
        return [fault for fault in (self.disk.fault, self._certificates.fault) if fault]

    def words(self) -> dict[str, str | None]:
        """Return what is known of disk and certificates, for `status`."""
        return {
            "disk": self.disk.words(),
            "disk_fault": self.disk.fault or None,
            "certificate_fault": self._certificates.fault or None,
        }

    def step(self, moment: Moment, tapped_ms: int) -> None:
        """Do one step, no longer than a tap may wait. `tapped_ms`: when the last entry was made."""
        if moment.mono_ms - tapped_ms < QUIET_MS:
            return
        self._certificates.step(moment)
        if self.disk.step(moment.mono_ms):
            return
        if self._pruned_ms is None:
            self._pruned_ms = moment.mono_ms  # not at the start: the time is hardly confirmed
            self._make_headroom()
        elif moment.mono_ms - self._pruned_ms >= PRUNE_EVERY_MS:
            if self._prune(moment) == 0:
                self._pruned_ms = moment.mono_ms
                self._make_headroom()
        elif self._checkpoint_due:
            self._checkpoint_due = not self._db.checkpoint()
        else:
            self._inspect(moment)

    def _inspect(self, moment: Moment) -> None:
        """Look for damage in the next slice, every `INSPECT_EVERY_MS` through the whole file."""
        if self._inspected_ms is None:
            self._inspected_ms = moment.mono_ms
        if moment.mono_ms - self._inspected_ms < INSPECT_EVERY_MS:
            return
        if self._inspection.step(moment.at):
            self._inspected_ms = moment.mono_ms

    def _prune(self, moment: Moment) -> int:
        """Delete some old acknowledged entries of one day; return how many.

        Only under a confirmed time: a clock that is days ahead would prune today's meals.
        """
        if moment.trust is not ClockTrust.SYNCED:
            return 0
        oldest_at = pruning.oldest_dated_at(self._db)
        newest_at = pruning.newest_dated_at(self._db)
        if oldest_at is None or newest_at is None:
            return 0
        if self._day is None:
            self._day = oldest_at[:10]
        today = day_of(moment.at, self._zone)
        keep_days = policy_on(reads.policies(self._db), today).keep_days
        kept_since = format_instant(parse_instant(moment.at) - timedelta(days=keep_days))
        below = reads.start_of_window(self._db, moment.boot, moment.mono_ms - KEPT_AT_LEAST_MS)
        # never the newest day's: after a power cut its meals are of this day
        before = min(kept_since, f"{self._day}T24", newest_at[:10])
        count = pruning.prune(self._db, before=before, below=below)
        if count == 0:
            self._day = None
        return count

    def _make_headroom(self) -> None:
        try:
            self._db.make_headroom()
        except DamagedError:
            raise
        except StoreError as error:
            log.warning("%s", error)  # meals need none
