"""What a terminal does with a `changes` message. Pure: decided from its standing and the message.

The first row that applies decides ("ours": what this terminal has):

| the message | step |
|---|---|
| acknowledges an entry that this disk does not have, or has with another hash | GAP |
| is of another generation, and is no snapshot that `replaces` ours | GAP |
| is such a snapshot, while entries of earlier epochs are kept | ADOPT |
| is such a snapshot | APPLY |
| begins beyond our position | GAP |
| ends at our position or later, and acknowledges less than we know | GAP |
| is about another epoch than the one we send | GAP |
| lacks notes on entries that we do not know to be acknowledged | GAP |
| was made before our earlier epochs were booked | GAP |
| is about an earlier epoch that we send again | ACKNOWLEDGE |
| ends before our position | OLD |
| moves our position or our acknowledgement | APPLY |
| is anything else | NOTHING_NEW |

A message about another epoch, or from before our earlier epochs were booked, may hold balances with
entries that it does not acknowledge (CONSISTENCY.md, lemma 8).
"""

from dataclasses import dataclass
from enum import Enum, auto

from agent.domain.ledger import Place
from agent.store.cache import Standing
from agent.store.rows import KnownPlace
from agent.sync.messages import Changes


class Step(Enum):
    """How a terminal takes a message."""

    GAP = auto()  # change nothing, send a hello
    OLD = auto()  # late or repeated: change nothing, it answers nothing
    NOTHING_NEW = auto()  # an answer that changes nothing
    ACKNOWLEDGE = auto()  # take the acknowledgement, leave the records
    ADOPT = auto()  # follow the new generation, send all epochs again before taking records
    APPLY = auto()  # take everything


@dataclass(frozen=True, slots=True)
class Decision:
    """`acked` is the message's acknowledgement as an own place; with GAP it may be meaningless."""

    step: Step
    acked: Place


NOWHERE = Place(0, 0)


def decide(standing: Standing, own: KnownPlace | None, message: Changes) -> Decision:
    """Return what to do with a message.

    `own` is where this disk has the entry that it acknowledges.
    """
    if own is None or own.hash not in (None, message.acked.hash):
        return Decision(Step.GAP, NOWHERE)
    return Decision(_step(standing, own.place, message), own.place)


def _step(standing: Standing, acked: Place, message: Changes) -> Step:
    if message.generation != standing.generation:
        return _step_of_new_generation(standing, message)
    if message.from_position > standing.position:
        return Step.GAP
    if message.to >= standing.position and acked < standing.mark:
        return Step.GAP  # the central believes an old hello of ours
    if acked.epoch_number != standing.epoch_number or message.notes_after > standing.acked.seq:
        return Step.GAP
    if not standing.is_newest:
        return Step.ACKNOWLEDGE
    if standing.previous is not None and message.before != standing.previous:
        return Step.GAP
    if message.to < standing.position:
        return Step.OLD
    is_new = message.to > standing.position or acked > standing.mark
    return Step.APPLY if is_new else Step.NOTHING_NEW


def _step_of_new_generation(standing: Standing, message: Changes) -> Step:
    """A message that does not know our generation is no answer to us: its own may be abandoned."""
    is_snapshot = message.reset and message.from_position == 0
    if not is_snapshot or message.replaces != standing.generation:
        return Step.GAP
    return Step.ADOPT if standing.keeps_earlier_epochs else Step.APPLY
