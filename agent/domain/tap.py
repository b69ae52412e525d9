"""What becomes of a tap.

`decide` is one column of checks; the first that applies is the answer. Refusals are values, and every outcome carries
the draft of the entry that records it: what happened is recorded, not refused.

The order, and why:
 1. unreadable      nothing is known of the child
 2. no service      outside serving times there is nothing to sell
 3. blocked         a lost card buys nothing, whatever its account holds, and whether its account is known here or not
 4. unknown card    served by default (story 3), refused only where the town says so
 5. already served  one meal per account, service and day: here, or at another terminal as far as the central told us
 6. credit          only where the town refuses, never on stale data (story 1), never under `serve_all_until` (story 2)
"""

from dataclasses import dataclass
from enum import StrEnum

from agent.domain.canteen import (
    AccountRecord,
    AccountStatus,
    CardRecord,
    CardStatus,
    PolicyRecord,
    ServiceNow,
    Shortage,
    UnknownCard,
    price_on,
)
from agent.domain.card import Token
from agent.domain.clock import ClockTrust, Instant, Moment, age_ms
from agent.domain.ledger import Entry, Flag, How, Kind, RefusalReason, Reversed

ASSURANCE_UID = "uid"  # identified by its number alone, which can be copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision may depend on, read in one go before it.

    `own_meal` is the account's (or unknown card's) standing meal at `service`; `own_meals` counts its meals there with
    the undone ones, so that a meal undone may be eaten again. `data_age_ms` is the age of the central's last word.
    """

    moment: Moment
    how: How
    token: Token | None
    card: CardRecord | None
    account: AccountRecord | None
    balance_cents: int
    own_meal: Entry | None
    own_meals: int
    policy: PolicyRecord
    service: ServiceNow | None
    data_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A meal. `entry` must be committed before anything shows green."""

    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyServed:
    """No second meal. `terminal` is None for this terminal."""

    entry: Entry
    terminal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No meal."""

    entry: Entry
    reason: RefusalReason


Outcome = Served | AlreadyServed | Refused


def decide(facts: Facts) -> Outcome:
    """Return the outcome of a tap, of a name chosen by the staff (`How.MANUAL`) or of a meal typed in later (`How.LATE`)."""
    by_card = facts.how is How.CARD
    if by_card and facts.token is None:
        return _refused(facts, RefusalReason.UNREADABLE)
    if facts.service is None:
        return _refused(facts, RefusalReason.NO_SERVICE)
    if by_card and facts.card is not None and facts.card.status is not CardStatus.ACTIVE:
        return _refused(facts, RefusalReason.BLOCKED)
    if facts.account is None:
        return _decide_unknown(facts, facts.service)
    if by_card and facts.account.status is AccountStatus.CLOSED:
        return _refused(facts, RefusalReason.BLOCKED)
    if _has_own_meal(facts):
        return AlreadyServed(entry=_refusal(facts, RefusalReason.ALREADY_SERVED), terminal=None)
    if (elsewhere := _meal_elsewhere(facts, facts.account, facts.service)) is not None:
        return AlreadyServed(
            entry=_refusal(facts, RefusalReason.ALREADY_SERVED), terminal=elsewhere
        )
    return _decide_credit(facts, facts.account, facts.service)


def _decide_unknown(facts: Facts, service: ServiceNow) -> Outcome:
    if facts.policy.unknown_card is UnknownCard.REFUSE and not _serve_all(facts):
        return _refused(facts, RefusalReason.UNKNOWN_CARD)
    if _has_own_meal(facts):
        return AlreadyServed(entry=_refusal(facts, RefusalReason.ALREADY_SERVED), terminal=None)
    return Served(entry=_meal(facts, Kind.UNKNOWN_MEAL, service, cents=0, flags=[]))


def _decide_credit(facts: Facts, account: AccountRecord, service: ServiceNow) -> Outcome:
    price_cents = price_on(account.prices, service.service, service.day) or 0
    after_cents = facts.balance_cents - price_cents
    flags = [Flag.ON_CREDIT] if price_cents > 0 and after_cents < 0 else []
    short = price_cents > 0 and after_cents < facts.policy.floor
    if short and facts.policy.shortage is Shortage.REFUSE and facts.how is How.CARD:
        if _serve_all(facts):
            flags.append(Flag.SERVE_ALL)
        elif not _stale(facts):
            return _refused(facts, RefusalReason.NO_CREDIT)
    return Served(entry=_meal(facts, Kind.MEAL, service, cents=-price_cents, flags=flags))


def _has_own_meal(facts: Facts) -> bool:
    """Where the day is a guess, only a meal of the same boot is surely of the same day."""
    if facts.own_meal is None:
        return False
    return not _day_is_a_guess(facts.moment) or facts.own_meal.boot == facts.moment.boot


def _day_is_a_guess(moment: Moment) -> bool:
    """Return whether the clock is known to be wrong and nobody has said what day it is."""
    return moment.trust is ClockTrust.UNSET and moment.day is None


def _meal_elsewhere(facts: Facts, account: AccountRecord, service: ServiceNow) -> str | None:
    """What the own ledger says of its own meals wins over what the central knew of them some time ago."""
    last = account.last_meal
    if last is None or facts.own_meals > 0 or _day_is_a_guess(facts.moment):
        return None
    return last.terminal if (last.day, last.service) == (service.day, service.service) else None


def _serve_all(facts: Facts) -> bool:
    until = facts.policy.serve_all_until
    return until is not None and facts.moment.at < until


def _stale(facts: Facts) -> bool:
    return facts.data_age_ms is None or facts.data_age_ms > facts.policy.stale_after_h * 3_600_000


def _meal(facts: Facts, kind: Kind, service: ServiceNow, *, cents: int, flags: list[Flag]) -> Entry:
    marks = [*flags]
    if _stale(facts):
        marks.append(Flag.STALE)
    if service.outside_hours:
        marks.append(Flag.OUTSIDE_HOURS)
    if facts.moment.trust is ClockTrust.UNSET:
        marks.append(Flag.CLOCK_UNSET)
    return Entry(
        kind=kind,
        cents=cents,
        at=facts.moment.at,
        clock=facts.moment.trust,
        boot=facts.moment.boot,
        mono_ms=facts.moment.mono_ms,
        how=facts.how,
        account=facts.account.id if facts.account else None,
        card=facts.token,
        service=service.service,
        day=service.day,
        assurance=ASSURANCE_UID if facts.how is How.CARD else None,
        flags=sorted(marks),
    )


def _refused(facts: Facts, reason: RefusalReason) -> Refused:
    return Refused(entry=_refusal(facts, reason), reason=reason)


def _refusal(facts: Facts, reason: RefusalReason) -> Entry:
    return Entry(
        kind=Kind.REFUSAL,
        cents=0,
        at=facts.moment.at,
        clock=facts.moment.trust,
        boot=facts.moment.boot,
        mono_ms=facts.moment.mono_ms,
        how=facts.how,
        account=facts.account.id if facts.account else None,
        card=facts.token,
        service=facts.service.service if facts.service else None,
        day=facts.service.day if facts.service else None,
        reason=reason,
    )


def out_of_order_refusal(facts: Facts) -> Entry:
    """Return the draft of a tap that was told *out of order*: no meal of ours, whatever the staff did then."""
    return _refusal(facts, RefusalReason.OUT_OF_ORDER)


class UndoRefusal(StrEnum):
    """Why an entry cannot be undone."""

    NOT_A_MEAL = "not_a_meal"
    ALREADY_UNDONE = "already_undone"
    TOO_LATE = "too_late"


def undo(
    meal: Entry, *, epoch: str, undone: bool, policy: PolicyRecord, moment: Moment
) -> Entry | UndoRefusal:
    """Return the draft of the storno of a meal, or why there is none (story 4: one touch, never twice)."""
    if meal.kind not in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        return UndoRefusal.NOT_A_MEAL
    if undone:
        return UndoRefusal.ALREADY_UNDONE
    if age_ms(meal.at, moment.at) > policy.undo_min * 60_000:
        return UndoRefusal.TOO_LATE
    return Entry(
        kind=Kind.STORNO,
        cents=-meal.cents,
        at=moment.at,
        clock=moment.trust,
        boot=moment.boot,
        mono_ms=moment.mono_ms,
        how=How.MANUAL,
        account=meal.account,
        card=meal.card,
        service=meal.service,
        day=meal.day,
        reverses=Reversed(epoch=epoch, seq=meal.seq, hash=meal.hash),
    )


def closing(*, moment: Moment, service: str, day: Instant, trays: int, served: int) -> Entry:
    """Return the draft of the staff's end-of-service count."""
    return Entry(
        kind=Kind.CLOSING,
        cents=0,
        at=moment.at,
        clock=moment.trust,
        boot=moment.boot,
        mono_ms=moment.mono_ms,
        how=How.MANUAL,
        service=service,
        day=day,
        trays=trays,
        served=served,
    )
