"""The serving counter: from a card, or a request of the staff, to a committed entry and log line.

For every tap: read the facts, decide, commit, and only then return what to show. If anything
raises, nothing may show green, and nothing was recorded. Only after `UncertainCommitError` the
entry may be on the disk.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import structs

from agent.domain.canteen import PolicyRecord, ServiceNow, any_service, policy_on, service_now
from agent.domain.card import Token, card_token
from agent.domain.clock import (
    ClockTrust,
    Day,
    Moment,
    day_of,
    format_instant,
    is_day,
    parse_instant,
)
from agent.domain.ledger import Entry, How, Kind, RefusalReason
from agent.domain.tap import (
    SAME_MEAL_MS,
    AlreadyServed,
    Facts,
    Outcome,
    Refused,
    Served,
    UndoRefusal,
    closing,
    decide,
    is_further_look,
    out_of_order_refusal,
    standing_meal,
    undo,
)
from agent.domain.timekeeper import Timekeeper
from agent.errors import AgentError, RefusedEntryError
from agent.readers.events import CardPresented, CardUnreadable, Signal
from agent.readers.presence import OUTAGE_MS_MAX
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.rows import Holder, Incident, MealsWanted
from agent.store.standing import newest_epoch, standing
from agent.terminal.staff_lock import StaffLock

UNDO_SENTENCES = {
    UndoRefusal.NOT_A_MEAL: "is not a meal; only a meal can be undone",
    UndoRefusal.ALREADY_UNDONE: "was undone already",
    UndoRefusal.TOO_LATE: "is older than the town allows a terminal to undo; ask the office",
}

WINDOW_READ_EVERY_MS = 3_600_000
NOBODY = Holder(None, None, 0, [])

log = logging.getLogger("agent.counter")


@dataclass(frozen=True, slots=True)
class LateMeal:
    """A meal typed in later: its day, and its service where a site has several (story 5)."""

    day: Day
    service: str | None


class Recorded(NamedTuple):
    """An entry that a request of the staff made, or made before: then it is not new."""

    entry: Entry
    is_new: bool = True


class _Window:
    """Where the entries of this boot's last hours begin in the file."""

    def __init__(self) -> None:
        self._boot = ""
        self._read_ms = 0
        self._start = 0

    def start(self, db: Database, moment: Moment) -> int:
        """Return the place, read again every hour: an earlier one is only slower."""
        if moment.boot != self._boot or moment.mono_ms - self._read_ms >= WINDOW_READ_EVERY_MS:
            since_ms = moment.mono_ms - SAME_MEAL_MS
            self._start = reads.start_of_window(db, moment.boot, since_ms)
            self._boot, self._read_ms = moment.boot, moment.mono_ms
        return self._start


@dataclass(frozen=True, slots=True)
class Counter:
    """Serves from one database. `card_key` is the town's secret.

    `lock` says who may change something now. `started_ms` is when this process began: a card may
    have been on a reader since before that.
    """

    db: Database
    zone: ZoneInfo
    card_key: bytes
    time: Timekeeper
    lock: StaffLock
    started_ms: int = 0
    _window: _Window = field(default_factory=_Window)

    def tap(self, event: CardPresented | CardUnreadable, moment: Moment) -> tuple[Signal, Entry]:
        """Return the signal to show and the recorded entry.

        A card that was there before this process began gets its first signal again, without an
        entry. Raise `StoreError` with nothing recorded, or `UncertainCommitError`.
        """
        card = event.card if isinstance(event, CardPresented) else None
        token = card_token(self.card_key, card) if card else None
        facts = self._facts(moment, token)
        outcome = decide(facts)
        entry = self._earlier(outcome, moment)
        if entry is not None:
            log.info("entry %d: its card is still there; its signal is shown again", entry.seq)
        else:
            entry = _append(self.db, outcome)
            _log_tap(event, outcome, entry)
        self.lock.tapped(facts)
        return _signal_of(entry), entry

    def _earlier(self, outcome: Outcome, moment: Moment) -> Entry | None:
        """Return the entry of the presence that this process found, None for a new tap."""
        if moment.mono_ms - self.started_ms > OUTAGE_MS_MAX:
            return None  # nothing older can be near: this saves every later tap a query
        for listed in reads.entries(self.db, newest=1):
            is_older = listed.entry.mono_ms < self.started_ms
            if is_older and is_further_look(listed.entry, outcome, OUTAGE_MS_MAX):
                return listed.entry
        return None

    def record_unanswered(
        self, taps: list[tuple[Token | None, Moment]], incidents: list[Incident]
    ) -> None:
        """Record cards (None: unreadable) that got *out of order*, each at its moment.

        All of them and the incidents, or nothing. Raise `StoreError`.
        """
        drafts = [out_of_order_refusal(self._facts(moment, token)) for token, moment in taps]
        for entry in writes.append_all(self.db, drafts, incidents):
            log.info(
                "out of order: %s, account %s, entry %d (recorded later)",
                _card_words(entry),
                entry.account or "unknown",
                entry.seq,
                extra=_fields(entry, "out of order"),
            )

    def undo(
        self, seq: int, moment: Moment, *, epoch: str | None = None, user: str | None = None
    ) -> Recorded:
        """Record the storno of entry `seq`, and return it. `user` is whose program requested it.

        `epoch` is that of the entry, None for the present one. A meal that was undone before has
        its first storno: a request that is repeated after a lost answer undoes no other meal.
        Raise `AgentError` when it is refused.
        """
        if epoch is None:
            epoch = newest_epoch(self.db)
        by = self.lock.person(moment)
        own = reads.entry(self.db, epoch, seq)
        before = reads.storno_of(self.db, epoch, seq)
        if before is not None:
            return Recorded(before, is_new=False)
        if own is None:
            raise AgentError(f"this terminal has no entry {seq}")
        policy = policy_on(reads.policies(self.db), self._today(moment))
        draft = undo(own, epoch=epoch, policy=policy, moment=moment, by=by)
        if isinstance(draft, UndoRefusal):
            raise AgentError(f"entry {seq} {UNDO_SENTENCES[draft]}")
        entry = writes.append(self.db, structs.replace(draft, user=user))
        words = "storno of entry %d%s: account %s"
        log.info(words, seq, _by(user), entry.account, extra=_fields(entry, "storno"))
        return Recorded(entry)

    def meal_by_name(
        self, account: str, late: LateMeal | None, moment: Moment, *, user: str | None = None
    ) -> tuple[Outcome, Recorded]:
        """Record a meal of an account that the staff chose: now, or `late` (story 5).

        A late meal that is typed in again is the first one, and writes nothing. Raise `AgentError`
        for an unknown account, or a day or service that cannot be.
        """
        by, record = self.lock.person(moment), reads.account(self.db, account)
        if record is None:
            raise AgentError(f"this terminal has no account {account}")
        service = self._service(moment) if late is None else self._late_service(late, moment)
        wanted = self._wanted(service, moment)
        facts = Facts(
            moment=moment,
            how=How.MANUAL if late is None else How.LATE,
            token=None,
            card=None,
            account=record,
            balance_cents=reads.balance_cents(self.db, account) or 0,
            own_meals=reads.own_meals(self.db, (account, None), wanted) if wanted else [],
            policy=self._policy(service, moment),
            service=service,
            data_age_ms=self.data_age_ms(moment),
            by=by,
        )
        outcome = decide(facts)
        if late is not None and isinstance(outcome, AlreadyServed):
            first = standing_meal(facts)
            if first is None or first.how is not How.LATE:
                raise AgentError(f"no meal for account {account}: already served on {late.day}")
            return outcome, Recorded(first, is_new=False)
        outcome = structs.replace(outcome, entry=structs.replace(outcome.entry, user=user))
        entry = _append(self.db, outcome)
        words, fields = _words(outcome), _fields(entry, _words(outcome))
        log.info("%s by the staff%s: account %s", words, _by(user), account, extra=fields)
        return outcome, Recorded(entry)

    def close(self, trays: int, moment: Moment, *, user: str | None = None) -> Recorded:
        """Record the staff's count of trays beside the terminal's own count of meals.

        The same counts again, as after a lost answer, are the first closing.
        """
        by, service = self.lock.person(moment), self._service(moment)
        if service is None:
            raise AgentError("no service is open; close it half an hour after its end at most")
        served = reads.served(self.db, service.service, service.day)
        before = reads.newest_closing(self.db, service.service, service.day)
        if before is not None and (before.trays, before.served) == (trays, served):
            return Recorded(before, is_new=False)
        draft = closing(moment=moment, service=service, trays=trays, served=served, by=by)
        entry = writes.append(self.db, structs.replace(draft, user=user))
        words, fields = "closing%s: %d trays counted, %d meals served", _fields(entry, "closing")
        log.info(words, _by(user), trays, served, extra=fields)
        return Recorded(entry)

    def service_of(self, day: Day | None, moment: Moment) -> ServiceNow:
        """Return the present service, or the next one by id; on another day where one is named."""
        now = self._service(moment) or any_service(
            reads.services(self.db), self._today(moment), outside_hours=True
        )
        if now is None:
            raise AgentError("the central has sent no service yet")
        return now if day is None else ServiceNow(service=now.service, day=day, outside_hours=False)

    def data_age_ms(self, moment: Moment) -> int | None:
        """Return the age of the central's last answer, None if that is not known."""
        return self.time.data_age_ms(moment, standing(self.db).last_contact_at)

    def _facts(self, moment: Moment, token: Token | None) -> Facts:
        service = self._service(moment)
        holder = NOBODY
        if token is not None:
            holder = reads.holder(self.db, token, self._wanted(service, moment))
        return Facts(
            moment=moment,
            how=How.CARD,
            token=token,
            card=holder.card,
            account=holder.account,
            balance_cents=holder.balance_cents,
            own_meals=holder.own_meals,
            policy=self._policy(service, moment),
            service=service,
            data_age_ms=self.data_age_ms(moment),
        )

    def _wanted(self, service: ServiceNow | None, moment: Moment) -> MealsWanted | None:
        """Return which own meals may be the same meal."""
        if service is None:
            return None
        return MealsWanted(service.service, service.day, self._window.start(self.db, moment))

    def _policy(self, service: ServiceNow | None, moment: Moment) -> PolicyRecord:
        day = service.day if service else self._today(moment)
        return policy_on(reads.policies(self.db), day)

    def _today(self, moment: Moment) -> Day:
        return moment.day or day_of(moment.at, self.zone)

    def _late_service(self, late: LateMeal, moment: Moment) -> ServiceNow:
        """Return the service of a meal typed in later.

        Raise `AgentError` where nobody here can know it.
        """
        if not is_day(late.day):
            raise AgentError(f"{late.day} is not a day; write it as 2026-11-23")
        service = self._named_service(late.service)
        if moment.is_day_sure:
            self._require_kept(late.day, moment)
        # A rule that keeps longer brings nothing back that was pruned.
        oldest = reads.remembers_from(self.db)
        if oldest is not None and late.day <= day_of(oldest, self.zone):
            raise AgentError(f"{late.day}: some meals of that day were pruned; ask the office")
        return ServiceNow(service=service, day=late.day, outside_hours=False)

    def _require_kept(self, day: Day, moment: Moment) -> None:
        """Raise `AgentError` for a future day, or one whose meals are no longer known here."""
        if day > self._today(moment):
            raise AgentError(f"{day} is in the future")
        keep_days = policy_on(reads.policies(self.db), self._today(moment)).keep_days
        kept_since = format_instant(parse_instant(moment.at) - timedelta(days=keep_days))
        if day <= day_of(kept_since, self.zone):
            raise AgentError(
                f"{day}: a terminal keeps its meals for {keep_days} days; ask the office"
            )

    def _named_service(self, service: str | None) -> str:
        ids = sorted(record.id for record in reads.services(self.db))
        if not ids:
            raise AgentError("the central has sent no service yet")
        if service is None and len(ids) > 1:
            raise AgentError(f"name the service with --service: {', '.join(ids)}")
        if service is not None and service not in ids:
            raise AgentError(f"there is no service {service}; there are {', '.join(ids)}")
        return service or ids[0]

    def _service(self, moment: Moment) -> ServiceNow | None:
        """Return the service of a tap. A guessed time never says that there is none."""
        services = reads.services(self.db)
        if moment.trust is ClockTrust.UNSET:
            return any_service(services, self._today(moment))
        service = service_now(services, moment.at, self.zone)
        if service is None and moment.trust is not ClockTrust.SYNCED:
            service = any_service(services, self._today(moment), outside_hours=True)
        return service


def _signal_of(entry: Entry) -> Signal:
    if entry.kind is not Kind.REFUSAL:
        return Signal.SERVED
    is_served = entry.reason is RefusalReason.ALREADY_SERVED
    return Signal.ALREADY_SERVED if is_served else Signal.REFUSED


def _append(db: Database, outcome: Outcome) -> Entry:
    is_another = isinstance(outcome, Served) and outcome.is_another
    try:
        return writes.append(db, outcome.entry, is_another=is_another)
    except RefusedEntryError as error:
        if not isinstance(outcome, Served) or is_another:
            raise
        # The child eats; the central gives back what is paid twice.
        log.error("A meal is recorded beside another one of its day: %s", error)
        return writes.append(db, outcome.entry, is_another=True)


def _words(outcome: Outcome) -> str:
    match outcome:
        case Served():
            return "served"
        case AlreadyServed(terminal=terminal):
            return "already served" if terminal is None else f"already served at {terminal}"
        case Refused(reason=reason):
            return f"refused, {reason}"


def _card_words(entry: Entry) -> str:
    return f"card {entry.card[:8]}" if entry.card else "no card"


def _by(user: str | None) -> str:
    return f" (user {user})" if user else ""


def _log_tap(event: CardPresented | CardUnreadable, outcome: Outcome, entry: Entry) -> None:
    card = _card_words(entry)
    if isinstance(event, CardUnreadable):
        card = f"{card} ({event.fault}: {event.sentence})"
    words = _words(outcome)
    log.info(
        "%s: %s, account %s, entry %d, reader %s",
        words,
        card,
        entry.account or "unknown",
        entry.seq,
        event.reader,
        extra=_fields(entry, words),
    )


def _fields(entry: Entry, outcome: str) -> dict[str, dict[str, object]]:
    """Return the structured fields of a log line. A card is the first 8 digits of its token."""
    card = entry.card[:8] if entry.card else None
    members = {"outcome": outcome, "seq": entry.seq, "account": entry.account, "card": card}
    members["user"] = entry.user
    return {"fields": {name: value for name, value in members.items() if value is not None}}
