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

from agent.domain.canteen import GoneRecord
from agent.domain.clock import ClockTrust, Instant, Moment
from agent.domain.ledger import Place
from agent.errors import SyncError, cut_reason
from agent.store.cache import Standing
from agent.store.rows import Changeset, Incident, KnownPlace, NoteRow, RecordRow, SetAside
from agent.sync.messages import Changes, Order, decode_record, is_done, record_key


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
    """What to do with a message.

    `changes` is what the file takes with ACKNOWLEDGE, ADOPT, APPLY and NOTHING_NEW. `more`: the
    central has more, so ask at once. `order` is to be done afterwards.
    """

    step: Step
    changes: Changeset | None = None
    more: bool = False
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A `changes` message, its topic, and when it arrived."""

    message: Changes
    topic: str
    moment: Moment


def decide(standing: Standing, own: KnownPlace | None, received: Received) -> Decision:
    """Return what to do with a message. `own`: where this disk has the entry it acknowledges."""
    message = received.message
    if own is None or own.hash not in (None, message.acked.hash):
        return Decision(Step.GAP)
    step = _step(standing, own.place, message)
    if step in (Step.GAP, Step.OLD):
        return Decision(step)
    changes = _changes(standing, own.place, received, takes_records=step is Step.APPLY)
    if step is Step.ACKNOWLEDGE:
        return Decision(step, changes)
    order = message.order
    if order is not None and is_done(order.id, standing.order_done):
        order = None
    # A chunk without records waits for our entries: asking at once repeats it.
    more = step is Step.APPLY and message.more and message.to > message.from_position
    return Decision(step, changes, more, order)


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


def _changes(
    standing: Standing, acked: Place, received: Received, *, takes_records: bool
) -> Changeset:
    """Return what a message brings into the file. Records that cannot be read are set aside."""
    message, moment = received.message, received.moment
    # by this terminal's own clock: one wrong time of the central must not stay
    is_confirmed = moment.trust is ClockTrust.SYNCED
    contact_at = moment.at if is_confirmed else standing.last_contact_at
    rows: list[RecordRow] = []
    unreadable: list[SetAside] = []
    for raw in message.records if takes_records else ():
        try:
            record, body = decode_record(raw)
        except SyncError as error:
            aside = SetAside(
                at=moment.at,
                topic=received.topic,
                payload=bytes(raw),
                reason=cut_reason(str(error)),
            )
            unreadable.append(aside)
            continue
        kind, record_id = record_key(record)
        kept = None if isinstance(record, GoneRecord) else body
        rows.append(RecordRow(kind=kind, id=record_id, p=record.p, body=kept))
    return Changeset(
        generation=message.generation,
        to=message.to,
        acked=acked,
        rows=rows,
        notes=[NoteRow(seq=n.seq, status=n.status, reason=n.reason) for n in message.notes],
        reset=message.reset and message.from_position == 0,
        more=message.more,
        until=message.until,
        last_contact_at=contact_at,
        unreadable=unreadable,
        incident=_new_generation(standing, message, moment.at),
    )


def _new_generation(standing: Standing, message: Changes, at: Instant) -> Incident | None:
    """Return the incident of a change of generation, None if there is none."""
    before = standing.generation
    if before is None or before == message.generation:
        return None
    detail = (
        f"the central's generation {before[:8]} was replaced by {message.generation[:8]};"
        " entries that it lost are sent again"
    )
    return Incident(at=at, kind="new_generation", detail=detail)
