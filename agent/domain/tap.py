"""The outcome of a tap: served, already served, or refused.

`domain/ledger.py` lists the reasons. `terminal/counter.py` makes the words that people read, in the
log; `readers/events.py` and the reader's profile make the light.

`decide` is a list of checks in a fixed order; the first that applies gives the outcome. A refusal
is a value. Every outcome carries the draft of the entry that records it.

The order, and the reasons:
 1. unreadable      without a card nothing is known about the child
 2. no service      no meal is sold outside serving times
 3. blocked         a lost card buys nothing, even if this terminal does not know its account
 4. unknown card    served by default (story 3); refused only where the town decides so
 5. already served  one meal per account, service and day: at this terminal, or at another one as
                    far as the central's records say (`is_same_meal`)
 6. credit          only where the town refuses; never on stale data (story 1), never under
                    `serve_all_until` (story 2)

A guessed day never refuses: then the town's rules of a day, and meals of an earlier boot, give no
refusal (`Moment.is_day_sure`).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

from msgspec import Struct

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

SAME_MEAL_MS = 3 * 3_600_000
"""Within a boot, two taps of one service that are nearer are one meal, whatever their days.
Longer than a serving, shorter than the time from one meal of the day to the next: a wrong hour also
takes the wrong service."""
ASSURANCE_UID = "uid"
"""The card was identified by its UID alone, which can be copied."""


class OwnMeal(Struct, frozen=True, kw_only=True):
    """A meal in this terminal's ledger.

    `is_dated`: its day was confirmed when it was recorded, and no later time contradicts it.
    """

    entry: Entry
    is_undone: bool
    is_dated: bool


class Facts(Struct, frozen=True, kw_only=True):
    """All inputs of a decision, read before it.

    `own_meals` are the meals of the account, or unknown card, at `service` that may be the same
    meal, the oldest first: of its day, or of this boot. `data_age_ms` is the time since the last
    contact with the central, None if that is not known. `by` is the staff account that allowed an
    entry of the staff.
    """

    moment: Moment
    how: How
    token: Token | None
    card: CardRecord | None
    account: AccountRecord | None
    balance_cents: int
    own_meals: Sequence[OwnMeal]
    policy: PolicyRecord
    service: ServiceNow | None
    data_age_ms: int | None
    by: str | None = None


class Served(Struct, frozen=True, kw_only=True):
    """A meal. `entry` must be committed before the reader shows green.

    `is_another`: the ledger has a meal of that account, service and day, which is another meal: its
    day, or this one, was wrong or guessed.
    """

    entry: Entry
    is_another: bool


class AlreadyServed(Struct, frozen=True, kw_only=True):
    """No second meal. `terminal` served the first one; None is this terminal."""

    entry: Entry
    terminal: str | None


class Refused(Struct, frozen=True, kw_only=True):
    """No meal."""

    entry: Entry
    reason: RefusalReason


Outcome = Served | AlreadyServed | Refused


def decide(facts: Facts) -> Outcome:
    """Return the outcome of a tap or of a meal that the staff enter.

    `How.MANUAL` is an account that the staff choose now, `How.LATE` a meal of an earlier day.
    """
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
    if standing_meal(facts) is not None:
        return _already_served(facts, terminal=None)
    if (elsewhere := _meal_elsewhere(facts, facts.account, facts.service)) is not None:
        return _already_served(facts, terminal=elsewhere)
    return _decide_credit(facts, facts.account, facts.service)


def _decide_unknown(facts: Facts, service: ServiceNow) -> Outcome:
    refuses = facts.policy.unknown_card is UnknownCard.REFUSE and not _is_day_guessed(facts)
    if refuses and not _serve_all(facts):
        return _refused(facts, RefusalReason.UNKNOWN_CARD)
    if standing_meal(facts) is not None:
        return _already_served(facts, terminal=None)
    return _served(facts, Kind.UNKNOWN_MEAL, service, cents=0, flags=[])


def _decide_credit(facts: Facts, account: AccountRecord, service: ServiceNow) -> Outcome:
    price_cents = price_on(account.prices, service.service, service.day)
    if price_cents is None:
        # never refused, and not free: the central charges it when the office writes the price
        return _served(facts, Kind.MEAL, service, cents=0, flags=[Flag.NO_PRICE])
    after_cents = facts.balance_cents - price_cents
    flags = [Flag.ON_CREDIT] if price_cents > 0 and after_cents < 0 else []
    short = price_cents > 0 and after_cents < facts.policy.floor
    if short and facts.policy.shortage is Shortage.REFUSE and facts.how is How.CARD:
        if _serve_all(facts):
            flags.append(Flag.SERVE_ALL)
        elif not _stale(facts) and not _is_day_guessed(facts):
            return _refused(facts, RefusalReason.NO_CREDIT)
    return _served(facts, Kind.MEAL, service, cents=-price_cents, flags=flags)


def is_same_meal(meal: OwnMeal, service: ServiceNow, facts: Facts) -> bool:
    """Return whether an own meal is the one that is asked for now, undone or not.

    Within a boot the monotonic clock says it first: the same service within hours is the same meal,
    whatever any clock showed. Else the day says it, if both days were confirmed. A meal that staff
    typed in later has the day they gave.
    """
    entry = meal.entry
    is_of_day = entry.day == service.day
    if facts.how is How.LATE and entry.how is not How.LATE:
        return is_of_day and (meal.is_dated or entry.clock is ClockTrust.HELD)
    if entry.how is How.LATE:
        return is_of_day and not _is_day_guessed(facts)
    is_near = 0 <= facts.moment.mono_ms - entry.mono_ms < SAME_MEAL_MS
    if entry.boot == facts.moment.boot and is_near:
        return True
    return is_of_day and meal.is_dated and not _is_day_guessed(facts)


def standing_meal(facts: Facts) -> Entry | None:
    """Return the meal that the account had at this terminal, None if it had none."""
    service = facts.service
    if service is None:
        return None
    meals = (meal for meal in facts.own_meals if is_same_meal(meal, service, facts))
    return next((meal.entry for meal in meals if not meal.is_undone), None)


def _is_day_guessed(facts: Facts) -> bool:
    """Return whether the day is a guess. The staff name the day of a late meal."""
    return facts.how is not How.LATE and not facts.moment.is_day_sure


def _meal_elsewhere(facts: Facts, account: AccountRecord, service: ServiceNow) -> str | None:
    """Return the terminal that served the account's meal of this service, as the central sent it.

    This terminal's ledger is newer than that: if it has meals of this service, only they count.
    """
    last = account.last_meal
    if last is None or _is_day_guessed(facts):
        return None
    if any(is_same_meal(meal, service, facts) for meal in facts.own_meals):
        return None
    return last.terminal if (last.day, last.service) == (service.day, service.service) else None


def _serve_all(facts: Facts) -> bool:
    until = facts.policy.serve_all_until
    return until is not None and facts.moment.at < until


def _stale(facts: Facts) -> bool:
    return facts.data_age_ms is None or facts.data_age_ms > facts.policy.stale_after_h * 3_600_000


class _MadeAt(TypedDict):
    at: Instant
    clock: ClockTrust
    boot: str
    mono_ms: int


def _made_at(moment: Moment) -> _MadeAt:
    """Return the members of an entry that say when it was made."""
    return {
        "at": moment.at,
        "clock": moment.trust,
        "boot": moment.boot,
        "mono_ms": moment.mono_ms,
    }


def _served(
    facts: Facts, kind: Kind, service: ServiceNow, *, cents: int, flags: list[Flag]
) -> Served:
    entry = _meal(facts, kind, service, cents=cents, flags=flags)
    is_another = any(not meal.is_undone and meal.entry.day == entry.day for meal in facts.own_meals)
    return Served(entry=entry, is_another=is_another)


def _meal(facts: Facts, kind: Kind, service: ServiceNow, *, cents: int, flags: list[Flag]) -> Entry:
    all_flags = [*flags]
    if _stale(facts):
        all_flags.append(Flag.STALE)
    if service.outside_hours:
        all_flags.append(Flag.OUTSIDE_HOURS)
    if facts.moment.trust is ClockTrust.UNSET:
        all_flags.append(Flag.CLOCK_UNSET)
    return Entry(
        kind=kind,
        cents=cents,
        **_made_at(facts.moment),
        how=facts.how,
        by=facts.by,
        account=facts.account.id if facts.account else None,
        card=facts.token,
        service=service.service,
        day=service.day,
        assurance=ASSURANCE_UID if facts.how is How.CARD else None,
        flags=sorted(all_flags),
    )


def _already_served(facts: Facts, *, terminal: str | None) -> AlreadyServed:
    return AlreadyServed(entry=_refusal(facts, RefusalReason.ALREADY_SERVED), terminal=terminal)


def _refused(facts: Facts, reason: RefusalReason) -> Refused:
    return Refused(entry=_refusal(facts, reason), reason=reason)


def _refusal(facts: Facts, reason: RefusalReason) -> Entry:
    return Entry(
        kind=Kind.REFUSAL,
        cents=0,
        **_made_at(facts.moment),
        how=facts.how,
        by=facts.by,
        account=facts.account.id if facts.account else None,
        card=facts.token,
        service=facts.service.service if facts.service else None,
        day=facts.service.day if facts.service else None,
        reason=reason,
    )


def out_of_order_refusal(facts: Facts) -> Entry:
    """Return the draft of a tap while the terminal's file failed, shown as *out of order*.

    It is no meal: this terminal does not know whether the staff served the child.
    """
    return _refusal(facts, RefusalReason.OUT_OF_ORDER)


def is_further_look(newest: Entry, outcome: Outcome, within_ms: int) -> bool:
    """Return whether a tap is a further look at the card of the newest entry.

    For the time after a process began, which does not know what lay on its readers. The outcome is
    decided first: nothing is refused, and nobody is called served, by what was decided earlier.
    """
    draft = outcome.entry
    is_same_card = draft.card is not None and draft.card == newest.card
    is_near = 0 <= draft.mono_ms - newest.mono_ms <= within_ms and draft.boot == newest.boot
    if not is_same_card or not is_near or newest.how is not How.CARD:
        return False
    if isinstance(outcome, AlreadyServed) and newest.kind in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        return outcome.terminal is None
    return newest.kind is Kind.REFUSAL and newest.reason is draft.reason


class UndoRefusal(StrEnum):
    """Why an entry cannot be undone."""

    NOT_A_MEAL = "not_a_meal"
    ALREADY_UNDONE = "already_undone"
    TOO_LATE = "too_late"


def undo(
    own: OwnMeal, *, epoch: str, policy: PolicyRecord, moment: Moment, by: str | None = None
) -> Entry | UndoRefusal:
    """Return the draft of the storno of a meal of `epoch`, or the reason there is none.

    A meal is undone once (story 4).
    """
    meal = own.entry
    if meal.kind not in (Kind.MEAL, Kind.UNKNOWN_MEAL):
        return UndoRefusal.NOT_A_MEAL
    if own.is_undone:
        return UndoRefusal.ALREADY_UNDONE
    if _age_of_meal_ms(own, moment) > policy.undo_min * 60_000:
        return UndoRefusal.TOO_LATE
    return Entry(
        kind=Kind.STORNO,
        cents=-meal.cents,
        **_made_at(moment),
        how=How.MANUAL,
        by=by,
        account=meal.account,
        card=meal.card,
        service=meal.service,
        day=meal.day,
        reverses=Reversed(epoch=epoch, seq=meal.seq, hash=meal.hash),
    )


def _age_of_meal_ms(own: OwnMeal, moment: Moment) -> int:
    """Return the age of a meal, 0 where the clocks do not know it."""
    if own.entry.boot == moment.boot:
        return moment.mono_ms - own.entry.mono_ms
    is_known = own.is_dated and moment.trust is ClockTrust.SYNCED
    return age_ms(own.entry.at, moment.at) if is_known else 0


def closing(
    *, moment: Moment, service: ServiceNow, trays: int, served: int, by: str | None = None
) -> Entry:
    """Return the draft of the end of a service: trays the staff counted, meals of this ledger."""
    return Entry(
        kind=Kind.CLOSING,
        cents=0,
        **_made_at(moment),
        how=How.MANUAL,
        by=by,
        service=service.service,
        day=service.day,
        trays=trays,
        served=served,
    )
