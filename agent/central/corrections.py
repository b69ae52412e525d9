"""Entries that are booked, or priced, again because something became known later.

That is: whose a card is, an account that the central did not have, a storno's meal, or the true
time of a boot whose clock was unset. An entry itself never changes; corrected values stand beside
it.
"""

from datetime import timedelta

import msgspec
from msgspec import Struct

from agent.central.books import accounts, entries, meals, postings
from agent.central.books.entries import BookedEntry
from agent.central.books.file import Books
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.central.double_meals import settle
from agent.central.verdict import Batch
from agent.domain.canteen import price_on
from agent.domain.clock import Day, Instant, day_of, format_instant, parse_instant
from agent.domain.ledger import Entry, How

BOOKED_LATER = "booked_later"
"""The first reason of an entry that was set aside and is booked now."""


class _Sent(Struct):
    """What the terminal itself wrote of a meal."""

    cents: int
    day: Day | None = None
    how: str = ""


def book_meals_of_card(books: Books, token: str, account: str, *, at: Instant) -> int:
    """Book the meals served to a card before its account was known; return how many."""
    unknown = entries.unknown_meals(books, token)
    for meal in unknown:
        is_undone = meals.storno_of(books, meal.key) is not None
        cents = 0 if is_undone else _price_cents(books, meal, account)
        _book_later(books, meal, cents, at=at, account=account)
    return len(unknown)


def book_meals_of_account(books: Books, account: str, *, at: Instant) -> int:
    """Book the meals that named an account before the central had it; return how many."""
    missing = entries.meals_of_missing_account(books, account)
    for meal in missing:
        is_undone = meals.storno_of(books, meal.key) is not None
        cents = 0 if is_undone else _sent(meal).cents
        _book_later(books, meal, cents, at=at, account=account)
    return len(missing)


def book_storno(books: Books, storno: BookedEntry, meal: Posting) -> None:
    """Book a storno that came before its meal, whose posting is given."""
    _book_later(books, storno, -meal.cents, at=meal.at, account=meal.account)


def correct_times(books: Books, batch: Batch, entry: Entry) -> None:
    """Correct the times of a boot's earlier entries by an entry whose clock is right."""
    for early in entries.without_true_time(books, batch.terminal, entry.boot):
        assert early.mono_ms is not None
        true_at = format_instant(
            parse_instant(entry.at) - timedelta(milliseconds=entry.mono_ms - early.mono_ms)
        )
        sent = _sent(early)
        # a meal that staff typed in for an earlier day keeps the day they gave
        true_day = sent.day if sent.how == How.LATE else day_of(true_at, batch.zone)
        entries.set_true_time(books, early.key, true_at, true_day)
        if early.kind not in ("meal", "unknown_meal") or early.account is None:
            continue
        assert early.service is not None and true_day is not None
        _price_again(books, early._replace(true_day=true_day), at=batch.at)
        accounts.bump(books, early.account)
        batch.servings.add(Serving(early.account, early.service, true_day))


def _book_later(books: Books, entry: BookedEntry, cents: int, *, at: Instant, account: str) -> None:
    """Book an entry whose reason for being set aside is gone; its other reasons stay."""
    others = entry.reason.split("; ")[1:]
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


def _price_again(books: Books, meal: BookedEntry, *, at: Instant) -> None:
    """Price an unknown card's meal by its true day: its price was that of a guessed day."""
    if meal.kind != "unknown_meal" or meal.cents is None or meal.account is None:
        return
    if meals.storno_of(books, meal.key) is not None:
        return
    cents = _price_cents(books, meal, meal.account)
    if cents != meal.cents:
        entries.set_cents(books, meal.key, cents)
        posting = Posting(meal.account, cents - meal.cents, meal.kind, at, entry=meal.key)
        postings.post(books, posting)


def _price_cents(books: Books, meal: BookedEntry, account: str) -> int:
    """Return the cents by which an unknown card's meal moves its account's balance."""
    day = meal.true_day or _sent(meal).day
    assert meal.service is not None and day is not None
    return -(price_on(accounts.prices(books, account), meal.service, day) or 0)


def _sent(entry: BookedEntry) -> _Sent:
    return msgspec.json.decode(entry.body, type=_Sent)
