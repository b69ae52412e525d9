"""The terminal's correspondence with the central: what came goes into the store, what is due goes out.

A message takes effect in one transaction and is acknowledged to the broker after it. One that cannot be used is set
aside with the reason and acknowledged, so that those behind it are handled. Nothing here decides about meals.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Raw

from agent.domain.canteen import GoneRecord
from agent.domain.clock import Moment, age_ms, latest_contact
from agent.domain.digest import Tally
from agent.domain.ledger import ChainEnd
from agent.errors import RecordError, SyncError
from agent.store import reads, writes
from agent.store.database import Database
from agent.sync.events import DropLink, LinkEffect, Publish
from agent.sync.messages import (
    CentralState,
    Changes,
    Digest,
    Entries,
    Hello,
    Order,
    decode,
    decode_record,
    encode,
    is_done,
    record_key,
)
from agent.sync.session import Reconnect, SayHello, SendEntries, Session, Verdict, judge
from agent.sync.topics import Leaf, Topics

HEARD_EVERY_MS = 60_000  # the age of the data is shown in minutes: a flush for each answer would only wear the card
RESYNC_EVERY_MS = (
    300_000  # a difference that a resynchronisation does not heal must not become a storm of them
)
CENTRAL_AHEAD_MS = 3_600_000  # more than two clocks that are kept can differ
SCHEMA_VERSION = 1  # of the contract

log = logging.getLogger("agent.link")


@dataclass(slots=True)
class _DigestWalk:
    """A digest being recomputed in steps between taps; given up when the position moves on."""

    expected: Digest
    tally: Tally
    after: tuple[str, str]


class Replication:
    """`spread` gives the session its jitter, `epoch_bits` 16 hex digits of randomness for a new epoch."""

    def __init__(
        self,
        db: Database,
        *,
        software: str,
        spread: Callable[[], float],
        epoch_bits: Callable[[], str],
    ) -> None:
        self._db = db
        self._software = software
        self._epoch_bits = epoch_bits
        self.session = Session(spread)
        here = reads.standing(db)
        self._terminal = here.terminal
        self._topics = Topics(here.town)
        self._walk: _DigestWalk | None = None
        self._resynced_ms: int | None = None
        self._unknown_orders: set[str] = set()
        self._central_is_ahead = False

    @property
    def has_steps(self) -> bool:
        """Return whether `step` has work to do between taps."""
        return self._walk is not None

    def receive(self, topic: str, payload: bytes, moment: Moment) -> str | None:
        """Take in one message. Return the central's time if it answered us, None if it did not."""
        try:
            if topic == self._topics.central_state:
                if decode(payload, CentralState).online:
                    self.session.hello_again()
                return None
            if topic == self._topics.of(self._terminal, Leaf.CHANGES):
                return self._changes(topic, decode(payload, Changes), moment)
            raise SyncError("not a topic this terminal reads")
        except SyncError as error:
            writes.set_aside(
                self._db, topic=topic, payload=payload, reason=str(error), at=moment.at
            )
            log.warning("message on %s set aside: %s", topic, error)
            return None

    def due(self, moment: Moment) -> list[LinkEffect]:
        """Return what is to be sent now."""
        here = reads.standing(self._db)
        effects: list[LinkEffect] = []
        for say in self.session.due(
            moment.mono_ms, epoch=here.epoch, last=here.last, acked=here.acked
        ):
            match say:
                case SayHello():
                    effects.append(self._publish(Leaf.HELLO, self._hello(here, moment)))
                case SendEntries(first=first, count=count):
                    effects.append(
                        self._publish(Leaf.ENTRIES, self._entries(here.epoch, first, count))
                    )
                case Reconnect():
                    log.warning(
                        "link: nothing heard from the central for too long; connecting again"
                    )
                    effects.append(DropLink())
        return effects

    def step(self, moment: Moment) -> None:
        """Go on with the digest for some milliseconds."""
        walk = self._walk
        if walk is None:
            return
        if reads.standing(self._db).position != walk.expected.position:
            self._walk = None
            return
        walk.tally, after = reads.digest_step(self._db, walk.tally, walk.after)
        if after is not None:
            walk.after = after
            return
        self._walk = None
        self._compare(walk.expected, walk.tally, moment)

    def forget(self, error: RecordError, moment: Moment) -> None:
        """Do without a record that cannot be read any more, until the central has told it again."""
        incident = writes.Incident(at=moment.at, kind="record", detail=str(error))
        writes.forget_record(self._db, error.kind, error.id, incident)
        _log_incident(incident)
        self._walk = None
        self.session.hello_again()

    def _changes(self, topic: str, message: Changes, moment: Moment) -> str | None:
        here = reads.standing(self._db)
        last_contact_at = self._heard_at(here, message, moment)
        acked = self._own_acked(message.acked)
        verdict = judge(
            own_generation=here.generation,
            own_position=here.position,
            own_acked=here.mark,
            generation=message.generation,
            replaces=message.replaces,
            from_position=message.from_position,
            to=message.to,
            reset=message.reset,
            acked=acked,
        )
        if (
            verdict is Verdict.GAP
            or acked is None
            or self._is_of_another_epoch(acked, message, here)
        ):
            self.session.gap()
            return None
        if not here.is_newest and message.generation == here.generation:
            # An earlier epoch is being offered again: only what is booked of it counts, records come with the newest epoch.
            writes.acknowledge(self._db, acked, _notes(message), last_contact_at)
            self.session.answered(moment.mono_ms, more=False)
            return message.at
        if verdict is Verdict.OLD:
            return None
        self._take(topic, message, acked, here, verdict, last_contact_at, moment)
        if message.order is not None:
            self._obey(message.order, moment)
        now = reads.standing(self._db)
        # while everything is told anew, what changed meanwhile is still to come: a late message's digest knows nothing of that
        if (
            message.digest is not None
            and message.digest.position == now.position
            and not now.resyncing
        ):
            self._walk = _DigestWalk(expected=message.digest, tally=Tally(), after=("", ""))
        return message.at

    def _heard_at(self, here: reads.Standing, message: Changes, moment: Moment) -> str:
        """Return the newest time heard of the central, as far as it is believed; say once that it is not."""
        is_ahead = (
            moment.ntp_at is not None and age_ms(moment.ntp_at, message.at) > CENTRAL_AHEAD_MS
        )
        if is_ahead and not self._central_is_ahead:
            log.error(
                "the central says that it is %s, our clock says %s and a time server keeps it: see to it",
                message.at,
                moment.ntp_at,
            )
        self._central_is_ahead = is_ahead
        return latest_contact(here.last_contact_at, message.at, moment)

    def _is_of_another_epoch(
        self, acked: tuple[int, int], message: Changes, here: reads.Standing
    ) -> bool:
        """Return whether a message cannot be used though it is of this generation: it speaks of an epoch we are not sending now, so
        that its balances may hold entries it does not name; or remarks before it are missing here; or it was made before our
        earlier epochs were booked."""
        if message.generation != here.generation:
            return False
        if acked[0] != here.epoch_number or message.notes_after > here.acked:
            return True
        earlier = (
            reads.last_of_epoch_before(self._db, here.epoch_number) if here.is_newest else None
        )
        return earlier is not None and message.before != ChainEnd(
            epoch=earlier[0], seq=earlier[1], hash=earlier[2]
        )

    def _take(
        self,
        topic: str,
        message: Changes,
        acked: tuple[int, int],
        here: reads.Standing,
        verdict: Verdict,
        last_contact_at: str,
        moment: Moment,
    ) -> None:
        """Store what a message that joins on brings."""
        incident = None
        if here.generation != message.generation:
            if here.generation is not None:
                detail = f"the central has a new generation {message.generation[:8]} after {here.generation[:8]}; what it lost is sent again"
                incident = writes.Incident(at=moment.at, kind="new_generation", detail=detail)
            if reads.keeps_earlier_epochs(self._db):
                writes.adopt_generation(self._db, message.generation, last_contact_at, incident)
                _log_incident(incident)
                return self.session.hello_again()
        more = False
        if verdict is Verdict.APPLY:
            self._apply(topic, message, acked, last_contact_at, incident)
            # a chunk that brought nothing waits for our entries: asking again at once would only be answered the same
            more = message.more and message.to > message.from_position
        elif (
            here.last_contact_at is None
            or last_contact_at < here.last_contact_at
            or age_ms(here.last_contact_at, last_contact_at) >= HEARD_EVERY_MS
        ):
            writes.hear(self._db, last_contact_at)
        self.session.answered(moment.mono_ms, more=more)
        return None

    def _own_acked(self, acked: ChainEnd) -> tuple[int, int] | None:
        """Return an acknowledgement as (epoch number, seq) if it speaks of entries as this disk has them, else None."""
        own = reads.place_of(self._db, acked.epoch, acked.seq)
        if own is None or own[2] not in ("", acked.hash):
            return None
        return own[:2]

    def _apply(
        self,
        topic: str,
        message: Changes,
        acked: tuple[int, int],
        last_contact_at: str,
        incident: writes.Incident | None,
    ) -> None:
        rows: list[writes.RecordRow] = []
        unreadable: list[tuple[str, bytes, str]] = []
        for raw in message.records:
            try:
                record, body = decode_record(raw)
            except SyncError as error:
                unreadable.append((topic, bytes(raw), str(error)))
                log.warning("record set aside: %s", error)
                continue
            kind, record_id = record_key(record)
            rows.append(
                writes.RecordRow(
                    kind=kind,
                    id=record_id,
                    p=record.p,
                    body=None if isinstance(record, GoneRecord) else body,
                )
            )
        changed = writes.apply_changes(
            self._db,
            generation=message.generation,
            to=message.to,
            acked=acked,
            rows=rows,
            notes=_notes(message),
            reset=message.reset and message.from_position == 0,
            more=message.more,
            until=message.until,
            last_contact_at=last_contact_at,
            unreadable=unreadable,
            incident=incident,
        )
        _log_incident(incident)
        if changed:
            log.debug(
                "%d records from the central, position %d",
                changed,
                message.to,
                extra={"fields": {"position": message.to}},
            )
        for note in message.notes:
            log.warning("the central says of entry %d: %s, %s", note.seq, note.status, note.reason)

    def _obey(self, order: Order, moment: Moment) -> None:
        here = reads.standing(self._db)
        if is_done(order.id, here.order_done):
            return
        match order.do:
            case "resync":
                writes.begin_resync(self._db, order.id, None)
                self.session.hello_again()
            case "new_epoch" if here.pending == 0 and here.is_newest:
                detail = f"by order {order.id}: {here.epoch} ends at entry {here.last}"
                incident = writes.Incident(at=moment.at, kind="new_epoch", detail=detail)
                writes.begin_epoch(self._db, self._epoch_bits(), order.id, incident)
                _log_incident(incident)
            case "wipe" if here.pending == 0 and here.is_newest:
                incident = writes.Incident(
                    at=moment.at,
                    kind="wipe",
                    detail=f"by order {order.id}: cards, accounts and rules forgotten",
                )
                writes.wipe(self._db, order.id, incident)
                _log_incident(incident)
                self.session.hello_again()
            case "new_epoch" | "wipe":
                return  # the central repeats it until it is done; first everything must be booked
            case unknown if order.id not in self._unknown_orders:
                self._unknown_orders.add(order.id)
                detail = f"order {order.id} wants {unknown!r}, which this version does not know"
                incident = writes.Incident(at=moment.at, kind="unknown_order", detail=detail)
                writes.add_incident(self._db, incident)
                _log_incident(incident)

    def _compare(self, expected: Digest, tally: Tally, moment: Moment) -> None:
        own = (tally.accounts, tally.cards, tally.cents, tally.sum_hex)
        if own == (expected.accounts, expected.cards, expected.cents, expected.sum):
            return
        detail = (
            f"at position {expected.position}: here {own[0]} accounts, {own[1]} cards, {own[2]} cents, sum {own[3]};"
            f" central {expected.accounts}, {expected.cards}, {expected.cents}, {expected.sum}"
        )
        incident = writes.Incident(at=moment.at, kind="digest", detail=detail)
        if self._resynced_ms is None or moment.mono_ms - self._resynced_ms >= RESYNC_EVERY_MS:
            writes.begin_resync(self._db, None, incident)
            self._resynced_ms = moment.mono_ms
            self.session.hello_again()
        else:
            writes.add_incident(self._db, incident)
        _log_incident(incident)

    def _hello(self, here: reads.Standing, moment: Moment) -> bytes:
        before = reads.last_of_epoch_before(self._db, here.epoch_number)
        return encode(
            Hello(
                epoch=here.epoch,
                oldest=here.oldest,
                last=here.last,
                acked=here.acked,
                head=here.head,
                acked_head=here.acked_head,
                generation=here.generation,
                position=here.position,
                order_done=here.order_done,
                software=self._software,
                schema=SCHEMA_VERSION,
                clock=moment.trust,
                at=moment.at,
                before=ChainEnd(epoch=before[0], seq=before[1], hash=before[2]) if before else None,
            )
        )

    def _entries(self, epoch: str, first: int, count: int) -> bytes:
        previous, bodies = reads.batch(self._db, epoch, first, count)
        return encode(Entries(epoch=epoch, prev=previous, entries=[Raw(body) for body in bodies]))

    def _publish(self, leaf: Leaf, payload: bytes) -> LinkEffect:
        return Publish(topic=self._topics.of(self._terminal, leaf), payload=payload, retain=False)


def _notes(message: Changes) -> list[writes.NoteRow]:
    return [
        writes.NoteRow(seq=note.seq, status=note.status, reason=note.reason)
        for note in message.notes
    ]


def _log_incident(incident: writes.Incident | None) -> None:
    if incident is not None:
        log.error(
            "incident %s: %s",
            incident.kind,
            incident.detail,
            extra={"fields": {"incident": incident.kind}},
        )
