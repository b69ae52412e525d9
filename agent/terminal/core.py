"""One terminal: events in, effects out. The machine's loop (`app.py`) and a simulator drive the same code.

`turn` is one turn of the loop: `handle` takes one event with what the clocks say and returns what is to be done, its writes
committed when it returns; `idle` keeps house when there is no event; `due` says what to send. No threads, no sleeps, no
I/O but the database; time and randomness are arguments. A file that fails is opened again until it works. If a turn raises, the
process ends: systemd starts it again and it looks at what is on the disk.
"""

import logging
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, assert_never
from zoneinfo import ZoneInfo

import msgspec

from agent.domain.canteen import Id, policy_on
from agent.domain.card import Token
from agent.domain.clock import Anchor, Day, Moment, Reading, day_of, format_instant, parse_instant
from agent.domain.ledger import Place, Seq
from agent.domain.tap import Refused, Served
from agent.domain.timekeeper import Timekeeper
from agent.errors import AgentError, DamagedError, RecordError, StoreError, UncertainCommitError
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderUp,
    Show,
    SignalFailed,
)
from agent.store import reads, writes
from agent.store.database import Database
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkUp, Publish
from agent.sync.messages import TerminalState, encode
from agent.sync.topics import Leaf, Topics
from agent.terminal.control import Request
from agent.terminal.counter import Counter
from agent.terminal.replication import Replication
from agent.terminal.storage_fault import KEPT_TAPS_MAX, LOOK_AGAIN_MS, Effect, Event, StorageFault

PRUNE_EVERY_MS = 600_000
CHECKPOINT_QUIET_MS = 3_000  # no tap for so long: the file may be tidied (while everything is told anew, with each message)
STATE_EVERY_MS = 300_000
LONGEST_DAY = timedelta(hours=25)  # when the clocks are put back

_Done = TypeVar("_Done")

log = logging.getLogger("agent.terminal")


@dataclass(slots=True)
class _Outage:
    """Since when something is down, and why; for one line down and one line back."""

    since_ms: int
    reason: str


@dataclass(slots=True)
class _Reader:
    """What is known of a reader: since when it is down, what it last could not read, and the signals it did not show."""

    outage: _Outage | None
    refused: str | None = None
    failed_signals: int = 0
    failed_why: str = ""

    def sentence(self) -> str:
        """Return how it does, for the staff."""
        if self.outage is not None:
            return f"down: {self.outage.reason}"
        parts = ["ready"]
        if self.failed_signals:
            parts.append(f"{self.failed_signals} signals failed, the last: {self.failed_why}")
        if self.refused is not None:
            parts.append(f"last refused {self.refused}")
        return "; ".join(parts)


class Terminal:
    """`readers` are the names of all configured readers; all are down until they report. `fault` is what kept the file shut."""

    def __init__(
        self,
        db: Database,
        *,
        zone: ZoneInfo,
        card_key: bytes,
        readers: list[str],
        software: str,
        spread: Callable[[], float],
        epoch_bits: Callable[[], str],
        fault: StorageFault | None = None,
    ) -> None:
        self._db = db
        self._zone = zone
        self._software = software
        here = reads.standing(db)
        self._id = here.terminal
        self._topics = Topics(here.town)
        self._card_key = card_key
        self._counter = Counter(db, zone, card_key)
        self._replication = Replication(db, software=software, spread=spread, epoch_bits=epoch_bits)
        self._readers = {name: _Reader(_Outage(0, "not reported yet")) for name in readers}
        self._link: _Outage | None = _Outage(0, "not connected yet")
        self._time = Timekeeper(_stored_anchors(db, here.last_contact_at), zone)
        self._tapped_ms = 0
        self._pruned_ms: int | None = None
        self._checkpoint_due = False
        self._state_ms: int | None = None
        self._fault = fault
        self.mirror: str | None = (
            None  # how the second copy of the ledger does; None: there is none
        )

    @property
    def fault(self) -> StorageFault | None:
        """Return what is wrong with its file, as far as it was used, and what was tapped since."""
        return self._fault

    def moment(self, reading: Reading) -> Moment:
        """Return the time as an entry made now would carry it."""
        return self._time.moment(reading)

    def turn(self, event: Event | None, reading: Reading) -> Iterator[Effect]:
        """Do one turn of the main loop: an event, or housekeeping when none waits. Yield what is to be done, in that order.

        Whoever stops between two of them leaves what a pulled plug leaves. When the file does not work, taps are told *out of order*
        until it does again. Raise `DamagedError` for a file that must be begun anew.
        """
        moment = self.moment(reading)
        if isinstance(
            event, ReaderUp | ReaderDown | SignalFailed
        ):  # needs no file, and is told once
            self._hear_of_reader(event, moment)
        try:
            if self._fault is not None:
                yield from self._look_again(self._fault, moment)
                moment = self.moment(
                    reading
                )  # what was recorded just now may have raised its floor
            if event is not None:
                yield from self._with_readable_records(partial(self.handle, event, moment), moment)
                event = None  # answered: what fails from here on is not its fault
            else:
                self._with_readable_records(partial(self.idle, moment), moment)
            yield from self.due(moment)
        except StoreError as error:
            yield from self._without_file(event, error, reading)
            if isinstance(error, DamagedError):
                raise

    def _with_readable_records(self, work: Callable[[], _Done], moment: Moment) -> _Done:
        """Do work that reads records before it writes anything. One that cannot be read any more is given up, and it is done again."""
        while True:
            try:
                return work()
            except RecordError as error:
                self._replication.forget(error, moment)

    def handle(self, event: Event, moment: Moment) -> list[Effect]:
        """Return what one event brings about. Raise `StoreError` when the disk does not take it: then nothing is green."""
        match event:
            case CardPresented() | CardUnreadable():
                signal, entry = self._counter.tap(event, moment)
                self._recorded(entry.at, moment)
                if isinstance(event, CardUnreadable):
                    self._readers[event.reader].refused = f"{entry.at}: {event.sentence}"
                return [Show(reader=event.reader, tap=event.tap, signal=signal)]
            case Arrived(topic=topic, payload=payload, receipt=receipt):
                central_at = self._replication.receive(topic, payload, moment)
                if central_at is not None:
                    self._time.take_central_time(central_at, moment)
                self._checkpoint_due = True
                if reads.standing(self._db).resyncing:
                    self._db.checkpoint()  # in bites: a child that taps waits for one, not for all that is told anew
                return [Acknowledge(receipt)]
            case Request() if event.abandoned.is_set():
                log.warning(
                    "a request to %s came too late to be done: its asker had been told so", event.do
                )
                return []
            case Request():
                event.answer(**self._answer(event, moment))
                return []
            case LinkUp():
                _log_back("link", self._link, moment, "")
                self._link = None
                self._replication.session.link_up(moment.mono_ms)
                return [self._state(moment)]
            case LinkDown(reason=reason):
                self._link = _still_down("link", self._link, reason, moment)
                self._replication.session.link_down()
                return []
            case ReaderUp() | ReaderDown():
                return [self._state(moment)] if self._link is None else []
            case SignalFailed():
                return []
            case _:
                assert_never(event)

    def _hear_of_reader(self, event: ReaderUp | ReaderDown | SignalFailed, moment: Moment) -> None:
        here = self._readers[event.reader]
        match event:
            case ReaderUp(reader=reader, at=place):
                _log_back(f"reader '{reader}'", here.outage, moment, f" ({place})")
                here.outage = None
            case ReaderDown(reader=reader, reason=reason):
                here.outage = _still_down(f"reader '{reader}'", here.outage, reason, moment)
            case SignalFailed(reader=reader, reason=reason):
                here.failed_signals, here.failed_why = here.failed_signals + 1, reason
                if here.failed_signals == 1:
                    log.warning(
                        "reader '%s' does not show its signals: %s; counted from now on, see status",
                        reader,
                        reason,
                    )

    def due(self, moment: Moment) -> list[Effect]:
        """Return what is to be sent now. Called after the effects of every event are done, and when `wake_ms` is over."""
        effects: list[Effect] = [*self._replication.due(moment)]
        if self._link is None and (
            self._state_ms is None or moment.mono_ms - self._state_ms >= STATE_EVERY_MS
        ):
            effects.append(self._state(moment))
        return effects

    def idle(self, moment: Moment) -> None:
        """Do one bite of housekeeping. Called while no event waits."""
        self._replication.step(moment)
        if moment.mono_ms - self._tapped_ms >= CHECKPOINT_QUIET_MS:
            self._tidy(moment)

    def wake_ms(self, reading: Reading) -> int | None:
        """Return in how many milliseconds `idle` should be called without an event, None for whenever."""
        if self._fault is not None:
            return LOOK_AGAIN_MS
        if self._replication.has_steps:
            return 0
        return self._replication.session.wake_ms(reading.mono_ms)

    def summary(self) -> str:
        """Return one line for `systemctl status`."""
        if self._fault is not None:
            return self._fault.summary
        here = reads.standing(self._db)
        down = [name for name, reader in self._readers.items() if reader.outage]
        readers = (
            f"readers down: {', '.join(down)}" if down else f"{len(self._readers)} readers ready"
        )
        link = f"link down: {self._link.reason}" if self._link else "link up"
        return f"{readers}; {link}; {here.pending} entries waiting for the central"

    def status(self, moment: Moment) -> dict[str, Any]:
        """Return what the terminal is doing, for `canteen-agent status`."""
        here = reads.standing(self._db)
        held = reads.counts(self._db)
        age = self._counter.data_age_ms(moment)
        return {
            "town": here.town,
            "terminal": here.terminal,
            "software": self._software,
            "at": moment.at,
            "clock": moment.trust.value,
            "day": self._time.day(moment),
            "readers": {name: reader.sentence() for name, reader in self._readers.items()},
            "link": "up" if self._link is None else f"down: {self._link.reason}",
            "last_contact_s": None if age is None else age // 1000,
            "epoch": here.epoch,
            "last": here.last,
            "acked": here.acked,
            "pending": here.pending,
            "oldest_pending_at": reads.oldest_pending_at(self._db),
            "generation": here.generation,
            "position": here.position,
            "resyncing": here.resyncing,
            "accounts": held.pop("account", 0),
            "cards": held.pop("card", 0),
            "set_aside": held.pop("set_aside"),
            "notes": held.pop("note"),
            "incidents": held.pop("incident"),
            "mirror": self.mirror,
            "other_records": held,
        }

    def _answer(self, request: Request, moment: Moment) -> dict[str, Any]:
        """Return the answer to a person's request; a no is a sentence."""
        arguments = request.arguments
        try:
            match request.do:
                case "status":
                    return self.status(moment)
                case "day":
                    self._time.take_staff_day(msgspec.convert(arguments["day"], Day), moment)
                    log.warning("the clock is wrong; the staff say that it is %s", arguments["day"])
                    return {"day": arguments["day"]}
                case "storno":
                    entry = self._counter.undo(
                        msgspec.convert(arguments.get("seq"), Seq | None), moment
                    )
                case "meal":
                    outcome, entry = self._counter.meal_by_name(
                        msgspec.convert(arguments["account"], Id),
                        msgspec.convert(arguments.get("day"), Day | None),
                        msgspec.convert(arguments.get("service"), Id | None),
                        moment,
                    )
                    if not isinstance(outcome, Served):
                        self._recorded(entry.at, moment)
                        reason = (
                            outcome.reason.value
                            if isinstance(outcome, Refused)
                            else "already served"
                        )
                        return {
                            "error": f"no meal for {arguments['account']}: {reason.replace('_', ' ')}"
                        }
                case "closing":
                    entry = self._counter.close(msgspec.convert(arguments["trays"], int), moment)
                case unknown:
                    return {"error": f"this agent does not know how to {unknown!r}"}
        except RecordError:
            raise
        except AgentError as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"the request {request.do!r} lacks {error}"}
        except msgspec.ValidationError as error:
            return {"error": f"the request {request.do!r} cannot be done so: {error}"}
        self._recorded(entry.at, moment)
        return {
            "seq": entry.seq,
            "kind": entry.kind.value,
            "account": entry.account,
            "cents": entry.cents,
            "day": entry.day,
            "served": entry.served,
        }

    def _recorded(self, at: str, moment: Moment) -> None:
        self._time.take_entry_time(at, moment)
        self._tapped_ms = moment.mono_ms
        self._checkpoint_due = True

    def _tidy(self, moment: Moment) -> None:
        """Forget what is booked and old, and bring the write-ahead log into the file, while nobody waits."""
        if self._pruned_ms is None or moment.mono_ms - self._pruned_ms >= PRUNE_EVERY_MS:
            if self._prune() == 0:
                self._pruned_ms = moment.mono_ms
                self._reserve()
        elif self._checkpoint_due:
            self._db.checkpoint()
            self._checkpoint_due = False

    def _prune(self) -> int:
        """Forget a bite of what is booked and old. Return how many entries.

        Old by the newest time the disk holds, recorded or heard, never by the clock: one that is days ahead is put right. And never of the
        newest entry's own day: no later entry is made below it, so no day whose meals are forgotten is eaten again, whatever was heard.
        """
        entry = reads.latest_entry(self._db)
        if entry is None:
            return 0
        newest = max(entry.at, reads.standing(self._db).last_contact_at or "")
        keep = policy_on(reads.policies(self._db), day_of(newest, self._zone)).keep_days
        before = min(
            parse_instant(newest) - timedelta(days=keep), parse_instant(entry.at) - LONGEST_DAY
        )
        return writes.prune(self._db, before=format_instant(before))

    def _look_again(self, fault: StorageFault, moment: Moment) -> Iterator[Effect]:
        """Open the file again and write into it what happened meanwhile. Raise `StoreError` while that does not work."""
        if moment.mono_ms - fault.tried_ms < LOOK_AGAIN_MS:
            raise StoreError(fault.sentence)
        fault.tried_ms = moment.mono_ms
        self._db.reopen()
        self._with_readable_records(partial(self._record_kept, fault), moment)
        if fault.unknown is not None and reads.holds(self._db, *fault.unknown):
            detail = f"entry {Place.of(fault.unknown[0])[1]} is recorded, and its tap was told out of order: ask whether the child was served"
            writes.add_incident(
                self._db, writes.Incident(at=moment.at, kind="unknown_commit", detail=detail)
            )
        detail = f"{fault.sentence}; {fault.taps} taps were told out of order, {min(fault.taps, KEPT_TAPS_MAX)} of them are recorded"
        writes.add_incident(
            self._db, writes.Incident(at=moment.at, kind="store_fault", detail=detail)
        )
        log.warning("the file works again: %d taps were told out of order", fault.taps)
        self._fault, self._state_ms = None, None
        yield DropLink()  # messages that came meanwhile were not acknowledged: they come again

    def _record_kept(self, fault: StorageFault) -> None:
        """Record what was tapped meanwhile, each with its own time; but not the tap whose meal is there all the same."""
        time, told = copy(self._time), list[tuple[Token | None, Moment]]()
        is_there = fault.unknown is not None and reads.holds(self._db, *fault.unknown)
        for token, reading in fault.kept[1:] if is_there else fault.kept:
            tapped = time.moment(reading)
            time.take_entry_time(tapped.at, tapped)
            told.append((token, tapped))
        if fault.kept:
            self._counter.unanswered(told)
            fault.kept.clear()
            self._time, self._checkpoint_due = time, True

    def _without_file(
        self, event: Event | None, error: StoreError, reading: Reading
    ) -> Iterator[Effect]:
        """Answer without the file."""
        is_news = isinstance(event, LinkUp)
        if self._fault is None:
            self._fault, is_news = StorageFault.begun(error, reading.mono_ms, self._card_key), True
            if isinstance(error, UncertainCommitError) and isinstance(
                event, CardPresented | CardUnreadable
            ):
                self._fault.unknown = error.place, error.digest
        else:
            is_news |= self._fault.is_news(error, reading.mono_ms)
        if isinstance(event, LinkDown):
            self._link = _still_down("link", self._link, event.reason, self.moment(reading))
            self._replication.session.link_down()
        yield from self._fault.answer(event, reading)
        if is_news and self._link is None:
            at = self.moment(reading).at
            yield self._fault.state(
                self._topics, self._id, at=at, software=self._software, readers=self._reader_words()
            )

    def _reader_words(self) -> dict[str, str]:
        return {
            name: "ready" if reader.outage is None else "down"
            for name, reader in self._readers.items()
        }

    def _reserve(self) -> None:
        try:
            self._db.reserve()
        except StoreError as error:
            log.warning("%s", error)  # what the headroom is for has come: it is used up first

    def _state(self, moment: Moment) -> Publish:
        here = reads.standing(self._db)
        held = reads.counts(self._db)
        self._state_ms = moment.mono_ms
        state = TerminalState(
            online=True,
            at=moment.at,
            software=self._software,
            pending=here.pending,
            oldest_pending_at=reads.oldest_pending_at(self._db),
            last_contact_at=here.last_contact_at,
            readers=self._reader_words(),
            set_aside=held["set_aside"],
            incidents=held["incident"],
            mirror=self.mirror,
        )
        return Publish(
            topic=self._topics.of(self._id, Leaf.STATE), payload=encode(state), retain=True
        )


def _still_down(what: str, before: _Outage | None, reason: str, moment: Moment) -> _Outage:
    """Return the outage with its beginning; the log has one line for it."""
    if before is None or before.since_ms == 0:
        log.warning("%s down: %s", what, reason)
        return _Outage(moment.mono_ms, reason)
    return _Outage(before.since_ms, reason)


def _log_back(what: str, before: _Outage | None, moment: Moment, detail: str) -> None:
    after = (
        f" after {(moment.mono_ms - before.since_ms) / 1000:.1f} s"
        if before and before.since_ms
        else ""
    )
    log.info("%s up%s%s", what, after, detail)


def _stored_anchors(db: Database, last_contact_at: str | None) -> list[Anchor]:
    anchors = []
    newest = reads.latest_entry(db)
    if newest is not None:
        anchors.append(
            Anchor(when=parse_instant(newest.at), boot=newest.boot, mono_ms=newest.mono_ms)
        )
    if last_contact_at is not None:
        anchors.append(Anchor(when=parse_instant(last_contact_at), boot=None, mono_ms=0))
    return anchors


def last_will(town: str, terminal: str) -> tuple[str, bytes]:
    """Return topic and payload of what the broker says when this terminal is gone."""
    return Topics(town).of(terminal, Leaf.STATE), encode(TerminalState(online=False))
