"""Keeps the file small and ready while nobody taps: pruning, checkpoints, headroom."""

import logging
from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.domain.canteen import policy_on
from agent.domain.clock import Instant, Moment, day_of, format_instant, parse_instant
from agent.domain.ledger import Entry
from agent.errors import DamagedError, StoreError
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.standing import standing

PRUNE_EVERY_MS = 600_000
# Housekeeping waits for so long after a tap. During a resynchronisation each message is
# checkpointed at once (core.py).
QUIET_MS = 3_000
LONGEST_DAY = timedelta(hours=25)  # when the clocks are put back

log = logging.getLogger("agent.terminal")


class Housekeeping:
    """Housekeeping of one database."""

    def __init__(self, db: Database, zone: ZoneInfo) -> None:
        self._db = db
        self._zone = zone
        self._pruned_ms: int | None = None
        self._checkpoint_due = False

    def file_changed(self) -> None:
        """Note a write: a checkpoint is due in the next quiet moment."""
        self._checkpoint_due = True

    def step(self, moment: Moment, tapped_ms: int) -> None:
        """Do one step, no longer than a tap may wait. `tapped_ms`: when the last entry was made."""
        if moment.mono_ms - tapped_ms < QUIET_MS:
            return
        if self._pruned_ms is None or moment.mono_ms - self._pruned_ms >= PRUNE_EVERY_MS:
            if self._prune() == 0:
                self._pruned_ms = moment.mono_ms
                self._reserve()
        elif self._checkpoint_due:
            self._checkpoint_due = not self._db.checkpoint()

    def _prune(self) -> int:
        """Delete some old acknowledged entries; return how many."""
        newest = reads.latest_entry(self._db)
        return 0 if newest is None else writes.prune(self._db, before=self._prune_before(newest))

    def _prune_before(self, newest: Entry) -> Instant:
        """Return the time before which entries are old.

        Old by the newest time on the disk, recorded or of the central, never by the clock: a clock
        that is days ahead would prune today's meals. Never prune the newest entry's day, or a meal
        could be served twice: no later entry gets an earlier time.
        """
        now = max(newest.at, standing(self._db).last_contact_at or "")
        keep_days = policy_on(reads.policies(self._db), day_of(now, self._zone)).keep_days
        oldest_kept = parse_instant(now) - timedelta(days=keep_days)
        return format_instant(min(oldest_kept, parse_instant(newest.at) - LONGEST_DAY))

    def _reserve(self) -> None:
        try:
            self._db.reserve()
        except DamagedError:
            raise
        except StoreError as error:
            # The disk is full: meals now use what was reserved before.
            log.warning("%s", error)
