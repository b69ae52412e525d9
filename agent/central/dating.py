"""The true times of entries: what a boot's newest confirmed time says of its other entries.

A terminal confirms a time in an entry or a hello whose `clock` is synced. The newest one by the
boot's own monotonic clock counts: an earlier one, or one that arrives late, never outranks it.
Entries of that boot whose time differs get the right one beside their own, and the price and the
serving of the right day. A time that has not come yet here confirms nothing.
"""

from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from agent.central.books import accounts, boots, entries, meals, postings
from agent.central.books.boots import Boot, BootTime
from agent.central.books.entries import BookedEntry
from agent.central.books.file import Books
from agent.central.books.meals import Serving
from agent.central.books.postings import Posting
from agent.domain.canteen import price_on
from agent.domain.clock import (
    ClockTrust,
    Day,
    Instant,
    day_of,
    format_instant,
    parse_instant,
)
from agent.domain.ledger import Entry, Flag, How

AHEAD_MAX = timedelta(hours=1)
"""An entry whose time is further ahead of its arrival was made under a wrong clock."""
REDATE = timedelta(minutes=1)
"""A time that differs by less needs no correction."""
AHEAD_REASON = "clock_ahead"
NO_PRICE_REASON = "no_price"
"""A meal is booked with 0 cents: no price is in effect on its day. A later price charges it."""
BOOKED_LATER = "booked_later"
"""The first reason of an entry that was set aside and is booked now."""


class Now(NamedTuple):
    """When the central books, and the town's zone."""

    at: Instant
    zone: ZoneInfo


class _Sent(Struct):
    """What the terminal itself wrote of an entry."""

    cents: int
    day: Day | None = None
    how: str = ""
    flags: list[str] = []

    @property
    def lacks_price(self) -> bool:
        """Return whether the terminal knew no price: its cents are not those of the meal."""
        return Flag.NO_PRICE in self.flags and self.cents == 0


def is_ahead(at: Instant, now: Instant) -> bool:
    """Return whether a time has not come yet."""
    return parse_instant(at) > parse_instant(now) + AHEAD_MAX


def is_time_unknown(entry: Entry, now: Instant) -> bool:
    """Return whether an entry's own time says nothing: it was unset, or has not come yet."""
    return entry.clock is ClockTrust.UNSET or is_ahead(entry.at, now)


def confirm_time(books: Books, boot: Boot, time: BootTime, now: Now) -> set[Serving]:
    """Take a confirmed time of a boot, and date its entries by it. Return servings to settle."""
    known = boots.find(books, boot)
    if is_ahead(time.at, now.at) or (known is not None and time.mono_ms < known.mono_ms):
        return set()
    boots.keep(books, boot, time)
    servings: set[Serving] = set()
    is_new = known is None or abs(known.zero - time.zero) > REDATE
    mine = entries.of_boot(books, boot) if is_new else entries.undated(books, boot, time.mono_ms)
    for entry in mine:
        servings |= date(books, entry, time, now)
    if not is_new:
        return servings
    latest_at = format_instant(parse_instant(time.at) + AHEAD_MAX)
    for entry in entries.to_judge_again(books, boot, latest_at):
        servings |= _judge_again(books, entry, latest_at, now)
    return servings


def _judge_again(books: Books, entry: BookedEntry, latest_at: Instant, now: Now) -> set[Serving]:
    """Judge an entry of another boot, now that a later boot has a time.

    One that would be later still has no time. Any other has its own.
    """
    assert entry.at is not None
    sent = _sent(entry)
    is_unset = entry.clock == ClockTrust.UNSET
    if is_unset or entry.at > latest_at or is_ahead(entry.at, now.at):
        true_at, true_day, is_dated = None, None, False
    else:
        true_at, true_day, is_dated = entry.at, sent.day, entry.clock == ClockTrust.SYNCED
    if true_at == entry.true_at:
        return set()
    entries.set_true_time(books, entry.key, true_at, true_day, is_dated=is_dated)
    return _moved(books, entry, true_day, now)


def _moved(books: Books, entry: BookedEntry, true_day: Day | None, now: Now) -> set[Serving]:
    """Price a meal whose day moved, and return the servings to settle."""
    if entry.kind not in ("meal", "unknown_meal") or entry.account is None:
        return set()
    assert entry.service is not None
    price_again(books, entry._replace(true_day=true_day), at=now.at)
    given_cents = meals.given_back_cents(books, entry.key) if true_day is None else 0
    if given_cents:
        # a meal without a day is second to none
        reason = "its day is not known"
        posting = Posting(entry.account, -given_cents, "double_meal", now.at, reason)
        postings.post(books, posting._replace(entry=entry.key))
    accounts.bump(books, entry.account)
    days = {true_day, entry.true_day}
    return {Serving(entry.account, entry.service, day) for day in days if day is not None}


def date(books: Books, entry: BookedEntry, time: BootTime, now: Now) -> set[Serving]:
    """Date one entry by a confirmed time of its boot. Return the servings to settle."""
    assert entry.mono_ms is not None
    true_at = time.at_ms(entry.mono_ms)
    before = entry.true_at
    if before is not None and abs(parse_instant(before) - parse_instant(true_at)) <= REDATE:
        true_at = before
        if entry.dated:
            return set()
    sent = _sent(entry)
    # a meal that staff typed in for an earlier day keeps the day they gave
    true_day = sent.day if sent.how == How.LATE else day_of(true_at, now.zone)
    entries.set_true_time(books, entry.key, true_at, true_day, is_dated=True)
    return _moved(books, entry, true_day, now)


def is_confirmed(clock: ClockTrust, at: Instant, now: Instant) -> bool:
    """Return whether an entry or a hello confirms its time."""
    return clock is ClockTrust.SYNCED and not is_ahead(at, now)


def price_again(books: Books, meal: BookedEntry, *, at: Instant) -> None:
    """Price a meal by its true day and the prices known now.

    Its price was that of a wrong or guessed day, or was not known. An undone meal keeps its price.
    """
    if meal.cents is None or meal.account is None or meals.storno_of(books, meal.key) is not None:
        return
    cents = right_cents(books, meal, meal.account)
    if (cents or 0) != meal.cents:
        entries.set_cents(books, meal.key, cents or 0)
        posting = Posting(meal.account, (cents or 0) - meal.cents, meal.kind, at, entry=meal.key)
        postings.post(books, posting)
    reasons = [reason for reason in meal.reason.split("; ") if reason != NO_PRICE_REASON]
    reasons += [NO_PRICE_REASON] if cents is None else []
    if "; ".join(reasons) != meal.reason:
        is_flagged = any(reason != BOOKED_LATER for reason in reasons)
        status = "flagged" if is_flagged else "applied"
        booked = meal._replace(cents=cents or 0, status=status, reason="; ".join(reasons))
        entries.set_booking(books, booked)


def right_cents(books: Books, meal: BookedEntry, account: str) -> int | None:
    """Return the cents by which a meal moves its account's balance; None: no price is known.

    The terminal knew its account's price of the day that it saw. The central prices an unknown
    card's meal, a meal of another day, and a meal whose price the terminal did not know.
    """
    sent = _sent(meal)
    day = meal.true_day or sent.day
    assert meal.service is not None and day is not None
    if meal.kind == "meal" and day == sent.day and not sent.lacks_price:
        return sent.cents
    price_cents = price_on(accounts.prices(books, account), meal.service, day)
    if price_cents is not None:
        return -price_cents
    return None if meal.kind == "unknown_meal" or sent.lacks_price else sent.cents


def sent_cents(meal: BookedEntry) -> int:
    """Return the cents that the terminal wrote."""
    return _sent(meal).cents


def _sent(entry: BookedEntry) -> _Sent:
    return msgspec.json.decode(entry.body, type=_Sent)
