"""Replicates with the central: what arrives goes into the store, what is due goes out.

A message takes effect in one transaction and is acknowledged to the broker afterwards. A message
that cannot be used is set aside with the reason and acknowledged, so the next ones are handled.
Nothing here decides about meals.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Raw

from agent.domain.clock import Instant, Moment, age_ms
from agent.domain.digest import Tally
from agent.errors import RecordError, SyncError, cut_reason
from agent.store import reads, writes
from agent.store.cache import Standing
from agent.store.database import Database
from agent.store.rows import Changeset, Incident, SetAside
from agent.store.standing import find_place, standing
from agent.sync.brake import Reminder
from agent.sync.events import DropLink, LinkDown, LinkEffect, Publish
from agent.sync.limits import Limits
from agent.sync.messages import (
    CONTRACT_VERSION,
    MESSAGE_BYTES_MAX,
    CentralState,
    Changes,
    Digest,
    Entries,
    Hello,
    Order,
    decode,
    encode,
)
from agent.sync.session import Reconnect, SayHello, SendEntries, Session
from agent.sync.topics import Leaf, Topics
from agent.terminal.brakes import Brakes
from agent.terminal.counted import CountedIncidents, log_incident
from agent.terminal.decision import Received, Step, decide

CONTACT_EVERY_MS = (
    60_000  # the age of the data is shown in minutes; a flush per answer wears the card
)
NONCE_BOOT_CHARACTERS = 36  # a kernel's boot id; one boot sends no two hellos in a millisecond
CENTRAL_AHEAD_MS = 3_600_000  # two right clocks never differ by so much

log = logging.getLogger("agent.link")


@dataclass(slots=True)
class _DigestWalk:
    """A digest that is recomputed in steps between taps, and given up when the position moves."""

    expected: Digest
    tally: Tally
    after: tuple[str, str]


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
        self._walk: _DigestWalk | None = None
        self.incidents = CountedIncidents(db)
        self._set_aside = Reminder()
        self._brakes = Brakes(self.incidents)
        self.limits = Limits()
        self.too_large: str | None = None  # why the next entry cannot be sent
        self.central_online: bool | None = None
        self._unknown_orders: set[str] = set()
        self._central_is_ahead = False
        self._nonce: str | None = None  # of the newest hello

    @property
    def has_steps(self) -> bool:
        """Return whether `step` has work to do between taps."""
        return self._walk is not None

    def link_up(self, limits: Limits, moment: Moment) -> None:
        """Begin on a new connection, whose broker has these limits."""
        self.limits, self.too_large, self.central_online = limits, None, None
        self.session.link_up(moment.mono_ms)

    def link_down(self, event: LinkDown, moment: Moment) -> None:
        """End a connection. Another client with this identity is an incident."""
        self.session.link_down()
        if event.is_takeover:
            self.incidents.add("identity_in_use", event.reason, moment)

    def receive(self, topic: str, payload: bytes, moment: Moment) -> Instant | None:
        """Take one message. Return the central's time if it answers this terminal, else None."""
        try:
            if topic == self._topics.central_state:
                self.central_online = decode(payload, CentralState).online
                if self.central_online:
                    self.session.hello_again()
                return None
            if topic == self._topics.of(self._terminal, Leaf.CHANGES):
                return self._take(Received(decode(payload, Changes), topic, moment))
            raise SyncError("not a topic that this terminal reads")
        except SyncError as error:
            reason = cut_reason(str(error))
            message = SetAside(at=moment.at, topic=topic, payload=payload, reason=reason)
            writes.set_aside(self._db, message)
            if self._set_aside.is_due(moment.mono_ms, reason):
                log.warning("Message on %s set aside: %s", topic, reason)
            return None

    def due(self, moment: Moment) -> list[LinkEffect]:
        """Return what to send now."""
        own = standing(self._db)
        effects: list[LinkEffect] = []
        due = self.session.due(
            moment.mono_ms,
            acked=own.acked,
            last=own.end.seq,
            fit=lambda first, count: self._fit(own.epoch, first, count, moment),
        )
        for action in due:
            match action:
                case SayHello():
                    self._nonce = f"{moment.boot[:NONCE_BOOT_CHARACTERS]}-{moment.mono_ms}"
                    effects.append(self._publish(Leaf.HELLO, self._hello(own, moment)))
                case SendEntries(first=first, count=count):
                    batch = self._entries(own.epoch, first, count)
                    effects.append(self._publish(Leaf.ENTRIES, batch))
                case Reconnect():
                    log.warning("Link: no answer from the central for 15 min; connecting again.")
                    effects.append(DropLink())
        return effects

    def step(self, moment: Moment) -> None:
        """Continue a digest for some milliseconds, and write the counts that are due."""
        self.incidents.step(moment)
        walk = self._walk
        if walk is None:
            return
        if standing(self._db).position != walk.expected.position:
            self._walk = None
            return
        walk.tally, after = reads.digest_step(self._db, walk.tally, walk.after)
        if after is not None:
            walk.after = after
            return
        self._compare(walk.expected, walk.tally, moment)
        self._walk = None  # not before: after a failed write it is compared again

    def drop_record(self, error: RecordError, moment: Moment) -> None:
        """Delete a record that cannot be read, and ask the central for all records again."""
        incident = Incident(at=moment.at, kind="record", detail=str(error))
        writes.drop_record(self._db, error.kind, error.id, incident)
        log_incident(incident)
        self._walk = None
        self.session.hello_again()

    def _take(self, received: Received) -> Instant | None:
        """Do what `decide` says with a `changes` message. Return its time if it is an answer."""
        message, moment = received.message, received.moment
        own = standing(self._db)
        self._check_central_clock(message, moment)
        decision = decide(own, find_place(self._db, message.acked), received)
        is_answer = message.nonce is not None and message.nonce == self._nonce
        if decision.changes is None:
            if decision.step is Step.GAP:
                self.session.gap(is_answer=is_answer)
            return None
        if self._brakes.holds_generation(decision.changes, moment):
            return None
        self._write(decision.step, decision.changes, own.last_contact_at)
        if decision.step is Step.ADOPT:
            self.session.hello_again()
        else:
            self.session.answered(moment.mono_ms, more=decision.more, is_answer=is_answer)
        if decision.order is not None:
            self._obey(decision.order, moment)
        if decision.step is not Step.ACKNOWLEDGE:
            self._begin_digest(message)
        return message.at

    def _write(self, step: Step, changes: Changeset, contact_before: Instant | None) -> None:
        """Put into the file what a decision takes, and log it."""
        contact_at = changes.last_contact_at
        match step:
            case Step.ACKNOWLEDGE:
                writes.acknowledge(self._db, changes.acked, changes.notes, contact_at)
            case Step.ADOPT:
                writes.adopt_generation(self._db, changes.generation, contact_at, changes.incident)
                log_incident(changes.incident)
            case Step.APPLY:
                changed = writes.apply_changes(self._db, changes)
                _log_changes(changes, changed)
            case Step.NOTHING_NEW if _is_worth_noting(contact_before, contact_at):
                writes.note_contact(self._db, contact_at)

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

    def _begin_digest(self, message: Changes) -> None:
        """Compare records with the central's digest, if it is about the position we stand at.

        Not during a resynchronisation: records that changed meanwhile are still to come.
        """
        own = standing(self._db)
        digest = message.digest
        if digest is not None and digest.position == own.position and not own.resyncing:
            self._walk = _DigestWalk(expected=digest, tally=Tally(), after=("", ""))

    def _obey(self, order: Order, moment: Moment) -> None:
        """Do an order, once.

        The central repeats one that must wait until all entries are booked.
        """
        own = standing(self._db)
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
                detail = f"by order {order.id}: cards, accounts and rules deleted"
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

    def _compare(self, expected: Digest, tally: Tally, moment: Moment) -> None:
        own = (tally.accounts, tally.cards, tally.cents, tally.sum_hex)
        if own == (expected.accounts, expected.cards, expected.cents, expected.sum):
            return
        detail = (
            f"at position {expected.position}: terminal has {own[0]} accounts, {own[1]} cards,"
            f" {own[2]} cents, sum {own[3]}; central has {expected.accounts}, {expected.cards},"
            f" {expected.cents}, {expected.sum}"
        )
        if not self._brakes.resyncs.take(moment.mono_ms):
            self.incidents.add("digest", detail, moment)
            return
        incident = self.incidents.first("digest", detail, moment)
        writes.begin_resync(self._db, None, incident)
        log_incident(incident)
        self.session.hello_again()

    def _hello(self, own: Standing, moment: Moment) -> bytes:
        return encode(
            Hello(
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
            )
        )

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
    for record in changes.unreadable:
        log.warning("Record set aside: %s", record.reason)
    if changed:
        extra = {"fields": {"position": changes.to}}
        log.debug("%d records changed, position %d", changed, changes.to, extra=extra)
    for note in changes.notes:
        log.warning("Central's note on entry %d: %s, %s", note.seq, note.status, note.reason)
