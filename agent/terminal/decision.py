"""What a terminal does with a `changes` message. Pure: decided from its standing and the message.

`ROWS` is the contract's table: the first row that applies decides. PROTOCOL.md prints it.

A message about another epoch, or from before our earlier epochs were booked, may hold balances with
entries that it does not acknowledge (CONSISTENCY.md, lemma 8).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from msgspec import Raw

from agent.domain.clock import Instant, Moment, TimeSource
from agent.domain.ledger import ChainEnd, Place
from agent.store.cache import Standing
from agent.store.rows import (
    Changeset,
    Incident,
    KnownPlace,
    LaterNote,
    NoteRow,
    RecordRow,
    SetAside,
)
from agent.sync.messages import Changes, Order, is_done
from agent.sync.records import NoteRecord, ReceivedRecord, UnusableRecord, decode_record


class Step(Enum):
    """How a terminal takes a message."""

    GAP = auto()  # change nothing, send a hello
    OLD = auto()  # late or repeated: change nothing, it answers nothing
    NOTHING_NEW = auto()  # an answer that changes nothing
    ACKNOWLEDGE = auto()  # take the acknowledgement and the notes, leave the records
    ADOPT = auto()  # follow the new generation, send all epochs again before taking records
    APPLY = auto()  # take everything


@dataclass(frozen=True, slots=True)
class Case:
    """A message, and what this terminal has. `acked`: where this disk has the entry it names."""

    standing: Standing
    message: Changes
    own: KnownPlace | None

    @property
    def acked(self) -> Place:
        assert self.own is not None  # the first row took the other case
        return self.own.place

    @property
    def is_of_our_generation(self) -> bool:
        return self.message.generation == self.standing.generation

    @property
    def is_snapshot_for_us(self) -> bool:
        """Return whether it begins a snapshot that replaces our generation."""
        message = self.message
        is_snapshot = message.reset and message.from_position == 0
        return is_snapshot and message.replaces == self.standing.generation


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the contract's table.

    `fault` is what a terminal reports when a central answers its newest hello in this way. It is
    empty where a good central may do so.
    """

    rule: str
    message: str
    terminal: str
    step: Step
    applies: Callable[[Case], bool]
    fault: str = ""


def _is_not_ours(case: Case) -> bool:
    return case.own is None or case.own.hash not in (None, case.message.acked.hash)


def _is_of_no_use(case: Case) -> bool:
    # A message that does not know our generation is no answer to us: its own may be abandoned.
    return not case.is_of_our_generation and not case.is_snapshot_for_us


def _is_new_generation_with_earlier_epochs(case: Case) -> bool:
    return not case.is_of_our_generation and case.standing.keeps_earlier_epochs


def _is_new_generation(case: Case) -> bool:
    return not case.is_of_our_generation


def _begins_beyond(case: Case) -> bool:
    return case.message.from_position > case.standing.position


def _believes_an_old_hello(case: Case) -> bool:
    return case.message.to >= case.standing.position and case.acked < case.standing.mark


def _is_of_another_epoch(case: Case) -> bool:
    return case.acked.epoch_number != case.standing.epoch_number


def _lacks_notes(case: Case) -> bool:
    return case.message.notes_after > case.standing.acked.seq


def _is_of_an_earlier_epoch(case: Case) -> bool:
    return not case.standing.is_newest


def _lacks_before(case: Case) -> bool:
    previous = case.standing.previous
    return previous is not None and case.message.before != previous


def _is_old(case: Case) -> bool:
    return case.message.to < case.standing.position


def _moves_us(case: Case) -> bool:
    return case.message.to > case.standing.position or case.acked > case.standing.mark


ROWS = (
    Row(
        "C60",
        "`acked` names an entry that this disk lacks, or has with another hash",
        "gap",
        Step.GAP,
        _is_not_ours,
        fault="acknowledges entry {acked.seq} of epoch {acked.epoch}, which this terminal does not"
        " have with that hash",
    ),
    Row(
        "C61",
        "another generation, without `reset`, `from` 0, and the terminal's own in `replaces`",
        "gap",
        Step.GAP,
        _is_of_no_use,
        fault="is of generation {generation}, and does not replace this terminal's",
    ),
    Row(
        "C62",
        "another generation, and the terminal keeps entries of earlier epochs",
        "follows it, and offers those first",
        Step.ADOPT,
        _is_new_generation_with_earlier_epochs,
    ),
    Row("C63", "another generation", "takes it", Step.APPLY, _is_new_generation),
    Row("C64", "`from` is beyond the terminal's position", "gap", Step.GAP, _begins_beyond),
    Row(
        "C65",
        "`to` is not behind the position, and `acked` is behind what it knows to be booked",
        "gap",
        Step.GAP,
        _believes_an_old_hello,
    ),
    Row(
        "C66",
        "`acked` is of another epoch than the one being sent",
        "gap",
        Step.GAP,
        _is_of_another_epoch,
    ),
    Row("C67", "`notes_after` is ahead of the terminal's `acked`", "gap", Step.GAP, _lacks_notes),
    Row(
        "C68",
        "the terminal offers an earlier epoch",
        "takes only `acked` and the notes",
        Step.ACKNOWLEDGE,
        _is_of_an_earlier_epoch,
    ),
    Row(
        "C69",
        "`before` is not the newest entry of its earlier epochs that it keeps",
        "gap",
        Step.GAP,
        _lacks_before,
        fault="does not repeat the hello's `before`, so its balances may lack earlier epochs",
    ),
    Row("C70", "`to` is behind the terminal's position", "ignores it: old", Step.OLD, _is_old),
    Row("C71", "`to` or `acked` is ahead of the terminal", "takes it", Step.APPLY, _moves_us),
    Row("C72", "anything else", "has nothing new", Step.NOTHING_NEW, lambda case: True),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message.

    `changes` is what the file takes with ACKNOWLEDGE, ADOPT, APPLY and NOTHING_NEW. `more`: the
    central has more, so ask at once. `order` is to be done afterwards.
    """

    row: Row
    changes: Changeset | None = None
    more: bool = False
    order: Order | None = None

    @property
    def step(self) -> Step:
        return self.row.step


@dataclass(frozen=True, slots=True)
class Received:
    """A `changes` message, its topic, when it arrived, and the newest entry that was ever sent."""

    message: Changes
    topic: str
    moment: Moment
    sent: Place


def decide(standing: Standing, own: KnownPlace | None, received: Received) -> Decision:
    """Return what to do with a message. `own`: where this disk has the entry it acknowledges."""
    message = received.message
    case = Case(standing, message, own)
    row = next(row for row in ROWS if row.applies(case))
    if row.step in (Step.GAP, Step.OLD):
        return Decision(row)
    takes_records = row.step is Step.APPLY and not standing.is_wiped
    changes = _changes(standing, case.acked, received, takes_records=takes_records)
    if row.step is Step.ACKNOWLEDGE:
        return Decision(row, changes)
    order = message.order
    if order is not None and is_done(order.id, standing.order_done):
        order = None
    # A chunk without records waits for our entries: asking at once repeats it.
    more = row.step is Step.APPLY and message.more and message.to > message.from_position
    return Decision(row, changes, more, order)


@dataclass(slots=True)
class _Taken:
    """What the records of a message bring into the file."""

    rows: list[RecordRow] = field(default_factory=list)
    notes: list[LaterNote] = field(default_factory=list)
    unreadable: list[SetAside] = field(default_factory=list)
    unidentified: list[str | None] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)


def _changes(
    standing: Standing, acked: Place, received: Received, *, takes_records: bool
) -> Changeset:
    """Return what a message brings into the file."""
    message, moment = received.message, received.moment
    # by this terminal's own clock: one wrong time of the central must not stay
    is_confirmed = moment.source in (TimeSource.TIME_SERVER, TimeSource.CENTRAL)
    contact_at = moment.at if is_confirmed else standing.last_contact_at
    taken = _Taken()
    for raw in message.records if takes_records else ():
        _take(taken, raw, received, moment.at)
    return Changeset(
        generation=message.generation,
        to=message.to,
        # An entry that was never sent cannot be booked: it is sent, whatever the message says.
        acked=min(acked, received.sent) if acked.seq else acked,
        h=acked,
        rows=taken.rows,
        notes_after=message.notes_after,
        notes=[NoteRow(seq=n.seq, status=n.status, reason=n.reason) for n in message.notes],
        later_notes=taken.notes,
        reset=message.reset and message.from_position == 0,
        more=message.more,
        until=message.until,
        last_contact_at=contact_at,
        unreadable=taken.unreadable,
        unidentified=taken.unidentified,
        unknown_values=[
            Incident(at=moment.at, kind="unknown_value", detail=detail)
            for detail in sorted(taken.unknown)
        ],
        incident=_new_generation(standing, message, moment.at),
    )


def readable_now(rows: list[RecordRow]) -> list[RecordRow]:
    """Return those of the unread records that this version can read."""
    return [
        row
        for row in rows
        if row.body is not None
        and isinstance(decode_record(Raw(row.body.encode())), ReceivedRecord)
    ]


def _take(taken: _Taken, raw: Raw, received: Received, at: Instant) -> None:
    """Add what one record brings. What cannot be used is set aside, and removes nothing."""
    record = decode_record(raw)
    match record:
        case ReceivedRecord():
            # a `p` beyond the message must not hold later ones back
            p = min(record.p, received.message.to)
            row = RecordRow(kind=record.kind, id=record.id, p=p, body=record.body)
            taken.rows.append(row)
            taken.unknown |= {
                f"{record.kind}: this version does not know a value of {name!r}, and uses one"
                " with which everybody eats; update the agent"
                for name in record.unknown
            }
        case NoteRecord():
            end = ChainEnd(epoch=record.epoch, seq=record.seq, hash=record.hash)
            taken.notes.append(LaterNote(entry=end, status=record.status, reason=record.reason))
        case UnusableRecord():
            payload = bytes(raw)
            aside = SetAside(at=at, topic=received.topic, payload=payload, reason=record.reason)
            taken.unreadable.append(aside)
            if record.kind in ("note", "gone"):
                return
            if record.kind is None or record.id is None or record.body is None:
                taken.unidentified.append(record.kind)
                return
            row = RecordRow(
                kind=record.kind,
                id=record.id,
                p=received.message.to if record.p is None else record.p,
                body=record.body,
                is_readable=False,
            )
            taken.rows.append(row)


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
