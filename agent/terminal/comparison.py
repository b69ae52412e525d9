"""Compares what this terminal holds and shows with the central's digest, in steps between taps.

A comparison is given up when the position moves. It says what differs; `replication.py` asks for
all records again.
"""

from dataclasses import dataclass

from agent.domain.digest import Tally
from agent.domain.ledger import ChainEnd
from agent.store import reads
from agent.store.database import Database
from agent.store.standing import standing
from agent.sync.messages import Digest


@dataclass(slots=True)
class _Walk:
    """A digest that is recomputed. `booked_end` is the newest entry, if all were booked then."""

    expected: Digest
    tally: Tally
    after: tuple[str, str]
    booked_end: ChainEnd | None


class Comparison:
    """At most one comparison with the newest digest."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._walk: _Walk | None = None

    @property
    def is_going_on(self) -> bool:
        return self._walk is not None

    def begin(self, digest: Digest | None) -> None:
        """Begin with a digest, if it is about the position we stand at.

        Not during a resynchronisation: records that changed meanwhile are still to come. A wiped
        terminal has no records, and that is right.
        """
        own = standing(self._db)
        if digest is None or digest.position != own.position or own.resyncing or own.is_wiped:
            return
        end = own.end if own.pending == 0 else None
        self._walk = _Walk(expected=digest, tally=Tally(), after=("", ""), booked_end=end)

    def end(self) -> None:
        """Give it up, or forget it once its difference is written."""
        self._walk = None

    def step(self) -> str | None:
        """Continue for some milliseconds. Return what differs once all is compared, else None.

        A difference is returned again until `end`: writing it may fail.
        """
        walk = self._walk
        if walk is None:
            return None
        if standing(self._db).position != walk.expected.position:
            self.end()
            return None
        so_far, after = reads.digest_step(self._db, walk.tally, walk.after)
        if after is not None:
            walk.tally, walk.after = so_far, after
            return None
        difference = self._difference(walk, so_far)
        if difference is None:
            self.end()
            return None
        return f"at position {walk.expected.position}: {difference}"

    def _difference(self, walk: _Walk, tally: Tally) -> str | None:
        expected = walk.expected
        own = (tally.accounts, tally.cards, tally.cents, tally.sum_hex)
        cents = expected.cents if tally.unread_balances == 0 else tally.cents
        if own != (expected.accounts, expected.cards, cents, expected.sum):
            return (
                f"terminal has {own[0]} accounts, {own[1]} cards, {own[2]} cents, sum {own[3]};"
                f" central has {expected.accounts}, {expected.cards}, {expected.cents},"
                f" {expected.sum}"
            )
        if beyond_cents := self._shown_beyond(walk, tally):
            return (
                f"all entries are booked, and the shown balances add up to"
                f" {tally.cents + beyond_cents} cents; central has {expected.cents}"
            )
        return None

    def _shown_beyond(self, walk: _Walk, tally: Tally) -> int:
        """Return by how many cents shown balances differ where they must not: all is booked."""
        own = standing(self._db)
        if own.pending or own.end != walk.booked_end:
            return 0
        return tally.own_cents
