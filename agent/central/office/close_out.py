"""Close-out: what closed accounts still hold is paid back, moved to a sibling, or written off.

Every closed account with a balance is listed, also those for which nothing is done, with the
reason: a meal that a terminal still holds would be a debt of an account that was paid out.
Afterwards the balance is 0, so the same close-out again does nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from agent.central.books import accounts, meals, postings
from agent.central.books.accounts import Account
from agent.central.books.database import Books
from agent.central.books.postings import ChannelPosting, Payment, PaymentKey
from agent.central.office.credit import Credit, post_credit, require_account
from agent.central.office.fleet import Condition, FleetRow, fleet
from agent.domain.clock import Instant
from agent.errors import CentralError

CHANNEL = "close-out"
SILENT_S_MAX = 24 * 3_600
"""A terminal with a hello since yesterday has sent what it holds, or its `state` has how much."""


class How(StrEnum):
    """What is done with the money of closed accounts."""

    REFUND = "refund"
    SIBLING = "sibling"
    WRITE_OFF = "write-off"


class Left(NamedTuple):
    """What a closed account holds, and what becomes of it. `kind` is None if nothing does."""

    account: str
    family: str | None
    balance_cents: int
    kind: str | None
    to: str | None
    why: str


class Choice(NamedTuple):
    """What is done, for which accounts: all closed ones if none is named. None: only listed.

    `anyway`: also where a terminal of the site may still hold meals.
    """

    how: How | None
    only: Sequence[str] = ()
    anyway: bool = False


def plan_close_out(books: Books, choice: Choice, at: Instant) -> list[Left]:
    """Return the closed accounts that hold or owe money, by account. Raise `CentralError`."""
    closed = [row for row in accounts.all_of_town(books) if row.status == "closed"]
    for account in choice.only:
        require_account(books, account)
        if account not in {row.id for row in closed}:
            raise CentralError(f"account {account} is not closed; close it with a roster first")
    if choice.only:
        closed = [row for row in closed if row.id in choice.only]
    balances = accounts.balances(books)
    unpriced = set(meals.accounts_without_price(books))
    siblings = _siblings(books, balances)
    waiting = {} if choice.anyway else _waiting(books, at)
    plan: list[Left] = []
    for row in closed:
        left = _left(row, balances[row.id], choice.how, siblings)
        if row.id in unpriced:
            # A refund would give away the price of the meals.
            why = "meals wait for their price; write it into the roster first"
            left = left._replace(kind=None, to=None, why=why)
        elif row.site in waiting:
            why = f"{left.why}; {waiting[row.site]}" if left.why else waiting[row.site]
            left = left._replace(kind=None, to=None, why=why)
        if left.balance_cents or row.id in unpriced:
            plan.append(left)
    return plan


def past_close_outs(books: Books, only: Sequence[str] = ()) -> list[ChannelPosting]:
    """Return what close-outs have booked, the oldest first, for all accounts if none is named."""
    booked = postings.of_channel(books, CHANNEL)
    return [row for row in booked if not only or row.account in only]


def close_out(books: Books, choice: Choice, reason: str, at: Instant) -> list[Left]:
    """Do what a plan shows, in one transaction, and return it."""
    with books.transaction():
        plan = plan_close_out(books, choice, at)
        for left in plan:
            if left.kind is not None:
                _book(books, left, left.kind, reason, at)
    return plan


def _waiting(books: Books, at: Instant) -> dict[str, str]:
    """Return for each site why a meal of it may not be booked yet, for sites that have a reason."""
    reasons: dict[str, list[str]] = {}
    for row in fleet(books, at):
        if row.site is not None and (reason := _reason_to_wait(row)):
            reasons.setdefault(row.site, []).append(reason)
    return {site: "; ".join(texts) for site, texts in reasons.items()}


def _reason_to_wait(row: FleetRow) -> str:
    if row.condition in (Condition.NEW, Condition.RETIRED) or row.wiped:
        return ""  # it has no meals, or its end was decided before
    unbooked = max(row.pending or 0, (row.last or 0) - (row.booked or 0))
    if unbooked > 0:
        return f"terminal {row.id} has {unbooked} entries that are not booked; let it connect"
    if row.contact_s is None or row.contact_s > SILENT_S_MAX:
        hours = (row.contact_s or 0) // 3_600
        return f"terminal {row.id} is silent for {hours} h; let it connect, it may hold meals"
    return ""


def _siblings(books: Books, balances: dict[str, int]) -> dict[str, str]:
    """Return for each family the active account with the lowest balance."""
    siblings: dict[str, str] = {}
    active = [row for row in accounts.all_of_town(books) if row.status == "active"]
    for row in sorted(active, key=lambda row: (balances[row.id], row.id)):
        if row.family:
            siblings.setdefault(row.family, row.id)
    return siblings


def _left(row: Account, cents: int, how: How | None, siblings: dict[str, str]) -> Left:
    kind, to, why = None, None, ""
    sibling = siblings.get(row.family or "")
    match how:
        case None:
            why = "it owes" if cents < 0 else "it has credit"
        case How.WRITE_OFF:
            kind = "adjustment"
        case How.REFUND | How.SIBLING if cents < 0:
            why = "it owes; book what is paid, or write it off"
        case How.REFUND:
            kind = "refund"
        case How.SIBLING if sibling is None:
            why = "no active account in its family; refund it"
        case How.SIBLING:
            kind, to = "transfer", sibling
    return Left(row.id, row.family, cents, kind, to, why)


def _book(books: Books, left: Left, kind: str, reason: str, at: Instant) -> None:
    before = postings.of_prefix(books, CHANNEL, f"{left.account} ")
    key = PaymentKey(CHANNEL, f"{left.account} {len(before) + 1}")
    out = Payment(left.account, -left.balance_cents, key)
    post_credit(books, Credit(out, kind, reason), at=at)
    if left.to is not None:
        post_credit(books, Credit(Payment(left.to, left.balance_cents, key), kind, reason), at=at)
