"""The verdict on one entry: applied, flagged (applied, someone should look) or set aside.

An entry that is set aside is kept, and moves no balance. No entry is rejected.
"""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.central.books import accounts, cards, entries, meals
from agent.central.books.accounts import Account
from agent.central.books.boots import BootTime
from agent.central.books.cards import Card
from agent.central.books.entries import BookedEntry
from agent.central.books.file import Books
from agent.central.books.meals import Serving
from agent.central.dating import AHEAD_REASON, NO_PRICE_REASON, is_time_unknown, sent_cents
from agent.domain.canteen import price_on
from agent.domain.clock import ClockTrust, Instant
from agent.domain.ledger import Entry, EntryKey, Flag, Kind
from agent.errors import cut_reason

SECOND_REASON = "already_served_elsewhere"


@dataclass(slots=True)
class Batch:
    """What all entries of a batch share, and what must be done once after them.

    Lookups that cannot change within a batch, or only by the batch itself, are kept here:
    `hashes_by_seq` are the hashes booked, `undone_seqs` the seqs that a storno undoes, `times` the
    newest confirmed time of each boot, `has_undated` whether the next one may date others.

    To do after the entries: settle the `servings`, and renew every account of `moved_cents`, whose
    balance moves by those cents.
    """

    terminal: str
    site: str | None
    epoch: str
    at: Instant
    zone: ZoneInfo
    hashes_by_seq: dict[int, set[str]]
    undone_seqs: set[int]
    servings: set[Serving] = field(default_factory=set)
    moved_cents: dict[str, int] = field(default_factory=dict)
    times: dict[str, BootTime | None] = field(default_factory=dict)
    has_undated: bool = True
    _accounts: dict[str, Account | None] = field(default_factory=dict)
    _cards: dict[str, Card | None] = field(default_factory=dict)

    def account(self, books: Books, account: str) -> Account | None:
        """Return an account, None for one the central does not have."""
        if account not in self._accounts:
            self._accounts[account] = accounts.find(books, account)
        return self._accounts[account]

    def card(self, books: Books, token: str | None) -> Card | None:
        """Return a card, None for no token and for a card the central does not have."""
        if token is None:
            return None
        if token not in self._cards:
            self._cards[token] = cards.find(books, token)
        return self._cards[token]


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


def judge(books: Books, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    """Fill in the verdict on a well-formed entry."""
    match entry.kind:
        case Kind.MEAL:
            _judge_meal(books, batch, entry, verdict)
        case Kind.UNKNOWN_MEAL:
            _judge_unknown_meal(books, batch, entry, verdict)
        case Kind.STORNO:
            _judge_storno(books, batch, entry, verdict)
        case Kind.REFUSAL | Kind.CLOSING:
            pass
    if is_time_unknown(entry, batch.at) and entry.clock is not ClockTrust.UNSET:
        verdict.flag(AHEAD_REASON)  # behind the reason for which an entry is set aside


def _judge_meal(books: Books, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    assert entry.account is not None
    account = batch.account(books, entry.account)
    if account is None:
        return verdict.set_aside("unknown_account")
    verdict.account, verdict.cents, verdict.posting = account.id, entry.cents, "meal"
    if Flag.NO_PRICE in entry.flags:
        _price(books, account.id, entry, verdict)
    if account.status == "closed":
        verdict.flag("closed_account")
    card = batch.card(books, entry.card)
    if card is not None and card.status != "active":
        verdict.flag("card_blocked")
    elif card is not None and card.account != account.id:
        verdict.flag("card_of_another_account")
    if not is_time_unknown(entry, batch.at):
        _flag_second(books, account.id, entry, verdict)
    return None


def _judge_unknown_meal(books: Books, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    card = batch.card(books, entry.card)
    if card is None:
        return verdict.set_aside("unknown_card")
    verdict.account, verdict.posting = card.account, "unknown_meal"
    _price(books, card.account, entry, verdict)
    if card.status != "active":
        verdict.flag("card_blocked")
    if not is_time_unknown(entry, batch.at):
        _flag_second(books, card.account, entry, verdict)
    return None


def _price(books: Books, account: str, entry: Entry, verdict: Verdict) -> None:
    """Charge a meal whose price the terminal did not know, or wait for the price."""
    if entry.cents != 0:
        return verdict.flag("flag_contradicts_cents")  # the terminal charged it
    assert entry.service is not None and entry.day is not None
    price_cents = price_on(accounts.prices(books, account), entry.service, entry.day)
    verdict.cents = -(price_cents or 0)
    if price_cents is None:
        verdict.flag(NO_PRICE_REASON)
    return None


def _flag_second(books: Books, account: str, entry: Entry, verdict: Verdict) -> None:
    assert entry.service is not None and entry.day is not None
    if meals.has_standing(books, Serving(account, entry.service, entry.day)):
        verdict.flag(SECOND_REASON)


def _judge_storno(books: Books, batch: Batch, entry: Entry, verdict: Verdict) -> None:
    assert entry.reverses is not None
    key = EntryKey(batch.terminal, entry.reverses.epoch, entry.reverses.seq, entry.reverses.hash)
    meal = entries.find(books, key)
    if meal is None:
        # The meal may still come, from another copy of that disk. Then both are booked.
        verdict.undoes = key
    if meal is None or meal.kind not in ("meal", "unknown_meal"):
        return verdict.set_aside("storno_of_no_meal")
    if meals.storno_of(books, key) is not None:
        return verdict.set_aside("storno_repeated")
    verdict.undoes = key
    if meal.cents is None or meal.account is None:
        return verdict.set_aside("storno_of_a_meal_set_aside")
    # The central may have priced the meal: of an unknown card, or of a day that was wrong.
    verdict.account, verdict.posting = meal.account, "storno"
    verdict.cents = entry.cents + sent_cents(meal) - meal.cents
    if verdict.cents != -meal.cents:
        verdict.flag("not_the_amount_of_its_meal")
    return _settle_later(batch, meal)


def _settle_later(batch: Batch, meal: BookedEntry) -> None:
    """Let the other meals of an undone meal's serving be settled after the batch."""
    if meal.account is not None and meal.service is not None and meal.true_day is not None:
        batch.servings.add(Serving(meal.account, meal.service, meal.true_day))
