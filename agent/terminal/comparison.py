"""Compares the records with the central's digest, in steps between taps."""

from dataclasses import dataclass

from agent.domain.digest import Tally
from agent.domain.ledger import ChainEnd
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import standing
from agent.sync.messages import Digest


@dataclass(slots=True)
class _Walk:
    """A digest that is recomputed, and given up when the position moves.

    `booked_end` is the newest entry, if all entries were booked when it began. `after` is None when
    the last record was read.
    """

    expected: Digest
    tally: Tally
    after: tuple[str, str] | None
    booked_end: ChainEnd | None


class Comparison:
    """At most one comparison of one database at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._walk: _Walk | None = None

    @property
    def is_running(self) -> bool:
        """Return whether `step` has work to do."""
        return self._walk is not None

    def begin(self, digest: Digest | None) -> None:
        """Compare records with a digest, if it is about the position we stand at.

        Not during a resynchronisation: records that changed meanwhile are still to come. A wiped
        terminal has no records, and that is right.
        """
        own = standing(self._db)
        if digest is None or digest.position != own.position or own.resyncing or own.is_wiped:
            return
        end = own.end if own.pending == 0 else None
        self._walk = _Walk(expected=digest, tally=Tally(), after=("", ""), booked_end=end)

    def stop(self) -> None:
        """Give the comparison up."""
        self._walk = None

    def step(self) -> str | None:
        """Continue for some milliseconds. Return the difference that was found at the end."""
        walk = self._walk
        if walk is None:
            return None
        if standing(self._db).position != walk.expected.position:
            self._walk = None
            return None
        if walk.after is not None:
            walk.tally, walk.after = reads.digest_step(self._db, walk.tally, walk.after)
        return self._difference(walk) if walk.after is None else None

    def end_step(self) -> None:
        """End the comparison if its last step is done, and reported."""
        if self._walk is not None and self._walk.after is None:
            self._walk = None

    def _difference(self, walk: _Walk) -> str | None:
        """Compare the records with the central's digest, and what they show with its cents."""
        expected, tally = walk.expected, walk.tally
        own = (tally.accounts, tally.cards, tally.cents, tally.sum_hex)
        cents = expected.cents if tally.unread_balances == 0 else tally.cents
        if own != (expected.accounts, expected.cards, cents, expected.sum):
            detail = (
                f"terminal has {own[0]} accounts, {own[1]} cards, {own[2]} cents, sum {own[3]};"
                f" central has {expected.accounts}, {expected.cards}, {expected.cents},"
                f" {expected.sum}"
            )
        elif beyond_cents := self._shown_beyond(walk):
            detail = (
                f"all entries are booked, and the shown balances add up to"
                f" {tally.cents + beyond_cents} cents; central has {expected.cents}"
            )
        else:
            return None
        return f"at position {expected.position}: {detail}"

    def _shown_beyond(self, walk: _Walk) -> int:
        """Return by how many cents shown balances differ where they must not: all is booked."""
        own = standing(self._db)
        if own.pending or own.end != walk.booked_end or walk.tally.unread_accounts:
            return 0
        return reads.shown_beyond_cents(self._db)
