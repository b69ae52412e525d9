"""The core of a terminal: events in, effects out.

`turn` is one turn of the main loop, of the process and of the simulator alike. It has no threads,
no sleeps and no I/O but the database; time and randomness are arguments. While the file cannot be
used, taps are answered *out of order* and the file is tried again until it works. If a turn raises,
the process ends, systemd starts it again, and it continues from what is on the disk.
"""

import logging
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, assert_never
from zoneinfo import ZoneInfo

import msgspec

from agent.domain.card import Token
from agent.domain.clock import Moment, Reading
from agent.domain.timekeeper import Timekeeper
from agent.errors import DamagedError, RecordError, RoomMadeError, StoreError
from agent.ops.control_messages import word_of
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderUp,
    Show,
    SignalFailed,
)
from agent.store import writes
from agent.store.database import Database
from agent.store.recovery import close_without_checkpoint
from agent.store.standing import standing
from agent.sync.events import (
    Acknowledge,
    Arrived,
    Denied,
    DropLink,
    LinkDown,
    LinkState,
    LinkUp,
    Publish,
    Taken,
)
from agent.sync.messages import TerminalState, encode
from agent.sync.topics import Leaf, Topics
from agent.terminal import status
from agent.terminal.backlog import Backlog
from agent.terminal.certificates import Certificates
from agent.terminal.clock_report import ClockReport
from agent.terminal.control import Answer, Request
from agent.terminal.counter import Counter
from agent.terminal.events import Effect, Event
from agent.terminal.faults import faults, status_of
from agent.terminal.housekeeping import Housekeeping
from agent.terminal.lookups import Lookups
from agent.terminal.outages import Outages
from agent.terminal.replication import Replication
from agent.terminal.requests import Requests
from agent.terminal.staff_lock import StaffLock
from agent.terminal.storage_fault import StorageFault
from agent.terminal.wrong_times import WrongTimes

STATE_EVERY_MS = 300_000

_Done = TypeVar("_Done")

log = logging.getLogger("agent.terminal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a terminal is, and what it needs from outside.

    `open_ledger` opens its file and raises `StoreError` while it cannot; its argument is the damage
    that a running terminal found, None for an ordinary try. `spread` returns a number in [0, 1) for
    jitter, `epoch_bits` 16 hex digits of randomness.
    """

    town: str
    terminal: str
    zone: ZoneInfo
    card_key: bytes
    readers: tuple[str, ...]
    software: str
    needs_staff_card: bool
    spread: Callable[[], float]
    epoch_bits: Callable[[], str]
    open_ledger: Callable[[str | None], Database]
    machine: Callable[[], status.Machine] = status.Machine
    certificates: Certificates = field(default_factory=Certificates)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """An open file, and what works on it."""

    db: Database
    counter: Counter
    replication: Replication
    housekeeping: Housekeeping
    backlog: Backlog
    requests: Requests
    wrong_times: WrongTimes


class Terminal:
    """One terminal. Either its file is open and works, or `fault` says why not."""

    def __init__(self, setup: Setup, reading: Reading) -> None:
        self._setup, self._started_ms = setup, reading.mono_ms
        self._topics = Topics(setup.town)
        self.outages = Outages(setup.readers)
        self._time = Timekeeper(setup.zone)
        self._ledger: _Ledger | None = None
        self._damage: str | None = None
        self._tapped_ms = 0
        self._state_ms: int | None = None
        self._mirror_sent: str | None = None
        self.fault: StorageFault | None = None
        self.mirror: str | None = None  # state of the second copy of the ledger; None: not wanted
        self._clock = ClockReport()
        try:
            self._open(reading)
        except StoreError as error:
            self._fail(error, None, reading)

    @property
    def db(self) -> Database | None:
        """Return the file while it works."""
        return self._ledger.db if self._ledger is not None and self.fault is None else None

    def moment(self, reading: Reading) -> Moment:
        """Return the time as an entry made now would carry it."""
        moment = self._time.moment(reading)
        self._clock.log(self._time.fault, reading.mono_ms)
        return moment

    def turn(self, event: Event | None, reading: Reading) -> Iterator[Effect]:
        """Do one turn of the main loop: an event, or housekeeping when none waits.

        Yield what is to be done, in order, everything it needs committed before. A caller that
        stops between two effects leaves what a power cut leaves.
        """
        moment = self.moment(reading)
        if isinstance(event, ReaderUp | ReaderDown | SignalFailed | LinkState):
            self.outages.note(event, moment.mono_ms)  # sent only once, and needs no file
        if self.fault is not None and not self.fault.is_due(reading.mono_ms):
            yield from self._answer_without_file(self.fault, event, reading)
            return
        try:
            if self.fault is not None:
                self._recover(self.fault, reading)
                # Messages that arrived meanwhile were not acknowledged: the broker repeats them.
                yield DropLink()
            ledger = self._working()
            if event is not None:
                handle = partial(self.handle, event, moment)
                yield from self._with_readable_records(ledger, handle, moment)
                event = None  # it is answered: what fails from here on is not its fault
            else:
                self._with_readable_records(ledger, partial(self.idle, moment), moment)
            yield from self.due(moment)
        except StoreError as error:
            yield from self._fail(error, event, reading)

    def take_fault(self, error: StoreError, reading: Reading) -> list[Effect]:
        """Take a fault of the file, or a damaged record, that was met between two turns."""
        if isinstance(error, RecordError):
            self._working().replication.drop_record(error, self.moment(reading))
            return []
        return self._fail(error, None, reading)

    def handle(self, event: Event, moment: Moment) -> list[Effect]:
        """Return the effects of one event. Raise `StoreError` when the disk does not take it."""
        ledger = self._working()
        self._judge_times(ledger, moment)  # a tap is decided by what is known of earlier meals
        match event:
            case CardPresented() | CardUnreadable():
                signal, entry = ledger.counter.tap(event, moment)
                self._recorded(moment)
                if isinstance(event, CardUnreadable):
                    self.outages.note_unreadable(event, entry.at)
                return [Show(reader=event.reader, tap=event.tap, signal=signal)]
            case Arrived():
                return self._receive(event, moment)
            case Request():
                self._answer(event, moment)
                return []
            case LinkUp(limits=limits):
                self.outages.note(event, moment.mono_ms)
                ledger.replication.link_up(limits, moment)
                return [self._state(moment)]
            case LinkDown():
                self.outages.note(event, moment.mono_ms)
                ledger.replication.link_down(event, moment)
                return []
            case Denied() | Taken():
                self.outages.note(event, moment.mono_ms)
                return [self._state(moment)]
            case ReaderUp() | ReaderDown():
                return [self._state(moment)] if self.outages.link is None else []
            case SignalFailed():
                return []
            case _:
                assert_never(event)

    def due(self, moment: Moment) -> list[Effect]:
        """Return what is to be sent now: after an event's effects, or when `wake_ms` is over."""
        ledger, last_ms = self._working(), self._state_ms
        effects = ledger.replication.due(moment)
        is_due = last_ms is None or moment.mono_ms - last_ms >= STATE_EVERY_MS
        is_due |= ledger.backlog.look(moment) | ledger.housekeeping.is_news()
        is_due |= self._clock.is_news(self._time.fault, moment.trust, moment.mono_ms)
        is_due |= self._mirror_sent != self.mirror
        return [*effects, self._state(moment)] if is_due and not self.outages.link else [*effects]

    def idle(self, moment: Moment) -> None:
        """Do one step of housekeeping while no event waits."""
        ledger = self._working()
        ledger.replication.step(moment)
        self._judge_times(ledger, moment)
        ledger.housekeeping.step(moment, self._tapped_ms)

    def wake_ms(self, reading: Reading) -> int | None:
        """Return in how many milliseconds the next turn is due without an event.

        None while only `state` and housekeeping are due later.
        """
        if self.fault is not None:
            return max(0, self.fault.tried_ms + self.fault.pause_ms - reading.mono_ms)
        ledger = self._working()
        if ledger.replication.has_steps or ledger.wrong_times.is_due:
            return 0
        return ledger.replication.session.wake_ms(reading.mono_ms)

    def summary(self) -> str:
        """Return one line for `systemctl status`."""
        if self.fault is not None:
            return self.fault.summary
        ledger = self._working()
        faults = self._time.fault, ledger.housekeeping.faults()
        return status.summary(ledger.db, self.outages, ledger.backlog.fault(), *faults)

    def status(self, moment: Moment) -> Answer:
        """Return what the terminal is doing, for `canteen-agent status`."""
        ledger = self._working()
        answer = status.status(ledger.db, self.outages, ledger.backlog, self._time, moment)
        left_ms = ledger.counter.lock.left_ms(moment)
        own = {"software": self._setup.software, "mirror": self.mirror, "unlocked_ms": left_ms}
        return {**answer, **own, **ledger.housekeeping.words()}

    def close(self) -> None:
        """Close the file of a process that ends; on a full disk, its log keeps its place."""
        if self._ledger is not None:
            db = self._ledger.db
            close_without_checkpoint(db) if db.reserve.is_short else db.close()

    def _open(self, reading: Reading) -> None:
        """Open the file. Raise `StoreError` while that does not work."""
        setup = self._setup
        db = setup.open_ledger(self._damage)
        try:
            replication = Replication(
                db, software=setup.software, spread=setup.spread, epoch_bits=setup.epoch_bits
            )
            wrong_times = WrongTimes(db, self._time, reading.boot)
        except StoreError:
            close_without_checkpoint(db)  # it may be damaged
            raise
        lock = StaffLock(is_needed=setup.needs_staff_card)
        counter = Counter(db, setup.zone, setup.card_key, self._time, lock, self._started_ms)
        backlog = Backlog(db, self.outages, replication)
        requests = Requests(counter, Lookups(counter), self._time, self.status)
        keeping = Housekeeping(db, setup.zone, setup.certificates)
        self._ledger = _Ledger(db, counter, replication, keeping, backlog, requests, wrong_times)
        self._damage = None

    def _working(self) -> _Ledger:
        assert self._ledger is not None
        return self._ledger

    def _receive(self, message: Arrived, moment: Moment) -> list[Effect]:
        ledger = self._working()
        contact = ledger.replication.receive(message.topic, message.payload, moment)
        if contact is not None:
            self._time.take_contact(moment.mono_ms)
        if contact is not None and contact.answer is not None:
            self._time.take_answer(contact.answer, moment)
        ledger.housekeeping.file_changed()
        if standing(ledger.db).resyncing:
            # In small steps: a child that taps waits for one step, not for the whole snapshot.
            ledger.db.checkpoint()
        return [Acknowledge(message.receipt)]

    def _answer(self, request: Request, moment: Moment) -> None:
        if not request.claim():
            log.warning("Request %s dropped: its client had timed out.", word_of(request.ask))
            return
        answered = self._working().requests.answer(request, moment)
        if answered.entry is not None:
            self._recorded(moment)
        request.answer(**answered.answer)

    def _judge_times(self, ledger: _Ledger, moment: Moment) -> None:
        """Look for wrong times after the time was confirmed or changed, and say hello."""
        if ledger.wrong_times.is_due:
            ledger.wrong_times.step(moment)
            ledger.replication.session.hello_again()  # its time dates entries at the central

    def _recorded(self, moment: Moment) -> None:
        self._tapped_ms = moment.mono_ms
        self._working().housekeeping.file_changed()

    def _with_readable_records(
        self, ledger: _Ledger, work: Callable[[], _Done], moment: Moment
    ) -> _Done:
        """Do work again after a damaged record was deleted, or room was made on a full disk."""
        while True:
            try:
                return work()
            except RoomMadeError:
                pass
            except RecordError as error:
                ledger.replication.drop_record(error, moment)

    def _fail(self, error: StoreError, event: Event | None, reading: Reading) -> list[Effect]:
        """Begin or continue a fault, close a damaged file, and return the answer to the event."""
        if self.fault is None:
            self.fault, is_news = StorageFault.begin(error, event, reading.mono_ms), True
        else:
            is_news = self.fault.is_news(error, reading.mono_ms)
        if isinstance(error, DamagedError):
            self._damage = str(error)
            if self._ledger is not None:
                close_without_checkpoint(self._ledger.db)
                self._ledger = None
        return self._answer_without_file(self.fault, event, reading, is_news=is_news)

    def _answer_without_file(
        self, fault: StorageFault, event: Event | None, reading: Reading, *, is_news: bool = False
    ) -> list[Effect]:
        """Return the signal for a tap, and the `state` after a new reason or outage."""
        if isinstance(event, LinkDown) and self._ledger is not None:
            self._ledger.replication.session.link_down()
        effects = fault.answer(event, reading, self._setup.card_key)
        is_news = is_news or isinstance(event, LinkUp | ReaderUp | ReaderDown)
        if is_news and self.outages.link is None:
            state = status.state_without_file(fault.reason, self.outages)
            effects.append(self._publish_state(state, self.moment(reading)))
        return effects

    def _recover(self, fault: StorageFault, reading: Reading) -> None:
        """Try the file again and record what was tapped meanwhile. Raise `StoreError`.

        Taps and incidents are one transaction. A fault that ends it leaves nothing recorded.
        """
        fault.trying(reading.mono_ms, is_closed=self._ledger is None)
        if self._ledger is not None:
            self._ledger.db.reopen()
        else:
            self._open(reading)
        ledger = self._working()
        moment = self.moment(reading)
        record_kept = partial(self._record_kept, fault, ledger, moment)
        self._with_readable_records(ledger, record_kept, moment)
        log.warning("The file works again: %d taps got 'out of order'.", fault.taps)
        self.fault, self._state_ms = None, None

    def _record_kept(self, fault: StorageFault, ledger: _Ledger, now: Moment) -> None:
        """Record the kept taps, each at its time, with the incidents of the fault."""
        time = copy(self._time)
        is_recorded = fault.unknown is not None and writes.is_on_disk(ledger.db, fault.unknown)
        taps: list[tuple[Token | None, Moment]] = []
        for token, reading in fault.taps_to_record(is_recorded=is_recorded):
            taps.append((token, time.moment(reading)))
        incidents = fault.incidents(now.at, is_recorded=is_recorded, taps_recorded=len(taps))
        ledger.counter.record_unanswered(taps, incidents)
        ledger.housekeeping.file_changed()

    def _state(self, moment: Moment) -> Publish:
        self._state_ms = moment.mono_ms
        ledger = self._working()
        broken = faults(status_of(self.status(moment)), self.outages)
        parts = ledger.backlog.fault(), ledger.housekeeping.disk.fault, broken
        return self._publish_state(status.state(ledger.db, *parts), moment)

    def _publish_state(self, state: TerminalState, moment: Moment) -> Publish:
        self._clock.sent(self._time.fault, moment.trust, moment.mono_ms)
        self._mirror_sent = self.mirror
        state = msgspec.structs.replace(
            status.with_machine(state, self.outages, self._time, moment),
            software=self._setup.software,
            mirror=self.mirror,
            **self._setup.machine()._asdict(),
        )
        topic = self._topics.of(self._setup.terminal, Leaf.STATE)
        return Publish(topic=topic, payload=encode(state), retain=True)
