"""Letters about low balances: each family gets one, with all of its accounts.

A family without debts is in no letter, and no letter has an account of another family.
"""

from typing import NamedTuple

from agent.central.books import statements
from agent.central.books.database import Books
from agent.central.books.statements import FamilyBalance


class Letter(NamedTuple):
    """What a letter to a family states. `owed_cents` is the sum of its negative balances.

    An account whose roster names no family has a letter of its own, with `family` None.
    """

    family: str | None
    owed_cents: int
    balance_cents: int
    accounts: list[FamilyBalance]


def letters(books: Books, below_cents: int) -> list[Letter]:
    """Return a letter for each family with an account below an amount, the largest debt first."""
    families: dict[tuple[str | None, str], list[FamilyBalance]] = {}
    for row in statements.below(books, below_cents):
        key = (row.family, "" if row.family else row.account)
        families.setdefault(key, []).append(row)
    made = [
        Letter(
            family,
            sum(max(-row.balance_cents, 0) for row in rows),
            sum(row.balance_cents for row in rows),
            rows,
        )
        for (family, _), rows in families.items()
    ]
    return sorted(made, key=lambda letter: (-letter.owed_cents, letter.balance_cents))
