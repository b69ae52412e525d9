"""The serving counter: from a card, or a word of the staff, to a committed entry.

For every tap: read the facts, decide, commit, and only then return what to show. What returns has been recorded; if
anything raises, nothing was recorded and nothing may show green.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from agent.domain.canteen import ServiceNow, any_service, policy_on, service_now
from agent.domain.card import Token, card_token
from agent.domain.clock import (
    ClockTrust,
    Day,
    Moment,
    age_ms,
    day_of,
    format_instant,
    is_day,
    parse_instant,
)
from agent.domain.ledger import Entry, How
from agent.domain.tap import (
    AlreadyServed,
    Facts,
    Outcome,
    Refused,
    Served,
    UndoRefusal,
    closing,
    decide,
    out_of_order_refusal,
    undo,
)
from agent.domain.timekeeper import STAFF_DAY_MS
from agent.errors import AgentError
from agent.readers.events import CardPresented, CardUnreadable, Signal
from agent.store import reads, writes
from agent.store.database import Database

log = logging.getLogger("agent.terminal.counter")

UNDO_SENTENCES = {
    UndoRefusal.NOT_A_MEAL: "is not a meal; only a meal can be undone",
    UndoRefusal.ALREADY_UNDONE: "has been undone already",
    UndoRefusal.TOO_LATE: "is older than the town lets a terminal undo; ask the office",
}


@dataclass(frozen=True, slots=True)
class Counter:
    """Serves from one database. `card_key` is the town's."""

    db: Database
    zone: ZoneInfo
    card_key: bytes

    def tap(self, event: CardPresented | CardUnreadable, moment: Moment) -> tuple[Signal, Entry]:
        """Return the signal to show and the entry that was recorded. Raise `StoreError` with nothing recorded."""
        card = event.card if isinstance(event, CardPresented) else None
        outcome = decide(self._facts(moment, card_token(self.card_key, card) if card else None))
        entry = writes.record(self.db, outcome.entry)
        _log_tap(event, outcome, entry)
        match outcome:
            case Served():
                return Signal.SERVED, entry
            case AlreadyServed():
                return Signal.ALREADY_SERVED, entry
            case Refused():
                return Signal.REFUSED, entry

    def unanswered(self, told: list[tuple[Token | None, Moment]]) -> None:
        """Record that cards (None: an unreadable one) were told *out of order*, each at its moment, all or none. Raise `StoreError`."""
        entries = writes.record_all(
            self.db, [out_of_order_refusal(self._facts(moment, token)) for token, moment in told]
        )
        for entry in entries:
            card = f"card {entry.card[:8]}" if entry.card else "no card"
            extra = _fields(entry, "told out of order")
            log.info(
                "was told out of order: %s, account %s, entry %d",
                card,
                entry.account or "unknown",
                entry.seq,
                extra=extra,
            )

    def undo(self, seq: int | None, moment: Moment) -> Entry:
        """Record the storno of entry `seq` of this epoch (None: of the newest meal) and return it. Raise `AgentError` if it may not be."""
        if seq is None:
            meals = [
                (epoch, entry.seq)
                for epoch, entry, _, undone in reads.entries(self.db, newest=50)
                if _is_meal(entry) and not undone
            ]
            if not meals:
                raise AgentError("there is no meal to undo")
        epoch, seq = meals[-1] if seq is None else (reads.newest_epoch(self.db), seq)
        found = reads.entry(self.db, epoch, seq)
        if found is None:
            raise AgentError(f"there is no entry {seq} here")
        meal, undone = found
        policy = policy_on(reads.policies(self.db), self._today(moment))
        draft = undo(meal, epoch=epoch, undone=undone, policy=policy, moment=moment)
        if isinstance(draft, UndoRefusal):
            raise AgentError(f"entry {seq} {UNDO_SENTENCES[draft]}")
        entry = writes.record(self.db, draft)
        log.info(
            "storno of entry %d: account %s, %+d cents",
            seq,
            entry.account,
            entry.cents,
            extra=_fields(entry, "storno"),
        )
        return entry

    def meal_by_name(
        self, account: str, day: Day | None, service_id: str | None, moment: Moment
    ) -> tuple[Outcome, Entry]:
        """Record a meal of an account chosen by the staff: now, or with `day` typed in later (story 5).

        `service_id` says which service a late meal was, where there are several.
        """
        record = reads.account(self.db, account)
        if record is None:
            raise AgentError(f"there is no account {account} here")
        service = (
            self._service(moment) if day is None else self._late_service(day, service_id, moment)
        )
        how = How.MANUAL if day is None else How.LATE
        own_meal, own_meals = (
            reads.own_meals(self.db, account, None, service.service, service.day)
            if service
            else (None, 0)
        )
        outcome = decide(
            Facts(
                moment=moment,
                how=how,
                token=None,
                card=None,
                account=record,
                balance_cents=reads.balance_cents(self.db, account) or 0,
                own_meal=own_meal,
                own_meals=own_meals,
                policy=policy_on(
                    reads.policies(self.db), service.day if service else self._today(moment)
                ),
                service=service,
                data_age_ms=self.data_age_ms(moment),
            )
        )
        entry = writes.record(self.db, outcome.entry)
        log.info(
            "%s by the staff: account %s",
            _word(outcome),
            account,
            extra=_fields(entry, _word(outcome)),
        )
        return outcome, entry

    def close(self, trays: int, moment: Moment) -> Entry:
        """Record the staff's count of trays beside the terminal's own of meals."""
        service = self._service(moment)
        if service is None:
            raise AgentError(
                "no service is open; a service is closed within half an hour of its end"
            )
        served = reads.served(self.db, service.service, service.day)
        entry = writes.record(
            self.db,
            closing(
                moment=moment, service=service.service, day=service.day, trays=trays, served=served
            ),
        )
        log.info(
            "closing: %d trays counted, %d meals served",
            trays,
            served,
            extra=_fields(entry, "closing"),
        )
        return entry

    def data_age_ms(self, moment: Moment) -> int | None:
        """Return how long ago the central was heard, None for never."""
        last_contact_at = reads.standing(self.db).last_contact_at
        return None if last_contact_at is None else age_ms(last_contact_at, moment.at)

    def _facts(self, moment: Moment, token: Token | None) -> Facts:
        record, account, balance_cents = reads.of_card(self.db, token) if token else (None, None, 0)
        service = self._service(moment)
        eater = account.id if account else None
        own_meal, own_meals = (
            reads.own_meals(self.db, eater, token, service.service, service.day)
            if token and service
            else (None, 0)
        )
        if (
            own_meal is None and token and service and moment.trust is ClockTrust.UNSET
        ):  # what day it was said to be may have changed since
            own_meal = reads.meal_since(
                self.db, eater, token, service.service, moment.boot, moment.mono_ms - STAFF_DAY_MS
            )
        return Facts(
            moment=moment,
            how=How.CARD,
            token=token,
            card=record,
            account=account,
            balance_cents=balance_cents,
            own_meal=own_meal,
            own_meals=own_meals,
            policy=policy_on(
                reads.policies(self.db), service.day if service else self._today(moment)
            ),
            service=service,
            data_age_ms=self.data_age_ms(moment),
        )

    def _today(self, moment: Moment) -> Day:
        return moment.day or day_of(moment.at, self.zone)

    def _late_service(self, day: Day, service_id: str | None, moment: Moment) -> ServiceNow:
        ids = sorted(one.id for one in reads.services(self.db))
        if not is_day(day):
            raise AgentError(f"{day} is not a day; write 2026-11-23")
        if not ids:
            raise AgentError("the central has sent no service yet")
        if service_id is None and len(ids) > 1:
            raise AgentError(f"say which service it was: {', '.join(ids)}")
        if service_id is not None and service_id not in ids:
            raise AgentError(f"there is no service {service_id} here; there are {', '.join(ids)}")
        if day > self._today(moment):
            raise AgentError(f"{day} is still to come")
        keep_days = policy_on(reads.policies(self.db), self._today(moment)).keep_days
        if day <= day_of(
            format_instant(parse_instant(moment.at) - timedelta(days=keep_days)), self.zone
        ):
            # whether it was eaten already is not known here any more
            raise AgentError(
                f"{day} is longer ago than the {keep_days} days a terminal keeps its meals; ask the office"
            )
        forgotten = reads.remembers_from(self.db)
        if forgotten is not None and day <= day_of(
            forgotten, self.zone
        ):  # a rule that keeps longer brings nothing back
            raise AgentError(f"{day}: meals of that day are not all here any more; ask the office")
        return ServiceNow(service=service_id or ids[0], day=day, outside_hours=False)

    def _service(self, moment: Moment) -> ServiceNow | None:
        services = reads.services(self.db)
        if moment.trust is ClockTrust.UNSET:
            return any_service(services, self._today(moment))
        return service_now(services, moment.at, self.zone)


def _is_meal(entry: Entry) -> bool:
    return entry.kind in ("meal", "unknown_meal")


def _word(outcome: Outcome) -> str:
    match outcome:
        case Served():
            return "served"
        case AlreadyServed(terminal=terminal):
            return "already served" if terminal is None else f"already served at {terminal}"
        case Refused(reason=reason):
            return f"refused, {reason}"


def _log_tap(event: CardPresented | CardUnreadable, outcome: Outcome, entry: Entry) -> None:
    what = (
        f"card {entry.card[:8]}"
        if entry.card
        else f"no card ({event.fault}: {event.sentence})"
        if isinstance(event, CardUnreadable)
        else "no card"
    )
    log.info(
        "%s: %s, account %s, %d cents, entry %d, reader %s",
        _word(outcome),
        what,
        entry.account or "unknown",
        entry.cents,
        entry.seq,
        event.reader,
        extra=_fields(entry, _word(outcome)),
    )


def _fields(entry: Entry, outcome: str) -> dict[str, dict[str, object]]:
    members = {
        "outcome": outcome,
        "seq": entry.seq,
        "account": entry.account,
        "card": entry.card[:8] if entry.card else None,
    }
    return {"fields": {name: value for name, value in members.items() if value is not None}}
