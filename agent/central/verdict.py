"""The verdict on one entry: applied, flagged (applied, someone should look) or set aside.

An entry that is set aside is kept, and moves no balance. No entry is rejected.
"""

from dataclasses import dataclass, field

from agent.central.books.meals import MEAL_KINDS, Serving
from agent.central.dating import AHEAD_REASON, NO_PRICE_REASON, is_time_unknown, sent_cents
from agent.central.page import Page
from agent.domain.canteen import price_on
from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, EntryKey, Flag, Kind
from agent.errors import cut_reason

SECOND_REASON = "already_served_elsewhere"


@dataclass(slots=True)
class Verdict:
    """What is booked for one entry: `posting` is the posting's kind, `undoes` a storno's meal."""

    status: str = "applied"
    reasons: list[str] = field(default_factory=list)
    account: str | None = None
    cents: int | None = None
    undoes: EntryKey | None = None
    posting: str = ""

    def flag(self, reason: str) -> None:
        """Mark the entry as one that someone should look at."""
        self.status = "flagged" if self.status == "applied" else self.status
        self.reasons.append(cut_reason(reason))

    def set_aside(self, reason: str) -> None:
        """Keep the entry without booking it."""
        self.status, self.account, self.cents = "set_aside", None, None
        self.reasons.append(cut_reason(reason))


def judge(page: Page, terminal: str, entry: Entry, verdict: Verdict) -> None:
    """Fill in the verdict on a terminal's well-formed entry."""
    match entry.kind:
        case Kind.MEAL:
            _judge_meal(page, entry, verdict)
        case Kind.UNKNOWN_MEAL:
            _judge_unknown_meal(page, entry, verdict)
        case Kind.STORNO:
            _judge_storno(page, terminal, entry, verdict)
        case Kind.REFUSAL | Kind.CLOSING:
            pass
    if is_time_unknown(entry, page.at) and entry.clock is not ClockTrust.UNSET:
        verdict.flag(AHEAD_REASON)  # behind the reason for which an entry is set aside


def _judge_meal(page: Page, entry: Entry, verdict: Verdict) -> None:
    assert entry.account is not None
    account = page.account(entry.account)
    if account is None:
        return verdict.set_aside("unknown_account")
    verdict.account, verdict.cents, verdict.posting = account.id, entry.cents, "meal"
    if Flag.NO_PRICE in entry.flags:
        _price(page, account.id, entry, verdict)
    if account.status == "closed":
        verdict.flag("closed_account")
    card = page.card(entry.card)
    if card is not None and card.status != "active":
        verdict.flag("card_blocked")
    elif card is not None and card.account != account.id:
        verdict.flag("card_of_another_account")
    return _flag_second(page, account.id, entry, verdict)


def _judge_unknown_meal(page: Page, entry: Entry, verdict: Verdict) -> None:
    card = page.card(entry.card)
    if card is None:
        return verdict.set_aside("unknown_card")
    verdict.account, verdict.posting = card.account, "unknown_meal"
    _price(page, card.account, entry, verdict)
    if card.status != "active":
        verdict.flag("card_blocked")
    return _flag_second(page, card.account, entry, verdict)


def _price(page: Page, account: str, entry: Entry, verdict: Verdict) -> None:
    """Charge a meal whose price the terminal did not know, or wait for the price."""
    if entry.cents != 0:
        return verdict.flag("flag_contradicts_cents")  # the terminal charged it
    assert entry.service is not None and entry.day is not None
    price_cents = price_on(page.prices(account), entry.service, entry.day)
    verdict.cents = -(price_cents or 0)
    if price_cents is None:
        verdict.flag(NO_PRICE_REASON)
    return None


def _flag_second(page: Page, account: str, entry: Entry, verdict: Verdict) -> None:
    if is_time_unknown(entry, page.at):
        return
    assert entry.service is not None and entry.day is not None
    if page.has_standing(Serving(account, entry.service, entry.day)):
        verdict.flag(SECOND_REASON)


def _judge_storno(page: Page, terminal: str, entry: Entry, verdict: Verdict) -> None:
    assert entry.reverses is not None
    key = EntryKey(terminal, entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash)
    meal = page.entry(key)
    if meal is None:
        # The meal may still come, from another copy of that disk. Then both are booked.
        verdict.undoes = key
    if meal is None or meal.kind not in MEAL_KINDS:
        return verdict.set_aside("storno_of_no_meal")
    if page.is_undone(key):
        return verdict.set_aside("storno_repeated")
    verdict.undoes = key
    if meal.cents is None or meal.account is None:
        return verdict.set_aside("storno_of_a_meal_set_aside")
    # The central may have priced the meal: of an unknown card, or of a day that was wrong.
    verdict.account, verdict.posting = meal.account, "storno"
    verdict.cents = entry.cents + sent_cents(meal) - meal.cents
    if verdict.cents != -meal.cents:
        verdict.flag("not_the_amount_of_its_meal")
    page.settle_later(meal)  # its other meals may be paid now
    return None
