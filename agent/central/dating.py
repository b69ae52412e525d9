"""The true times of entries: what a boot's newest confirmed time says of its other entries.

A terminal confirms a time in an entry or a hello whose `clock` is synced. The newest one by the
boot's own monotonic clock counts: an earlier one, or one that arrives late, never outranks it.
Entries of that boot whose time differs get the right one beside their own, and the price and the
serving of the right day. A time that has not come yet here confirms nothing.
"""

from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from agent.central.books.boots import Boot, BootTime
from agent.central.books.entries import BookedEntry
from agent.central.books.facts import Wanted
from agent.central.books.meals import MEAL_KINDS
from agent.central.books.postings import Posting
from agent.central.page import Page
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
    return at > latest_at(now)


@lru_cache(maxsize=16)  # each entry of a batch asks
def latest_at(now: Instant) -> Instant:
    """Return the latest time that is not ahead."""
    return format_instant(parse_instant(now) + AHEAD_MAX)


def is_time_unknown(entry: Entry, now: Instant) -> bool:
    """Return whether an entry's own time says nothing: it was unset, or has not come yet."""
    return entry.clock is ClockTrust.UNSET or is_ahead(entry.at, now)


def confirm_time(page: Page, boot: Boot, time: BootTime, zone: ZoneInfo) -> None:
    """Take a confirmed time of a boot, and date its entries by it."""
    known = page.boot_time(boot)
    if is_ahead(time.at, page.at) or (known is not None and time.mono_ms < known.mono_ms):
        return
    page.keep_boot_time(boot, time)
    is_new = known is None or abs(known.zero - time.zero) > REDATE
    mine = page.of_boot(boot) if is_new else page.undated(boot, time.mono_ms)
    others = page.later(boot, latest_at(time.at)) if is_new else []
    _need_prices(page, [*mine, *others])
    for entry in mine:
        date(page, entry, time, zone)
    for entry in others:
        _judge_again(page, entry, latest_at(time.at))


def _need_prices(page: Page, entries: list[BookedEntry]) -> None:
    page.need(Wanted(priced={entry.account for entry in entries if entry.account is not None}))


def _judge_again(page: Page, entry: BookedEntry, latest_at: Instant) -> None:
    """Judge an entry of another boot, now that a later boot has a time.

    One that would be later still has no time. Any other has its own.
    """
    assert entry.at is not None
    is_unset = entry.clock == ClockTrust.UNSET
    if is_unset or entry.at > latest_at or is_ahead(entry.at, page.at):
        true_at, true_day, is_dated = None, None, False
    else:
        is_dated = entry.clock == ClockTrust.SYNCED
        true_at, true_day = entry.at, _sent(entry).day
    if true_at != entry.true_at:
        _move(page, entry, true_at, true_day, is_dated=is_dated)


def date(page: Page, entry: BookedEntry, time: BootTime, zone: ZoneInfo) -> None:
    """Date one entry by a confirmed time of its boot."""
    assert entry.mono_ms is not None
    true_at = time.at_ms(entry.mono_ms)
    before = entry.true_at
    if before is not None and abs(parse_instant(before) - parse_instant(true_at)) <= REDATE:
        true_at = before
        if entry.dated:
            return
    sent = _sent(entry)
    # a meal that staff typed in for an earlier day keeps the day they gave
    true_day = sent.day if sent.how == How.LATE else day_of(true_at, zone)
    _move(page, entry, true_at, true_day, is_dated=True)


def _move(
    page: Page, entry: BookedEntry, true_at: Instant | None, true_day: Day | None, *, is_dated: bool
) -> None:
    """Write an entry's true time, price a meal whose day moved, and settle both servings."""
    moved = entry._replace(true_at=true_at, true_day=true_day, dated=int(is_dated))
    page.change(moved)
    if entry.kind not in MEAL_KINDS or entry.account is None:
        return
    assert entry.service is not None
    sent_day = _sent(entry).day
    is_moved = (entry.true_day or sent_day) != (true_day or sent_day)
    if is_moved or NO_PRICE_REASON in entry.reason.split("; "):
        price_again(page, moved)
    given_cents = page.given_back_cents(entry.key) if true_day is None else 0
    if given_cents:
        # a meal without a day is second to none
        reason = "its day is not known"
        posting = Posting(entry.account, -given_cents, "double_meal", page.at, reason)
        page.post(posting._replace(entry=entry.key))
    page.renew(entry.account)
    page.settle_later(entry)
    page.settle_later(moved)


def is_confirmed(clock: ClockTrust, at: Instant, now: Instant) -> bool:
    """Return whether an entry or a hello confirms its time."""
    return clock is ClockTrust.SYNCED and not is_ahead(at, now)


def price_again(page: Page, meal: BookedEntry) -> None:
    """Price a meal by its true day and the prices known now.

    Its price was that of a wrong or guessed day, or was not known. An undone meal keeps its price.
    """
    if meal.cents is None or meal.account is None or page.is_undone(meal.key):
        return
    known_cents = right_cents(page, meal, meal.account)
    cents = known_cents or 0
    if cents != meal.cents:
        posting = Posting(meal.account, cents - meal.cents, meal.kind, page.at, entry=meal.key)
        page.post(posting)
    reasons = [reason for reason in meal.reason.split("; ") if reason != NO_PRICE_REASON]
    reasons += [NO_PRICE_REASON] if known_cents is None else []
    priced = meal._replace(cents=cents)
    if "; ".join(reasons) == meal.reason:
        if priced != meal:
            page.change(priced)
        return
    is_flagged = any(reason != BOOKED_LATER for reason in reasons)
    status = "flagged" if is_flagged else "applied"
    page.remark(priced._replace(status=status, reason="; ".join(reasons)))


def right_cents(page: Page, meal: BookedEntry, account: str) -> int | None:
    """Return the cents by which a meal moves its account's balance; None: no price is known.

    The terminal knew its account's price of the day that it saw. The central prices an unknown
    card's meal, a meal of another day, and a meal whose price the terminal did not know.
    """
    sent = _sent(meal)
    day = meal.true_day or sent.day
    assert meal.service is not None and day is not None
    if meal.kind == "meal" and day == sent.day and not sent.lacks_price:
        return sent.cents
    price_cents = price_on(page.prices(account), meal.service, day)
    if price_cents is not None:
        return -price_cents
    return None if meal.kind == "unknown_meal" or sent.lacks_price else sent.cents


def sent_cents(meal: BookedEntry) -> int:
    """Return the cents that the terminal wrote."""
    return _sent(meal).cents


def _sent(entry: BookedEntry) -> _Sent:
    return msgspec.json.decode(entry.body, type=_Sent)
