"""Meals by account, service and day, and the stornos that undo them.

A meal stands unless a storno names it by its hash.
"""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Day
from agent.domain.ledger import EntryKey

MEAL_KINDS = ("meal", "unknown_meal")

# of the entry of row m: whether a storno names it
UNDONE = (
    "EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
    " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)"
)
STANDS = f"NOT {UNDONE}"

# of the entry of row m: the sum that was given back for it as a second meal
GIVEN_BACK = (
    "(SELECT coalesce(sum(p.cents), 0) FROM posting p WHERE (p.terminal, p.epoch, p.seq, p.hash)"
    " = (m.terminal, m.epoch, m.seq, m.hash) AND p.kind = 'double_meal')"
)

# the meal of row m stands, and is booked with 0 cents until its price is known
LACKS_PRICE = (
    "instr(m.reason, 'no_price') > 0 AND m.kind IN ('meal', 'unknown_meal')"
    f" AND m.cents IS NOT NULL AND {STANDS}"
)


class Serving(NamedTuple):
    """What an account may eat once for money: one service of one day."""

    account: str
    service: str
    day: Day


class ChargedMeal(NamedTuple):
    """A booked meal with a day. `counts` is false for one that was undone or given back."""

    key: EntryKey
    account: str
    service: str
    day: Day
    cents: int
    counts: bool


def charged_since(books: Books, since: Day) -> list[ChargedMeal]:
    """Return the booked meals of a day and later that do not wait for a price."""
    rows = books.rows(
        "SELECT m.terminal, m.epoch, m.seq, m.hash, m.account, m.service, m.true_day, m.cents,"
        f" {STANDS} AND NOT EXISTS (SELECT 1 FROM posting p WHERE (p.terminal, p.epoch, p.seq,"
        " p.hash) = (m.terminal, m.epoch, m.seq, m.hash) AND p.kind = 'double_meal')"
        " FROM entry m WHERE m.true_day >= ? AND m.account IS NOT NULL AND m.service IS NOT NULL"
        " AND m.kind IN ('meal', 'unknown_meal') AND m.cents IS NOT NULL"
        " AND instr(m.reason, 'no_price') = 0 ORDER BY m.account, m.true_day",
        (since,),
    )
    return [
        ChargedMeal(EntryKey(*row[:4]), row[4], row[5], row[6], row[7], bool(row[8]))
        for row in rows
    ]


def servings_with_several(books: Books, from_day: Day) -> list[Serving]:
    """Return the servings of a day and later that have more than one meal, standing or not."""
    rows = books.rows(
        "SELECT account, service, true_day FROM entry WHERE true_day >= ?"
        " AND account IS NOT NULL AND kind IN ('meal', 'unknown_meal')"
        " GROUP BY account, service, true_day HAVING count(*) > 1"
        " ORDER BY account, service, true_day",
        (from_day,),
    )
    return [Serving(*row) for row in rows]


def without_price(books: Books, account: str) -> list[EntryKey]:
    """Return an account's standing meals that wait for a price."""
    rows = books.rows(
        "SELECT m.terminal, m.epoch, m.seq, m.hash FROM entry m"
        f" WHERE account = ? AND {LACKS_PRICE}",
        (account,),
    )
    return [EntryKey(*row) for row in rows]


def accounts_without_price(books: Books) -> list[str]:
    """Return the accounts that have such meals."""
    rows = books.rows(f"SELECT DISTINCT account FROM entry m WHERE {LACKS_PRICE} ORDER BY account")
    return [row[0] for row in rows]
