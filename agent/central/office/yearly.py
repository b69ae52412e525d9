"""What was paid for each account in a year, for the tax return: payments less refunds."""

from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.central.books import accounts, statements
from agent.central.books.accounts import Account
from agent.central.books.database import Books
from agent.central.books.statements import PaidLine
from agent.domain.clock import Day, day_of


class YearlyRow(NamedTuple):
    """An account's year. `net_cents` is what its family may state."""

    account: str
    family: str | None
    paid_cents: int
    refunded_cents: int
    net_cents: int


class YearlyLine(NamedTuple):
    """A payment or, negative, a refund, on the day on which it was paid."""

    day: Day
    line: PaidLine


class AccountYear(NamedTuple):
    """An account's payments and refunds of a year, the oldest first."""

    account: Account
    lines: list[YearlyLine]

    @property
    def row(self) -> YearlyRow:
        """Return its sums."""
        cents = [line.cents for _, line in self.lines]
        paid, refunded = sum(max(c, 0) for c in cents), sum(max(-c, 0) for c in cents)
        return YearlyRow(self.account.id, self.account.family, paid, refunded, paid - refunded)


class FamilyYear(NamedTuple):
    """The statement of a family, or of an account without a family. `name` is that of its file."""

    name: str
    year: int
    accounts: list[AccountYear]


def yearly(books: Books, year: int, zone: ZoneInfo) -> list[AccountYear]:
    """Return the accounts for which something was paid or refunded in a year, by account.

    A payment counts in the year in which it was paid, in the town's zone, not in that of its
    booking. Vouchers and transfers do not count, and a refund counts up to what its family paid.
    """
    with books.reading():
        known = {account.id: account for account in accounts.all_of_town(books)}
        paid = statements.paid(books)
    lines: dict[str, list[YearlyLine]] = {}
    for line in _of_payments(paid, known):
        when = line.paid_at or line.at
        day = when if len(when) == len("2026-11-23") else day_of(when, zone)
        if day.startswith(f"{year:04d}-"):
            lines.setdefault(line.account, []).append(YearlyLine(day, line))
    return [
        AccountYear(known[id], sorted(lines[id], key=lambda line: line.day)) for id in sorted(lines)
    ]


def _of_payments(lines: list[PaidLine], known: dict[str, Account]) -> Iterator[PaidLine]:
    """Yield payments, and of refunds what payments of that family cover.

    The rest is of a voucher or of an older card: nobody paid it, so it is not paid back.
    """
    covered: dict[str, int] = {}
    for line in sorted(lines, key=lambda line: line.at):
        payer = known[line.account].family or line.account
        left = covered.get(payer, 0)
        cents = max(line.cents, -left)
        covered[payer] = left + cents
        if cents:
            yield line._replace(cents=cents)


def families_of(years: list[AccountYear], year: int) -> list[FamilyYear]:
    """Return the statements of a year, one for each family, by name."""
    families: dict[str, FamilyYear] = {}
    for part in years:
        account, family = part.account, part.account.family
        name = f"family-{family}" if family else f"account-{account.id}"
        families.setdefault(name, FamilyYear(name, year, [])).accounts.append(part)
    return [families[name] for name in sorted(families)]
