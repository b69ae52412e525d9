"""Brakes on what a broken central, or two of them, may make a terminal do. Meals go on.

At most one resynchronisation, one new epoch and one new generation in some minutes. What comes
sooner waits, and one incident counts it.
"""

from agent.domain.clock import Moment
from agent.store.rows import Changeset
from agent.sync.brake import Brake
from agent.sync.messages import Order
from agent.terminal.counted import CountedIncidents

RESYNC_EVERY_MS = 300_000  # a difference that a resynchronisation does not heal must not flood
EPOCH_EVERY_MS = 300_000
GENERATION_EVERY_MS = 300_000


class Brakes:
    """The brakes of one terminal."""

    def __init__(self, incidents: CountedIncidents) -> None:
        self._incidents = incidents
        self.resyncs = Brake(1, RESYNC_EVERY_MS)
        self._epochs = Brake(1, EPOCH_EVERY_MS)
        self._generations = Brake(1, GENERATION_EVERY_MS)
        self._held_order: str | None = None

    def holds_generation(self, changes: Changeset, moment: Moment) -> bool:
        """Return whether a new generation comes too soon after another: it is ignored until then.

        Its hello stays unanswered, so the next one waits for the retry time.
        """
        if changes.incident is None or self._generations.take(moment.mono_ms):
            return False
        detail = (
            f"the central changed its generation again, to {changes.generation[:8]}, within"
            f" {GENERATION_EVERY_MS // 60_000} min; it is followed later. Is its database restored"
            " in a loop, or do two centrals serve this town?"
        )
        self._incidents.add("braked", detail, moment)
        return True

    def holds_order(self, order: Order, moment: Moment) -> bool:
        """Return whether an order comes too soon after another of its kind.

        It waits: the central repeats it.
        """
        brake = self.resyncs if order.do == "resync" else self._epochs
        if brake.take(moment.mono_ms):
            return False
        if order.id != self._held_order:
            self._held_order = order.id
            detail = (
                f"order {order.id}: {order.do} comes too soon after another one; it is done later."
                " Who gives these orders?"
            )
            self._incidents.add("braked", detail, moment)
        return True
