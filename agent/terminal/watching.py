"""What watchers of a terminal see: the last taps, the counters, the condition. After the light.

The main loop asks for news after each turn, while somebody watches. It reads the ledger for what is
new, so that nothing on a tap's path knows of watchers.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from agent.domain.canteen import AccountRecord, Category, policy_on
from agent.domain.clock import Moment, format_instant, parse_instant
from agent.domain.ledger import ChainEnd, Entry, How, Kind, RefusalReason
from agent.errors import RecordError
from agent.ops.control_messages import (
    Changed,
    Condition,
    Counted,
    Counters,
    FaultCode,
    FaultLine,
    News,
    Snapshot,
    Tap,
    Tapped,
    Word,
)
from agent.store import reads
from agent.store.database import Database
from agent.store.rows import ListedEntry, MealsWanted
from agent.store.standing import standing
from agent.terminal.core import Terminal
from agent.terminal.faults import FILE, Fault, faults, reader_faults, status_of

TAPS_KEPT_MAX = 20  # lines of a screen
# Entries among which the meals of the present service are: a day of a large school.
LOOK_BACK_ENTRIES = 3_000
CONDITION_EVERY_MS = 1_000
UNWATCHED_EVERY_MS = 10_000  # a fault is shown after a minute

_WORDS = {
    RefusalReason.UNREADABLE: Word.REPEAT,
    RefusalReason.NO_SERVICE: Word.NO_SERVICE,
    RefusalReason.UNKNOWN_CARD: Word.UNKNOWN_CARD,
    RefusalReason.BLOCKED: Word.BLOCKED,
    RefusalReason.ALREADY_SERVED: Word.ALREADY_SERVED,
    # Nobody at the counter reads that it is about money.
    RefusalReason.NO_CREDIT: Word.DO_NOT_SERVE,
    RefusalReason.OUT_OF_ORDER: Word.OUT_OF_ORDER,
}
_SAME_TIME = timedelta(seconds=2)
_NO_COUNTERS = Counters(day=None, service=None, total=0, others=0, classes={}, dishes={})


class _Service(NamedTuple):
    day: str | None
    service: str | None


class _Key(NamedTuple):
    epoch: str
    seq: int


class _Meal(NamedTuple):
    """What is counted of a meal, read once: a tap costs no more late in a lunch."""

    group: str | None
    dish: str | None
    is_pupil: bool


class Watching:
    """What was shown to the watchers of one terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._number = 0
        self._seen: ChainEnd | None = None
        self._taps: deque[Tap] = deque(maxlen=TAPS_KEPT_MAX)
        self._counters = _NO_COUNTERS
        self._service: _Service | None = None  # of the newest tap
        self._meals: dict[_Key, _Meal] = {}  # that service's standing meals
        self._condition: Condition | None = None
        self._looked_ms = 0
        self._faults: dict[Fault, int] = {}  # since when, in monotonic ms

    def snapshot(self, moment: Moment) -> Snapshot:
        """Return all that a new watcher must know."""
        list(self.news(moment, is_due=True))
        assert self._condition is not None
        return Snapshot(
            number=self._number,
            taps=list(self._taps),
            counters=self._counters,
            condition=self._condition,
        )

    def news(self, moment: Moment, *, is_due: bool = False) -> Iterator[News]:
        """Yield what is new. `is_due`: look at the condition now, and not once a second."""
        db = self._terminal.db
        if db is not None:
            yield from self._entries(db, moment)
        if is_due or abs(moment.mono_ms - self._looked_ms) >= CONDITION_EVERY_MS:
            self._looked_ms = moment.mono_ms
            condition = self._look(db, moment)
            before = self._condition
            self._condition = condition
            if before is None or msgspec.structs.replace(before, at=condition.at) != condition:
                yield Changed(number=self._next(), condition=condition)

    def look(self, moment: Moment) -> None:
        """Note which faults there are, while nobody watches: a page says since when they last."""
        if abs(moment.mono_ms - self._looked_ms) >= UNWATCHED_EVERY_MS:
            self._looked_ms = moment.mono_ms
            self._condition = self._look(self._terminal.db, moment)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _entries(self, db: Database, moment: Moment) -> Iterator[News]:
        end = standing(db).end
        if end == self._seen:
            return
        is_same = self._seen is not None and self._seen.epoch == end.epoch
        count = end.seq - self._seen.seq if is_same and self._seen else LOOK_BACK_ENTRIES
        self._seen = end
        listed = reads.entries(db, newest=min(count, LOOK_BACK_ENTRIES))
        self._begin(db, listed, is_same)
        for number, line in enumerate(listed, start=1):
            if (tap := self._take(db, line)) is not None and len(listed) - number < TAPS_KEPT_MAX:
                yield Tapped(number=self._next(), tap=tap)
        counters = self._count(db)
        if counters != self._counters:
            self._counters = counters
            yield Counted(number=self._next(), counters=counters)

    def _begin(self, db: Database, listed: Sequence[ListedEntry], is_same: bool) -> None:
        """Begin to count when the service of the newest tap is another, or the ledger is.

        A meal that is typed in later, and a storno, belong to an earlier service.
        """
        services = (_service_of(line.entry) for line in reversed(listed))
        newest = next((service for service in services if service is not None), self._service)
        if is_same and newest == self._service:
            return
        self._service = newest
        recent = reads.entries(db, newest=LOOK_BACK_ENTRIES)
        self._meals.clear()
        for line in recent:
            self._note_meal(db, line)

    def _note_meal(self, db: Database, line: ListedEntry) -> None:
        entry = line.entry
        is_meal = entry.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL) and not line.is_undone
        if is_meal and _Service(entry.day, entry.service) == self._service:
            self._meals[_Key(line.epoch, entry.seq)] = _meal(_account(db, entry.account))

    def _take(self, db: Database, line: ListedEntry) -> Tap | None:
        """Note an entry; return the tap to show, None for one that is not shown."""
        entry = line.entry
        match entry.kind:
            case Kind.CLOSING:
                return None
            case Kind.STORNO:
                return self._undone(entry)
            case Kind.MEAL | Kind.UNKNOWN_MEAL:
                self._note_meal(db, line)
        tap = _tap(db, line)
        self._taps.append(tap)
        return tap

    def _undone(self, storno: Entry) -> Tap | None:
        undone = storno.reverses
        assert undone is not None
        self._meals.pop(_Key(undone.epoch, undone.seq), None)
        for at, tap in enumerate(self._taps):
            if (tap.epoch, tap.seq) == (undone.epoch, undone.seq) and not tap.undone:
                self._taps[at] = msgspec.structs.replace(tap, undone=True, undo_until=None)
                return self._taps[at]
        return None

    def _count(self, db: Database) -> Counters:
        if self._service is None:
            return _NO_COUNTERS
        names = {record.id: record.name for record in reads.services(db)}
        eaten = self._meals.values()
        classes = Counter(meal.group for meal in eaten if meal.is_pupil and meal.group)
        dishes = Counter(meal.dish for meal in eaten if meal.dish)
        pupils = sum(meal.is_pupil for meal in eaten)
        return Counters(
            day=self._service.day,
            service=self._service.service,
            name=names.get(self._service.service or ""),
            total=len(eaten),
            others=len(eaten) - pupils,
            classes=dict(sorted(classes.items())),
            dishes=dict(sorted(dishes.items())),
        )

    def _look(self, db: Database | None, moment: Moment) -> Condition:
        terminal, clock = self._terminal, moment.trust.value
        if db is None:
            fault = terminal.fault
            assert fault is not None
            self._faults[FILE] = fault.began_ms
            words = reader_faults(terminal.outages) | {FILE: fault.reason}
            lines = self._fault_lines(words, moment)
            return Condition(at=moment.at, clock=clock, out_of_order=fault.reason, faults=lines)
        status = status_of(terminal.status(moment))
        policy = policy_on(reads.policies(db), status.day or moment.at[:10])
        serve_all = policy.serve_all_until
        return Condition(
            at=moment.at,
            clock=clock,
            day=status.day,
            pending=status.pending,
            # in minutes, so that a page gets no line only because time passes
            data_age_min=None if status.last_contact_s is None else status.last_contact_s // 60,
            serve_all_until=serve_all if serve_all and serve_all > moment.at else None,
            needs_staff_card=status.unlocked_ms is not None,
            unlocked_until=self._unlocked_until(status.unlocked_ms or 0, moment),
            faults=self._fault_lines(faults(status, terminal.outages), moment),
        )

    def _unlocked_until(self, left_ms: int, moment: Moment) -> str | None:
        """Return the same time until another staff card is tapped: a clock's jitter is no news."""
        if not left_ms:
            return None
        until = parse_instant(moment.at) + timedelta(milliseconds=left_ms)
        before = self._condition.unlocked_until if self._condition is not None else None
        if before is not None and abs(until - parse_instant(before)) < _SAME_TIME:
            return before
        return format_instant(until)

    def _fault_lines(self, broken: dict[Fault, str], moment: Moment) -> list[FaultLine]:
        """Return the faults as they are now, each with the time when it began.

        A reader's and the file's are known to the terminal. Others begin when they were seen first.
        """
        readers = self._terminal.outages.readers
        began = {
            Fault(FaultCode.READER, name): health.outage.since_ms
            for name, health in readers.items()
            if health.outage is not None and health.outage.since_ms
        }
        self._faults = {
            fault: began.get(fault, self._faults.get(fault, moment.mono_ms)) for fault in broken
        }
        now = parse_instant(moment.at)
        return [
            FaultLine(
                code=fault.code,
                since=format_instant(now - timedelta(milliseconds=moment.mono_ms - since_ms)),
                words=f"{fault.subject}: {broken[fault]}" if fault.subject else broken[fault],
                subject=fault.subject,
            )
            for fault, since_ms in self._faults.items()
        ]


def _tap(db: Database, line: ListedEntry) -> Tap:
    entry, account = line.entry, _account(db, line.entry.account)
    word = Word.SERVED if entry.reason is None else _WORDS[entry.reason]
    policy = policy_on(reads.policies(db), entry.day or entry.at[:10])
    shows_names = policy.labels == "short"
    undo_until = None
    if entry.reason is None and not line.is_undone:
        undo_until = format_instant(parse_instant(entry.at) + timedelta(minutes=policy.undo_min))
    return Tap(
        epoch=line.epoch,
        seq=entry.seq,
        at=entry.at,
        word=word,
        account=entry.account,
        label=account.label if account is not None and shows_names else None,
        group=account.group if account is not None else None,
        dish=account.dish if account is not None and word is Word.SERVED else None,
        by_staff=entry.how is not How.CARD,
        again_at=_served_at(db, entry) if word is Word.ALREADY_SERVED else None,
        undo_until=undo_until,
        undone=line.is_undone,
    )


def _service_of(entry: Entry) -> _Service | None:
    """Return the service that an entry was made in, None for one that names an earlier one."""
    if entry.service is None or entry.how is How.LATE or entry.kind is Kind.STORNO:
        return None
    return _Service(entry.day, entry.service)


def _meal(account: AccountRecord | None) -> _Meal:
    if account is None:
        return _Meal(None, None, False)
    return _Meal(account.group, account.dish, account.category is Category.PUPIL)


def _served_at(db: Database, refusal: Entry) -> str | None:
    """Return when the meal was that a refusal repeats, None for one at another terminal."""
    if refusal.service is None or refusal.day is None:
        return None
    wanted = MealsWanted(refusal.service, refusal.day, 2**62)
    meals = reads.own_meals(db, (refusal.account, refusal.card), wanted)
    return next((meal.entry.at for meal in reversed(meals) if not meal.is_undone), None)


def _account(db: Database, account: str | None) -> AccountRecord | None:
    try:
        return reads.account(db, account) if account is not None else None
    except RecordError:
        return None  # the next tap of it requests it again
