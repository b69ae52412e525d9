"""Replicates with the central: what arrives goes into the store, what is due goes out.

A message takes effect in one transaction and is acknowledged to the broker afterwards. A message
that cannot be used is set aside with the reason and acknowledged, so the next ones are handled.
Nothing here decides about meals.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Raw

from agent.domain.clock import ClockTrust, Instant, Moment, age_ms
from agent.domain.ledger import Place
from agent.domain.timekeeper import Answer
from agent.errors import RecordError, SyncError, cut_reason
from agent.store import reads, writes
from agent.store.cache import Standing
from agent.store.database import Database
from agent.store.rows import Changeset, Incident, SetAside
from agent.store.standing import find_place, standing, tail
from agent.sync.brake import Reminder
from agent.sync.events import DropLink, LinkDown, LinkEffect, Publish
from agent.sync.limits import Limits
from agent.sync.messages import (
    CONTRACT_VERSION,
    MESSAGE_BYTES_MAX,
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
from agent.terminal.brakes import Brakes
from agent.terminal.comparison import Comparison
from agent.terminal.counted import CountedIncidents, log_incident
from agent.terminal.decision import Received, Step, decide, readable_now

CONTACT_EVERY_MS = (
    60_000  # the age of the data is shown in minutes; a flush per answer wears the card
)
NONCE_BOOT_CHARACTERS = 36  # a kernel's boot id
HELLOS_COUNTED = 1_000_000  # more than one boot sends in a millisecond
HELLOS_KEPT = 4  # an answer to an older one says nothing about now

log = logging.getLogger("agent.link")


class Contact(NamedTuple):
    """A message of the central arrived that continues this terminal's standing.

    `answer` is its time, None for a message that answers no hello of this boot.
    """

    answer: Answer | None


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
        self.incidents = CountedIncidents(db)
        self._set_aside = Reminder()
        self._brakes = Brakes(self.incidents)
        self.limits = Limits()
        self.too_large: str | None = None  # why the next entry cannot be sent
        self.central_online: bool | None = None
        self.unusable: str | None = None  # why the central's last message could not be used
        self._unknown_orders: set[str] = set()
        self._hellos: dict[str, int] = {}  # nonce of a hello, and when it left
        self._nonce: str | None = None  # of the newest hello

    @property
    def has_steps(self) -> bool:
        """Return whether `step` has work to do between taps."""
        return self._comparison.is_going_on

    def link_up(self, limits: Limits, moment: Moment) -> None:
        """Begin on a new connection, whose broker has these limits."""
        self.limits, self.too_large, self.central_online = limits, None, None
        self.session.link_up(moment.mono_ms)

    def link_down(self, event: LinkDown, moment: Moment) -> None:
        """End a connection. Another client with this identity is an incident."""
        self.session.link_down()
        if event.is_takeover:
            self.incidents.add("identity_in_use", event.reason, moment)

    def receive(self, topic: str, payload: bytes, moment: Moment) -> Contact | None:
        """Take one message. Return what it says of the time if it is for this terminal."""
        try:
            if topic == self._topics.central_state:
                self.central_online = decode(payload, CentralState).online
                if self.central_online:
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
            if topic == self._topics.of(self._terminal, Leaf.CHANGES):
                self.unusable = reason
                if self._nonce is not None and self._nonce.encode() in payload:  # surely an answer
                    detail = f"the central's answer is unusable: {reason}"
                    self.incidents.add("answer", detail, moment)
            if self._set_aside.is_due(moment.mono_ms, reason):
                log.warning("Message on %s set aside: %s", topic, reason)
            return None

    def due(self, moment: Moment) -> list[LinkEffect]:
        """Return what to send now."""
        own = standing(self._db)
        effects: list[LinkEffect] = []
        self.session.confirms_time = moment.trust is not ClockTrust.SYNCED
        due = self.session.due(
            moment.mono_ms,
            acked=own.acked,
            last=own.end.seq,
            fit=lambda first, count: self._fit(own.epoch, first, count, moment),
        )
        for action in due:
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
        """Continue a digest for some milliseconds, and write the counts that are due."""
        self.incidents.step(moment)
        difference = self._comparison.step()
        if difference is not None:
            self._resync(difference, moment)
            self._comparison.end()  # not before: after a failed write it is compared again

    def drop_record(self, error: RecordError, moment: Moment) -> None:
        """Delete a record that cannot be read, and ask the central for all records again."""
        incident = Incident(at=moment.at, kind="record", detail=str(error))
        writes.drop_record(self._db, error.kind, error.id, incident)
        log_incident(incident)
        self._comparison.end()
        self.session.hello_again()

    def _take(self, received: Received) -> Contact | None:
        """Do what `decide` says with a `changes` message. Return its time if it is an answer."""
        message, moment = received.message, received.moment
        own = standing(self._db)
        decision = decide(own, find_place(self._db, message.acked), received)
        is_answer = message.nonce is not None and message.nonce == self._nonce
        if decision.changes is None:
            if decision.step is Step.GAP:
                self._report_answer(self._answers.refused(decision.row, message, own), moment)
                self.session.gap(is_answer=is_answer)
            return None
        if self._brakes.holds_generation(decision.changes, moment):
            return None
        self._write(decision.step, decision.changes, own.last_contact_at)
        self.unusable = None
        self._report_answer(self._answers.taken(decision.changes), moment)
        if decision.step is Step.ADOPT:
            self.session.hello_again()
        else:
            self.session.answered(moment.mono_ms, more=decision.more, is_answer=is_answer)
        if decision.order is not None:
            self._obey(decision.order, received)
        if decision.step is not Step.ACKNOWLEDGE:
            self._comparison.begin(message.digest)
        return self._contact(message, moment)

    def _contact(self, message: Changes, moment: Moment) -> Contact:
        """Return what a message says of the time: only the answer to a hello of this boot does."""
        sent_ms = self._hellos.pop(message.nonce, None) if message.nonce is not None else None
        if sent_ms is None:
            return Contact(None)
        return Contact(Answer(message.at, sent_ms, moment.mono_ms))

    def _write(self, step: Step, changes: Changeset, contact_before: Instant | None) -> None:
        """Put into the file what a decision takes, and log it."""
        contact_at = changes.last_contact_at
        match step:
            case Step.ACKNOWLEDGE:
                writes.acknowledge(self._db, changes)
            case Step.ADOPT:
                writes.adopt_generation(self._db, changes.generation, contact_at, changes.incident)
                log_incident(changes.incident)
            case Step.APPLY:
                changed = writes.apply_changes(self._db, changes)
                _log_changes(changes, changed)
            case Step.NOTHING_NEW if contact_at and _is_worth_noting(contact_before, contact_at):
                writes.note_contact(self._db, contact_at)

    def _report_answer(self, fault: str | None, moment: Moment) -> None:
        if fault is not None:
            incident = Incident(at=moment.at, kind="answer", detail=fault)
            writes.add_incident(self._db, incident)
            log_incident(incident)

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
            case "resync" if self._brakes.holds_order(order, moment):
                return
            case "resync":
                writes.begin_resync(self._db, order.id, None)
                self.session.hello_again()
            case "new_epoch" if all_booked and self._brakes.holds_order(order, moment):
                return
            case "new_epoch" if all_booked:
                detail = f"by order {order.id}: {own.epoch} ends at entry {own.end.seq}"
                incident = Incident(at=moment.at, kind="new_epoch", detail=detail)
                writes.begin_epoch(self._db, self._epoch_bits(), order.id, incident)
                log_incident(incident)
            case "wipe" if all_booked:
                detail = f"by order {order.id}: cards, accounts, rules and booked entries deleted"
                incident = Incident(at=moment.at, kind="wipe", detail=detail)
                writes.wipe(self._db, order.id, incident)
                log_incident(incident)
                self.session.hello_again()
            case "new_epoch" | "wipe":
                return
            case unknown if order.id not in self._unknown_orders:
                detail = f"order {order.id}: this version does not know {unknown!r}"
                incident = Incident(at=moment.at, kind="unknown_order", detail=detail)
                writes.add_incident(self._db, incident)
                self._unknown_orders.add(order.id)
                log_incident(incident)

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
        if not self._brakes.resyncs.take(moment.mono_ms):
            self.incidents.add("digest", detail, moment)
            return
        incident = self.incidents.first("digest", detail, moment)
        writes.begin_resync(self._db, None, incident)
        log_incident(incident)
        self.session.hello_again()

    def _hello(self, own: Standing, moment: Moment) -> bytes:
        self._hello_number = (self._hello_number + 1) % HELLOS_COUNTED
        boot = moment.boot[:NONCE_BOOT_CHARACTERS]
        self._nonce = f"{boot}-{moment.mono_ms}-{self._hello_number}"
        self._hellos[self._nonce] = moment.mono_ms
        while len(self._hellos) > HELLOS_KEPT:
            del self._hellos[next(iter(self._hellos))]
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
            nonce=self._nonce,
            before=own.previous,
            wiped=own.is_wiped,
        )
        self._answers.asked(hello)
        return encode(hello)

    def _entries(self, epoch: str, first: int, count: int) -> bytes:
        previous, bodies = reads.batch(self._db, epoch, first, count)
        entries = [Raw(body) for body in bodies]
        return encode(Entries(epoch=epoch, prev=previous, entries=entries))

    def _fit(self, epoch: str, first: int, count: int, moment: Moment) -> int:
        """Return how many of the entries from `first` on fit into one message of the broker."""
        topic = self._topics.of(self._terminal, Leaf.ENTRIES)
        room = self.limits.payload_bytes(topic)
        if room >= MESSAGE_BYTES_MAX:
            return count
        previous, bodies = reads.batch(self._db, epoch, first, count)
        size = len(encode(Entries(epoch=epoch, prev=previous, entries=[])))
        fitting = 0
        for body in bodies:
            size += len(body) + 1  # and a comma
            if size > room:
                break
            fitting += 1
        self.too_large = self.limits.too_large(topic, size) if fitting == 0 else None
        if self.too_large is not None:
            self.incidents.add("packet_size", f"entry {first}: {self.too_large}", moment)
        return fitting

    def _publish(self, leaf: Leaf, payload: bytes) -> LinkEffect:
        topic = self._topics.of(self._terminal, leaf)
        return Publish(topic=topic, payload=payload, retain=False)


def _is_worth_noting(before: Instant | None, now: Instant) -> bool:
    return before is None or now < before or age_ms(before, now) >= CONTACT_EVERY_MS


def _log_changes(changes: Changeset, changed: int) -> None:
    log_incident(changes.incident)
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
