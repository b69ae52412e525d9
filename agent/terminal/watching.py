"""What watchers of a terminal see: the last taps, the counters, the condition. After the light.

The main loop asks for news after each turn, while somebody watches. It reads the ledger for what is
new, so that nothing on a tap's path knows of watchers.
"""

from collections import Counter, deque
from collections.abc import Iterator
from datetime import timedelta

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

TAPS_KEPT_MAX = 20  # lines of a screen
# Entries among which the meals of the present service are: a day of a large school.
LOOK_BACK_ENTRIES = 3_000
CONDITION_EVERY_MS = 1_000

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
_NO_COUNTERS = Counters(day=None, service=None, total=0, others=0, classes={}, dishes={})


class Watching:
    """What was shown to the watchers of one terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._number = 0
        self._seen: ChainEnd | None = None
        self._taps: deque[Tap] = deque(maxlen=TAPS_KEPT_MAX)
        self._counters = _NO_COUNTERS
        self._meals: dict[int, str | None] = {}  # seq of a standing meal -> its account
        self._condition: Condition | None = None
        self._looked_ms = 0

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
        if not is_same:
            self._meals.clear()
        for number, line in enumerate(listed, start=1):
            if (tap := self._take(db, line)) is not None and len(listed) - number < TAPS_KEPT_MAX:
                yield Tapped(number=self._next(), tap=tap)
        counters = self._count(db, listed[-1].entry if listed else None, moment)
        if counters != self._counters:
            self._counters = counters
            yield Counted(number=self._next(), counters=counters)

    def _take(self, db: Database, line: ListedEntry) -> Tap | None:
        """Note an entry; return the tap to show, None for one that is not shown."""
        entry = line.entry
        match entry.kind:
            case Kind.CLOSING:
                return None
            case Kind.STORNO:
                return self._undone(entry)
            case Kind.MEAL | Kind.UNKNOWN_MEAL:
                if not line.is_undone:
                    self._meals[entry.seq] = entry.account
        tap = _tap(db, line)
        self._taps.append(tap)
        return tap

    def _undone(self, storno: Entry) -> Tap | None:
        undone = storno.reverses
        assert undone is not None
        self._meals.pop(undone.seq, None)
        for at, tap in enumerate(self._taps):
            if (tap.epoch, tap.seq) == (undone.epoch, undone.seq) and not tap.undone:
                self._taps[at] = msgspec.structs.replace(tap, undone=True, undo_until=None)
                return self._taps[at]
        return None

    def _count(self, db: Database, newest: Entry | None, moment: Moment) -> Counters:
        """Return the counters of the newest entry's service and day."""
        if newest is None or newest.service is None or newest.how is How.LATE:
            return self._counters
        key = (newest.day, newest.service)
        if key != (self._counters.day, self._counters.service):
            recent = reads.entries(db, newest=LOOK_BACK_ENTRIES)
            self._meals = {
                line.entry.seq: line.entry.account
                for line in recent
                if line.entry.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL)
                and (line.entry.day, line.entry.service) == key
                and not line.is_undone
            }
        accounts = [_account(db, account) for account in self._meals.values()]
        known = [account for account in accounts if account is not None]
        pupils = [account for account in known if account.category is Category.PUPIL]
        classes = Counter(pupil.group for pupil in pupils if pupil.group)
        dishes = Counter(account.dish for account in known if account.dish)
        return Counters(
            day=newest.day,
            service=newest.service,
            total=len(accounts),
            others=len(accounts) - len(pupils),
            classes=dict(sorted(classes.items())),
            dishes=dict(sorted(dishes.items())),
        )

    def _look(self, db: Database | None, moment: Moment) -> Condition:
        terminal, clock = self._terminal, moment.trust.value
        if db is None:
            reason = terminal.fault.reason if terminal.fault is not None else None
            return Condition(at=moment.at, clock=clock, out_of_order=reason)
        status = msgspec.convert(terminal.status(moment), _Status)
        faults = [f"{name}: {words}" for name, words in status.readers.items() if words != "ready"]
        faults += filter(None, [status.clock_fault, status.not_booked])
        faults += [status.disk] if "free some space" in status.disk else []
        policy = policy_on(reads.policies(db), status.day or moment.at[:10])
        serve_all = policy.serve_all_until
        return Condition(
            at=moment.at,
            clock=clock,
            day=status.day,
            pending=status.pending,
            data_age_s=status.last_contact_s,
            serve_all_until=serve_all if serve_all and serve_all > moment.at else None,
            faults=faults,
        )


class _Status(msgspec.Struct):
    """What a screen shows of `status`."""

    day: str | None
    pending: int
    last_contact_s: int | None
    readers: dict[str, str]
    clock_fault: str | None
    not_booked: str | None
    disk: str


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
