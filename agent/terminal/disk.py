"""Watches the disk under the ledger in quiet moments: makes the reserve, and names a full disk.

The reserve is made in steps while nobody taps. A disk with too little room for it is a fault with a
sentence, long before a meal fails.
"""

import logging

from agent.store.database import Database
from agent.store.disk_space import free_bytes, full_words, megabytes
from agent.sync.brake import Reminder

LOOK_EVERY_MS = 60_000

log = logging.getLogger("agent.terminal")


class Disk:
    """The disk of one ledger. `fault` is a sentence, empty while there is room."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._folder = db.path.parent
        self._looked_ms: int | None = None
        self._reminder = Reminder()
        self._was_fault = False
        self.fault = ""

    def step(self, now_ms: int) -> bool:
        """Make a piece of the reserve, or look at the disk when that is due.

        Return whether there is more to make now.
        """
        if self._looked_ms is not None and now_ms - self._looked_ms < LOOK_EVERY_MS:
            return False
        if self._db.reserve.make_more():
            return True
        self._looked_ms = now_ms
        self._look(now_ms)
        return False

    def is_news(self) -> bool:
        """Return whether a fault began or ended since the last call."""
        was, self._was_fault = self._was_fault, bool(self.fault)
        return was != self._was_fault

    def words(self) -> str:
        """Return what is free and in reserve, or what is wrong, for `status`."""
        if self.fault:
            return self.fault
        try:
            free = megabytes(free_bytes(self._folder))
        except OSError as error:
            return f"{self._folder}: {error.strerror}"
        return f"{free} free, and a reserve for about {self._db.reserve.taps} taps"

    def _look(self, now_ms: int) -> None:
        fault = self._fault()
        if self.fault and not fault:
            log.info("Disk: there is room again, and the reserve is whole.")
        self.fault = fault
        if not fault:
            self._reminder.reset()
        elif self._reminder.is_due(now_ms):
            log.warning("Disk: %s.", fault)

    def _fault(self) -> str:
        reserve = self._db.reserve
        if reserve.problem:
            return f"no reserve for a full disk could be made: {reserve.problem}"
        if not reserve.is_whole:
            return (
                f"a full disk would take about {reserve.taps} more taps only:"
                f" {full_words(self._folder)}"
            )
        return self._db.log_words()
