"""What was paid for each account in a year, for the tax return: payments less refunds."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.central.books import accounts, statements
from agent.central.books.file import Books
from agent.domain.clock import day_of


class YearlyRow(NamedTuple):
    """An account's year. `net_cents` is what its family may state."""

    account: str
    family: str | None
    paid_cents: int
    refunded_cents: int
    net_cents: int


def yearly(books: Books, year: int, zone: ZoneInfo) -> list[YearlyRow]:
    """Return the accounts for which something was paid or refunded in a year, by account.

    A payment counts in the year in which it was paid, in the town's zone, not in that of its
    booking.
    """
    families = {account.id: account.family for account in accounts.all_of_town(books)}
    rows: dict[str, YearlyRow] = {}
    for line in statements.paid(books):
        when = line.paid_at or line.at
        day = when if len(when) == len("2026-11-23") else day_of(when, zone)
        if not day.startswith(f"{year:04d}-"):
            continue
        family = families.get(line.account)
        before = rows.get(line.account, YearlyRow(line.account, family, 0, 0, 0))
        rows[line.account] = YearlyRow(
            line.account,
            family,
            before.paid_cents + max(line.cents, 0),
            before.refunded_cents + max(-line.cents, 0),
            before.net_cents + line.cents,
        )
    return [rows[account] for account in sorted(rows)]
