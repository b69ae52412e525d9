"""`Page`: the part of the books that a rule reads and changes, in memory.

A rule's reads see what it has changed before. What changed is written afterwards, in a few bulk
statements (`books/outcome.py`). A page reaches no database: it raises `NotRead` for a fact that was
not read, and the rule starts again on a new page (`paging.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from agent.central.books.accounts import Account
from agent.central.books.boots import Boot, BootTime
from agent.central.books.cards import Card
from agent.central.books.entries import BookedEntry
from agent.central.books.facts import Facts, Later, NotRead, Wanted
from agent.central.books.meals import MEAL_KINDS, Serving
from agent.central.books.outcome import Outcome
from agent.central.books.postings import Posting
from agent.central.books.rules import GIVE_BACK
from agent.domain.canteen import Price
from agent.domain.clock import Day, Instant
from agent.domain.ledger import EntryKey

Name = TypeVar("Name", bound=Hashable)
Fact = TypeVar("Fact")


class Page:
    """Facts, and what a rule changed of them: `outcome`. `at` is when the central books.

    `servings` are to be settled after the other rules.
    """

    def __init__(self, facts: Facts, at: Instant) -> None:
        self.at = at
        self.outcome = Outcome()
        self.servings: set[Serving] = set()
        self._facts = facts
        self._undone: dict[EntryKey, BookedEntry] = {}  # by stornos of this page
        self._given_back_cents: dict[EntryKey, int] = defaultdict(int)
        self._of_serving: dict[Serving, set[EntryKey]] = defaultdict(set)

    # -- what is known -------------------------------------------------------------------------

    def need(self, wanted: Wanted) -> None:
        """Raise `NotRead` for those facts that were not read: all at once, before a loop."""
        facts = self._facts
        missing = Wanted(
            accounts=wanted.accounts - facts.accounts.keys(),
            cards=wanted.cards - facts.cards.keys(),
            priced=wanted.priced - facts.priced.keys(),
            boots=wanted.boots - facts.boots.keys(),
            entries=wanted.entries - facts.entries.keys() - self.outcome.new.keys(),
            servings=wanted.servings - facts.servings.keys(),
            undated=wanted.undated - facts.undated.keys(),
            whole_boots=wanted.whole_boots - facts.whole_boots.keys(),
            later=wanted.later - facts.later.keys(),
        )
        if missing:
            raise NotRead(missing)

    def account(self, account: str) -> Account | None:
        """Return an account, None for one that the central does not have."""
        return _known(self._facts.accounts, account, lambda: Wanted(accounts={account}))

    def card(self, token: str | None) -> Card | None:
        """Return a card, None for no token and for a card that the central does not have."""
        if token is None:
            return None
        return _known(self._facts.cards, token, lambda: Wanted(cards={token}))

    def prices(self, account: str) -> list[Price]:
        """Return an account's prices, ascending by service and day."""
        return _known(self._facts.priced, account, lambda: Wanted(priced={account}))

    def boot_time(self, boot: Boot) -> BootTime | None:
        """Return the newest confirmed time of a boot, None if there is none."""
        changed = self.outcome.boots.get(boot)
        return changed or _known(self._facts.boots, boot, lambda: Wanted(boots={boot}))

    def gives_back(self, day: Day) -> bool:
        """Return whether the rule of a day gives back what a second meal cost."""
        return next((rule for since, rule in self._facts.rules if since <= day), GIVE_BACK) == (
            GIVE_BACK
        )

    def entry(self, key: EntryKey) -> BookedEntry | None:
        """Return an entry as it is now, None if it did not come."""
        own = self.outcome.new.get(key) or self.outcome.changed.get(key)
        if own is not None:
            return own
        kept = _known(self._facts.entries, key, lambda: Wanted(entries={key}))
        return kept.entry if kept else None

    def is_undone(self, meal: EntryKey) -> bool:
        """Return whether a storno names a booked meal."""
        if meal in self._undone:
            return True
        if meal in self.outcome.new:
            return False
        kept = _known(self._facts.entries, meal, lambda: Wanted(entries={meal}))
        return kept is not None and kept.is_undone

    def storno_of(self, meal: EntryKey) -> BookedEntry | None:
        """Return the storno of a meal that is new on this page, None if it has none."""
        return self._undone.get(meal)

    def given_back_cents(self, meal: EntryKey) -> int:
        """Return the sum that was given back for a meal as a second one."""
        cents = self._given_back_cents.get(meal, 0)
        if meal in self.outcome.new:
            return cents
        kept = _known(self._facts.entries, meal, lambda: Wanted(entries={meal}))
        return cents + (kept.given_back_cents if kept else 0)

    def meals_of(self, serving: Serving) -> list[BookedEntry]:
        """Return the booked meals of a serving, the earliest first."""
        read = _known(self._facts.servings, serving, lambda: Wanted(servings={serving}))
        own = self._of_serving.get(serving)
        if not read and not own:
            return []
        meals = [self.entry(key) for key in {*read, *(own or ())}]
        standing = [meal for meal in meals if meal is not None and serving_of(meal) == serving]
        return sorted(standing, key=lambda meal: (meal.true_at or "", meal[0], meal[2], meal[3]))

    def has_standing(self, serving: Serving) -> bool:
        """Return whether a meal of a serving stands."""
        return any(not self.is_undone(meal.key) for meal in self.meals_of(serving))

    def undated(self, boot: Boot, mono_ms: int) -> list[BookedEntry]:
        """Return a boot's entries without a confirmed time that were made up to a moment."""
        read = _known(self._facts.undated, boot, lambda: Wanted(undated={boot}))
        return [
            entry
            for entry in self._with_own(read)
            if (entry.terminal, entry.boot) == boot
            and not entry.dated
            and entry.mono_ms is not None
            and entry.mono_ms <= mono_ms
        ]

    def of_boot(self, boot: Boot) -> list[BookedEntry]:
        """Return all entries of a boot."""
        read = _known(self._facts.whole_boots, boot, lambda: Wanted(whole_boots={boot}))
        return [entry for entry in self._with_own(read) if (entry.terminal, entry.boot) == boot]

    def later(self, boot: Boot, at: Instant) -> list[BookedEntry]:
        """Return entries of a terminal's other boots later than a time, or without their own."""
        wanted = Later(boot, at)
        read = _known(self._facts.later, wanted, lambda: Wanted(later={wanted}))
        return [
            entry
            for entry in self._with_own(read)
            if entry.terminal == boot.terminal
            and entry.boot not in (None, boot.boot)
            and entry.at is not None
            and (entry.true_at > at if entry.true_at is not None else entry.clock != "unset")
        ]

    def _with_own(self, read: Iterable[EntryKey]) -> list[BookedEntry]:
        """Return entries that were read, and all that this page added or changed."""
        keys = dict.fromkeys([*read, *self.outcome.changed, *self.outcome.new])
        return [entry for key in keys if (entry := self.entry(key)) is not None]

    # -- what changes --------------------------------------------------------------------------

    def take_storno(self, storno: BookedEntry) -> None:
        """Take note that a storno, booked before or on this page, undoes an entry."""
        if storno.undoes_epoch and storno.undoes_seq and storno.undoes_hash:
            undone = EntryKey(
                storno.terminal, storno.undoes_epoch, storno.undoes_seq, storno.undoes_hash
            )
            self._undone.setdefault(undone, storno)

    def add(self, key: EntryKey, entry: BookedEntry) -> None:
        """Add an entry."""
        self.outcome.new[key] = entry
        self.take_storno(entry)
        self._place(key, entry)

    def change(self, entry: BookedEntry) -> None:
        """Write what is booked for an entry, or its true time."""
        key = entry.key
        kept = self.outcome.new if key in self.outcome.new else self.outcome.changed
        kept[key] = entry
        self._place(key, entry)

    def remark(self, entry: BookedEntry) -> None:
        """Write what is booked for an entry, and send the remark on it again."""
        self.change(entry)
        self.outcome.remarks.add(entry.key)

    def _place(self, key: EntryKey, entry: BookedEntry) -> None:
        serving = serving_of(entry)
        if serving is not None:
            self._of_serving[serving].add(key)

    def post(self, posting: Posting) -> None:
        """Add a posting; its account's balance moves."""
        self.outcome.postings.append(posting)
        self.renew(posting.account, posting.cents)
        if posting.kind == "double_meal" and posting.entry is not None:
            self._given_back_cents[posting.entry] += posting.cents

    def renew(self, account: str, cents: int = 0) -> None:
        """Send an account's record again, with a balance that moves by some cents."""
        self.outcome.moved_cents[account] = self.outcome.moved_cents.get(account, 0) + cents

    def settle_later(self, meal: BookedEntry) -> None:
        """Let the serving of a meal be settled after the other rules."""
        serving = serving_of(meal)
        if serving is not None:
            self.servings.add(serving)

    def keep_boot_time(self, boot: Boot, time: BootTime) -> None:
        """Keep the newest confirmed time of a boot."""
        self.outcome.boots[boot] = time


def serving_of(entry: BookedEntry) -> Serving | None:
    """Return the serving of a booked meal, None if the entry is none, or its day is not known."""
    if entry.kind not in MEAL_KINDS or entry.cents is None:
        return None
    if entry.account is None or entry.service is None or entry.true_day is None:
        return None
    return Serving(entry.account, entry.service, entry.true_day)


def _known(facts: Mapping[Name, Fact], name: Name, wanted: Callable[[], Wanted]) -> Fact:
    try:
        return facts[name]
    except KeyError:
        raise NotRead(wanted()) from None
