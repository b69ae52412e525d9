"""Replicates with the central: what arrives goes into the store, what is due goes out.

A message takes effect in one transaction and is acknowledged to the broker afterwards. A message
that cannot be used is set aside with the reason and acknowledged, so the next ones are handled.
Nothing here decides about meals.
"""

import logging
from collections.abc import Callable

from msgspec import Raw

from agent.domain.clock import Instant, Moment, age_ms
from agent.domain.ledger import Place
from agent.errors import RecordError, SyncError, cut_reason
from agent.store import reads, writes
from agent.store.cache import Standing
from agent.store.database import Database
from agent.store.rows import Changeset, Incident, SetAside
from agent.store.standing import find_place, standing, tail
from agent.sync.events import DropLink, LinkEffect, Publish
from agent.sync.messages import (
    CONTRACT_VERSION,
    CentralState,
    Changes,
    Entries,
    Hello,
    Order,
    decode,
    encode,
    order_fault,
)
from agent.sync.session import Reconnect, SayHello, SendEntries, Session
from agent.sync.topics import Leaf, Topics
from agent.terminal.answers import Answers
from agent.terminal.comparison import Comparison
from agent.terminal.decision import Received, Step, decide, readable_now

CONTACT_EVERY_MS = (
    60_000  # the age of the data is shown in minutes; a flush per answer wears the card
)
RESYNC_EVERY_MS = 300_000  # a difference that a resynchronisation does not heal must not flood
NONCE_BOOT_CHARACTERS = 36  # a kernel's boot id
HELLOS_COUNTED = 1_000_000  # more than one boot sends in a millisecond
CENTRAL_AHEAD_MS = 3_600_000  # two right clocks never differ by so much

log = logging.getLogger("agent.link")


class Replication:
    """`spread` gives the session its jitter, `epoch_bits` 16 random hex digits."""

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
        own = standing(db)
        self._terminal = own.terminal
        self._topics = Topics(own.town)
        if readable := readable_now(reads.unread(db)):
            writes.promote(db, readable)  # the agent was updated
        self._answers = Answers()
        self._hello_number = 0
        self._sent = tail(db).place  # what an earlier process sent is not known
        self._comparison = Comparison(db)
        self._resynced_ms: int | None = None
        self._unknown_orders: set[str] = set()
        self._central_is_ahead = False

    @property
    def has_steps(self) -> bool:
        """Return whether `step` has work to do between taps."""
        return self._comparison.is_going_on

    def receive(self, topic: str, payload: bytes, moment: Moment) -> Instant | None:
        """Take one message. Return the central's time if it answers this terminal, else None."""
        try:
            if topic == self._topics.central_state:
                if decode(payload, CentralState).online:
                    self.session.hello_again()
                return None
            if topic == self._topics.of(self._terminal, Leaf.CHANGES):
                changes = decode(payload, Changes)
                return self._take(Received(changes, topic, moment, self._sent))
            raise SyncError("not a topic that this terminal reads")
        except SyncError as error:
            reason = cut_reason(str(error))
            message = SetAside(at=moment.at, topic=topic, payload=payload, reason=reason)
            writes.set_aside(self._db, message)
            log.warning("Message on %s set aside: %s", topic, reason)
            return None

    def due(self, moment: Moment) -> list[LinkEffect]:
        """Return what to send now."""
        own = standing(self._db)
        effects: list[LinkEffect] = []
        for action in self.session.due(moment.mono_ms, acked=own.acked, last=own.end.seq):
            match action:
                case SayHello():
                    effects.append(self._publish(Leaf.HELLO, self._hello(own, moment)))
                case SendEntries(first=first, count=count):
                    batch = self._entries(own.epoch, first, count)
                    last = Place(own.epoch_number, first + count - 1)
                    self._sent = max(self._sent, last)
                    effects.append(self._publish(Leaf.ENTRIES, batch))
                case Reconnect():
                    log.warning("Link: no answer from the central for 15 min; connecting again.")
                    effects.append(DropLink())
        return effects

    def step(self, moment: Moment) -> None:
        """Continue a digest for some milliseconds."""
        difference = self._comparison.step()
        if difference is not None:
            self._resync(difference, moment)
            self._comparison.end()  # not before: after a failed write it is compared again

    def drop_record(self, error: RecordError, moment: Moment) -> None:
        """Delete a record that cannot be read, and ask the central for all records again."""
        incident = Incident(at=moment.at, kind="record", detail=str(error))
        writes.drop_record(self._db, error.kind, error.id, incident)
        _log_incident(incident)
        self._comparison.end()
        self.session.hello_again()

    def _take(self, received: Received) -> Instant | None:
        """Do what `decide` says with a `changes` message. Return its time if it is an answer."""
        message, moment = received.message, received.moment
        own = standing(self._db)
        self._check_central_clock(message, moment)
        decision = decide(own, find_place(self._db, message.acked), received)
        if decision.changes is None:
            if decision.step is Step.GAP:
                self._report_answer(self._answers.refused(decision.row, message, own), moment)
                self.session.gap()
            return None
        self._write(decision.step, decision.changes, own.last_contact_at)
        self._report_answer(self._answers.taken(decision.changes), moment)
        if decision.step is Step.ADOPT:
            self.session.hello_again()
        else:
            self.session.answered(moment.mono_ms, more=decision.more)
        if decision.order is not None:
            self._obey(decision.order, received)
        if decision.step is not Step.ACKNOWLEDGE:
            self._comparison.begin(message.digest)
        return message.at

    def _write(self, step: Step, changes: Changeset, contact_before: Instant | None) -> None:
        """Put into the file what a decision takes, and log it."""
        contact_at = changes.last_contact_at
        match step:
            case Step.ACKNOWLEDGE:
                writes.acknowledge(self._db, changes)
            case Step.ADOPT:
                writes.adopt_generation(self._db, changes.generation, contact_at, changes.incident)
                _log_incident(changes.incident)
            case Step.APPLY:
                changed = writes.apply_changes(self._db, changes)
                _log_changes(changes, changed)
            case Step.NOTHING_NEW if _is_worth_noting(contact_before, contact_at):
                writes.note_contact(self._db, contact_at)

    def _report_answer(self, fault: str | None, moment: Moment) -> None:
        if fault is not None:
            incident = Incident(at=moment.at, kind="answer", detail=fault)
            writes.add_incident(self._db, incident)
            _log_incident(incident)

    def _check_central_clock(self, message: Changes, moment: Moment) -> None:
        """Log once when the central's clock is ahead of an NTP clock."""
        ntp_at = moment.ntp_at
        ahead_ms = age_ms(ntp_at, message.at) if ntp_at is not None else 0
        is_ahead = ahead_ms > CENTRAL_AHEAD_MS
        if is_ahead and not self._central_is_ahead:
            log.error(
                "The central's clock is %d h ahead of this terminal's NTP clock"
                " (central %s, terminal %s); check the central's clock.",
                ahead_ms // 3_600_000,
                message.at,
                ntp_at,
            )
        self._central_is_ahead = is_ahead

    def _obey(self, order: Order, received: Received) -> None:
        """Do an order, once.

        The central repeats one that must wait until all entries are booked.
        """
        own, moment = standing(self._db), received.moment
        fault = order_fault(order, received.message.generation)
        if fault is not None:
            self._set_order_aside(order, fault, received)
            return
        all_booked = own.pending == 0 and own.is_newest
        match order.do:
            case "resync":
                writes.begin_resync(self._db, order.id, None)
                self.session.hello_again()
            case "new_epoch" if all_booked:
                detail = f"by order {order.id}: {own.epoch} ends at entry {own.end.seq}"
                incident = Incident(at=moment.at, kind="new_epoch", detail=detail)
                writes.begin_epoch(self._db, self._epoch_bits(), order.id, incident)
                _log_incident(incident)
            case "wipe" if all_booked:
                detail = f"by order {order.id}: cards, accounts, rules and booked entries deleted"
                incident = Incident(at=moment.at, kind="wipe", detail=detail)
                writes.wipe(self._db, order.id, incident)
                _log_incident(incident)
                self.session.hello_again()
            case "new_epoch" | "wipe":
                return
            case unknown if order.id not in self._unknown_orders:
                detail = f"order {order.id}: this version does not know {unknown!r}"
                incident = Incident(at=moment.at, kind="unknown_order", detail=detail)
                writes.add_incident(self._db, incident)
                self._unknown_orders.add(order.id)
                _log_incident(incident)

    def _set_order_aside(self, order: Order, fault: str, received: Received) -> None:
        if order.id in self._unknown_orders:
            return
        aside = SetAside(
            at=received.moment.at, topic=received.topic, payload=encode(order), reason=fault
        )
        writes.set_aside(self._db, aside)
        self._unknown_orders.add(order.id)
        log.warning("Order set aside: %s", fault)

    def _resync(self, detail: str, moment: Moment) -> None:
        """Report a difference, and ask for all records again, but not too often."""
        incident = Incident(at=moment.at, kind="digest", detail=detail)
        last_ms = self._resynced_ms
        if last_ms is None or moment.mono_ms - last_ms >= RESYNC_EVERY_MS:
            writes.begin_resync(self._db, None, incident)
            self._resynced_ms = moment.mono_ms
            self.session.hello_again()
        else:
            writes.add_incident(self._db, incident)
        _log_incident(incident)

    def _hello(self, own: Standing, moment: Moment) -> bytes:
        self._hello_number = (self._hello_number + 1) % HELLOS_COUNTED
        hello = Hello(
            epoch=own.epoch,
            oldest=own.oldest,
            last=own.end.seq,
            acked=own.acked.seq,
            head=own.end.hash,
            acked_head=own.acked.hash,
            generation=own.generation,
            position=own.position,
            order_done=own.order_done,
            software=self._software,
            schema=CONTRACT_VERSION,
            clock=moment.trust,
            at=moment.at,
            boot=moment.boot,
            mono_ms=moment.mono_ms,
            nonce=f"{moment.boot[:NONCE_BOOT_CHARACTERS]}-{moment.mono_ms}-{self._hello_number}",
            before=own.previous,
            wiped=own.is_wiped,
        )
        self._answers.asked(hello)
        return encode(hello)

    def _entries(self, epoch: str, first: int, count: int) -> bytes:
        previous, bodies = reads.batch(self._db, epoch, first, count)
        entries = [Raw(body) for body in bodies]
        return encode(Entries(epoch=epoch, prev=previous, entries=entries))

    def _publish(self, leaf: Leaf, payload: bytes) -> LinkEffect:
        topic = self._topics.of(self._terminal, leaf)
        return Publish(topic=topic, payload=payload, retain=False)


def _is_worth_noting(before: Instant | None, now: Instant) -> bool:
    return before is None or now < before or age_ms(before, now) >= CONTACT_EVERY_MS


def _log_changes(changes: Changeset, changed: int) -> None:
    _log_incident(changes.incident)
    for incident in changes.unknown_values:
        log.warning("%s.", incident.detail)
    for record in changes.unreadable:
        log.warning("Record set aside: %s", record.reason)
    if changed:
        extra = {"fields": {"position": changes.to}}
        log.debug("%d records changed, position %d", changed, changes.to, extra=extra)
    for note in changes.notes:
        log.warning("Central's note on entry %d: %s, %s", note.seq, note.status, note.reason)
    for later in changes.later_notes:
        log.info(
            "Central's note on entry %d is now: %s, %s", later.entry.seq, later.status, later.reason
        )


def _log_incident(incident: Incident | None) -> None:
    if incident is not None:
        fields = {"fields": {"incident": incident.kind}}
        log.error("Incident %s: %s", incident.kind, incident.detail, extra=fields)
