"""Entries that are booked later, because what they lacked became known.

That is: whose a card is, an account that the central did not have, a price, or a storno's meal. An
entry itself never changes; what is booked for it stands beside it.
"""

from collections.abc import Mapping, Sequence

from agent.central.books import entries, meals
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.books.facts import Wanted
from agent.central.books.postings import Posting
from agent.central.dating import BOOKED_LATER, NO_PRICE_REASON, price_again, right_cents
from agent.central.double_meals import settle
from agent.central.page import Page
from agent.central.paging import compute
from agent.domain.clock import Instant
from agent.domain.ledger import EntryKey

BOOKED_AT_ONCE_MAX = 100
"""Cards or accounts in a transaction: with ten meals each, a third of a second."""


def book_meals_of_card(books: Books, token: str, account: str, *, at: Instant) -> int:
    """Book the meals served to a card before its account was known; return how many."""
    return _book_meals(books, dict.fromkeys(entries.unknown_meals(books, token), account), at=at)


def book_meals_of_account(books: Books, account: str, *, at: Instant) -> int:
    """Book the meals that named an account before the central had it; return how many."""
    meals_of_account = entries.meals_of_missing_account(books, account)
    return _book_meals(books, dict.fromkeys(meals_of_account, account), at=at)


def _book_meals(books: Books, accounts: Mapping[EntryKey, str], *, at: Instant) -> int:
    """Book waiting meals to their accounts."""

    def rule(page: Page) -> None:
        for key, account in accounts.items():
            meal = page.entry(key)
            assert meal is not None
            cents = 0 if page.is_undone(key) else right_cents(page, meal, account)
            _book_later(page, meal, cents, account)
        settle(page)

    if accounts:
        wanted = Wanted(entries=set(accounts), priced=set(accounts.values()))
        compute(books, at, wanted, rule)
    return len(accounts)


def book_meals_without_price(books: Books, accounts: Sequence[str], *, at: Instant) -> None:
    """Charge accounts' meals whose price has become known, by their day.

    A meal is charged once: it has the reason `no_price` until then.
    """
    keys = [key for account in accounts for key in meals.without_price(books, account)]

    def rule(page: Page) -> None:
        for key in keys:
            meal = page.entry(key)
            assert meal is not None
            price_again(page, meal)
            page.settle_later(meal)
        settle(page)

    if keys:
        compute(books, at, Wanted(entries=set(keys), priced=set(accounts)), rule)


def book_waiting_meals(books: Books, *, at: Instant) -> None:
    """Book the meals whose card, account or price has become known, a few in each transaction.

    Thousands may wait for a town's first roster. In one transaction they would keep every other
    command waiting. What a killed program leaves is still found by the next one.
    """
    cards = list(entries.waiting_cards(books).items())
    for start in range(0, len(cards), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            accounts: dict[EntryKey, str] = {}
            for token, account in cards[start : start + BOOKED_AT_ONCE_MAX]:
                accounts |= dict.fromkeys(entries.unknown_meals(books, token), account)
            _book_meals(books, accounts, at=at)
    missing = entries.waiting_accounts(books)
    for start in range(0, len(missing), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            accounts = {}
            for account in missing[start : start + BOOKED_AT_ONCE_MAX]:
                named = entries.meals_of_missing_account(books, account)
                accounts |= dict.fromkeys(named, account)
            _book_meals(books, accounts, at=at)
    unpriced = meals.accounts_without_price(books)
    for start in range(0, len(unpriced), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            some = unpriced[start : start + BOOKED_AT_ONCE_MAX]
            book_meals_without_price(books, some, at=at)


def book_storno(page: Page, storno: BookedEntry, meal: Posting) -> None:
    """Book a storno that came before its meal, whose posting is given."""
    _book_later(page, storno, -meal.cents, meal.account)


def _book_later(page: Page, entry: BookedEntry, known_cents: int | None, account: str) -> None:
    """Book an entry whose reason for being set aside is gone; its other reasons stay.

    `known_cents` is None where no price is known yet.
    """
    others = entry.reason.split("; ")[1:]
    if known_cents is None:
        others.append(NO_PRICE_REASON)
    cents = known_cents or 0
    booked = entry._replace(
        account=account,
        cents=cents,
        status="flagged" if others else "applied",
        reason="; ".join([BOOKED_LATER, *others]),
    )
    page.remark(booked)
    page.post(Posting(account, cents, entry.kind, page.at, entry=entry.key))
    page.settle_later(booked)
