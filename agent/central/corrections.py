"""Entries that are booked later, because what they lacked became known.

That is: whose a card is, an account that the central did not have, a price, or a storno's meal. An
entry itself never changes; what is booked for it stands beside it.
"""

from agent.central.books import entries, meals, postings
from agent.central.books.entries import BookedEntry
from agent.central.books.file import Books
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.dating import BOOKED_LATER, NO_PRICE_REASON, price_again, right_cents
from agent.central.double_meals import settle
from agent.domain.clock import Instant

BOOKED_AT_ONCE_MAX = 100
"""Cards or accounts in a transaction: with ten meals each, a third of a second."""


def book_meals_of_card(books: Books, token: str, account: str, *, at: Instant) -> int:
    """Book the meals served to a card before its account was known; return how many."""
    unknown = entries.unknown_meals(books, token)
    for meal in unknown:
        is_undone = meals.storno_of(books, meal.key) is not None
        cents = 0 if is_undone else right_cents(books, meal, account)
        _book_later(books, meal, cents, at=at, account=account)
    return len(unknown)


def book_meals_of_account(books: Books, account: str, *, at: Instant) -> int:
    """Book the meals that named an account before the central had it; return how many."""
    missing = entries.meals_of_missing_account(books, account)
    for meal in missing:
        is_undone = meals.storno_of(books, meal.key) is not None
        cents = 0 if is_undone else right_cents(books, meal, account)
        _book_later(books, meal, cents, at=at, account=account)
    return len(missing)


def book_meals_without_price(books: Books, account: str, *, at: Instant) -> None:
    """Charge an account's meals whose price has become known, by their day.

    A meal is charged once: it has the reason `no_price` until then.
    """
    for meal in meals.without_price(books, account):
        price_again(books, meal, at=at)
        if meal.service is not None and meal.true_day is not None:
            settle(books, Serving(account, meal.service, meal.true_day), at=at)


def book_waiting_meals(books: Books, *, at: Instant) -> None:
    """Book the meals whose card, account or price has become known, a few in each transaction.

    Thousands may wait for a town's first roster. In one transaction they would keep every other
    command waiting. What a killed program leaves is still found by the next one.
    """
    cards = list(entries.waiting_cards(books).items())
    for start in range(0, len(cards), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            for token, account in cards[start : start + BOOKED_AT_ONCE_MAX]:
                book_meals_of_card(books, token, account, at=at)
    missing = entries.waiting_accounts(books)
    for start in range(0, len(missing), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            for account in missing[start : start + BOOKED_AT_ONCE_MAX]:
                book_meals_of_account(books, account, at=at)
    unpriced = meals.accounts_without_price(books)
    for start in range(0, len(unpriced), BOOKED_AT_ONCE_MAX):
        with books.transaction():
            for account in unpriced[start : start + BOOKED_AT_ONCE_MAX]:
                book_meals_without_price(books, account, at=at)


def book_storno(books: Books, storno: BookedEntry, meal: Posting) -> None:
    """Book a storno that came before its meal, whose posting is given."""
    _book_later(books, storno, -meal.cents, at=meal.at, account=meal.account)


def _book_later(
    books: Books, entry: BookedEntry, known_cents: int | None, *, at: Instant, account: str
) -> None:
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
    entries.set_booking(books, booked)
    postings.post(books, Posting(account, cents, entry.kind, at, entry=entry.key))
    if entry.kind != "storno" and entry.service is not None and entry.true_day is not None:
        settle(books, Serving(account, entry.service, entry.true_day), at=at)
