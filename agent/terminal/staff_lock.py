"""Whether the staff may change something now: a staff card unlocks the terminal for a while. Pure.

A town sets `unlock = "staff_card"` where children can reach the screen. The person who
tapped last is recorded in each entry that the staff make. The time is monotonic: a wrong clock
neither locks nor unlocks. A restart locks.
"""

from agent.domain.canteen import AccountStatus, CardStatus, Category
from agent.domain.clock import Moment
from agent.domain.tap import Facts
from agent.errors import AgentError

UNLOCKED_MS = 180_000
"""A correction takes seconds, a paper list of a class some minutes: another tap prolongs it."""


class LockedError(AgentError):
    """A request that needs a staff card first."""


class StaffLock:
    """The lock of one terminal. Without `is_needed` nothing is locked, and nobody is recorded."""

    def __init__(self, *, is_needed: bool) -> None:
        self.is_needed = is_needed
        self._account: str | None = None
        self._until_ms = 0

    def tapped(self, facts: Facts) -> None:
        """Note a tap. An active staff card unlocks, with or without a meal.

        The reason of a refusal does not tell: outside serving times it is the hour, for any card.
        """
        card, account = facts.card, facts.account
        if card is None or card.status is not CardStatus.ACTIVE or account is None:
            return
        if account.category is Category.STAFF and account.status is AccountStatus.ACTIVE:
            self._account, self._until_ms = account.id, facts.moment.mono_ms + UNLOCKED_MS

    def left_ms(self, moment: Moment) -> int | None:
        """Return for how long it is unlocked, 0 while locked, None where no card is needed."""
        if not self.is_needed:
            return None
        return max(0, self._until_ms - moment.mono_ms) if self._account is not None else 0

    def person(self, moment: Moment) -> str | None:
        """Return the staff account that unlocked it; None where no card is needed.

        Raise `LockedError` while it is locked.
        """
        if not self.is_needed:
            return None
        if not self.left_ms(moment):
            raise LockedError("locked: hold a staff card to the reader; it unlocks for 3 minutes")
        return self._account
