"""Opening balances: the credit of an older card system, taken over once for each account.

The file's sum must be the total that the older system states: a file that was cut books nothing.
"""

from pathlib import Path
from typing import NamedTuple

from agent.central.books import accounts, postings
from agent.central.books.database import Books
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import Credit, post_credit, require_account
from agent.central.office.credit_file import credit_rows
from agent.central.office.roster_sheet import Row
from agent.domain.clock import Instant
from agent.domain.money import format_euro, parse_euro
from agent.errors import AgentError, CentralError

COLUMNS = ("account", "euro")
CHANNEL = "migration"


class Opening(NamedTuple):
    """An account's credit of the older system, and its balance here before and after."""

    account: str
    amount_cents: int
    before_cents: int
    after_cents: int


class OpeningPlan(NamedTuple):
    """What a file books: its new rows, and how many were booked before or are zero."""

    new: list[Opening]
    booked_before: int
    zero: int


def plan_opening(books: Books, path: Path, total_cents: int) -> OpeningPlan:
    """Return what a file would book. Raise `CentralError` that names each faulty row."""
    amounts: dict[str, int] = {}
    faults = []
    for row in credit_rows(path, COLUMNS):
        try:
            _take(books, row, amounts)
        except AgentError as error:
            faults.append(f"{row.place}: {error}")
    if not faults and sum(amounts.values()) != total_cents:
        faults.append(
            f"its rows sum to {format_euro(sum(amounts.values()))} euro, not to the total"
            f" {format_euro(total_cents)}; compare it with the older system's list"
        )
    if faults:
        raise CentralError(f"{path}: nothing is booked: {'; '.join(faults)}")
    balances = accounts.balances(books)
    new, before = [], 0
    for account, cents in amounts.items():
        if postings.find_payments(books, PaymentKey(CHANNEL, account)):
            before += 1
        elif cents:
            new.append(Opening(account, cents, balances[account], balances[account] + cents))
    return OpeningPlan(new, before, len(amounts) - len(new) - before)


def book_opening(books: Books, path: Path, total_cents: int, at: Instant) -> OpeningPlan:
    """Book a file in one transaction, an adjustment for each account; return what was booked."""
    with books.transaction():
        plan = plan_opening(books, path, total_cents)
        for row in plan.new:
            payment = Payment(row.account, row.amount_cents, PaymentKey(CHANNEL, row.account))
            post_credit(books, Credit(payment, "adjustment", "credit of the older cards"), at=at)
    return plan


def _take(books: Books, row: Row, amounts: dict[str, int]) -> None:
    """Add a row to the amounts by account. Raise `AgentError` for a faulty row."""
    if row.fault or len(row.cells) != len(COLUMNS):
        raise CentralError(row.fault or f"does not have {len(COLUMNS)} cells")
    account, cents = row.cells[0].strip(), parse_euro(row.cells[1])
    require_account(books, account)
    if account in amounts:
        raise CentralError(f"account {account} comes twice; write the sum of its cards")
    known = postings.find_payment(books, PaymentKey(CHANNEL, account))
    if known is not None and known.cents != cents:
        raise CentralError(
            f"account {account} was booked with {format_euro(known.cents)} euro;"
            " book the difference with: canteen-central credit"
        )
    amounts[account] = cents
