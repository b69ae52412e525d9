"""Accounts, their prices and their balances."""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.central.books.town import next_position
from agent.domain.canteen import Price


class Account(NamedTuple):
    """An account's particulars. `group` is the class, `label` a short name."""

    id: str
    site: str
    category: str
    status: str
    group: str | None = None
    label: str | None = None
    dish: str | None = None


def find(books: Books, account: str) -> Account | None:
    """Return an account, None if there is none."""
    row = books.row(
        "SELECT id, site, category, status, class, label, dish FROM account WHERE id = ?",
        (account,),
    )
    return Account(*row) if row else None


def add(books: Books, account: Account) -> None:
    """Add an account with balance 0."""
    books.sql.execute(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)", (*account, next_position(books))
    )


def update(books: Books, account: Account) -> None:
    """Write an account's particulars, all but its site; `bump` must follow."""
    books.sql.execute(
        "UPDATE account SET category = ?, status = ?, class = ?, label = ?, dish = ? WHERE id = ?",
        (*account[2:], account.id),
    )


def set_site(books: Books, account: str, site: str) -> None:
    """Write an account's site; `bump` must follow."""
    books.sql.execute("UPDATE account SET site = ? WHERE id = ?", (site, account))


def bump(books: Books, account: str) -> None:
    """Give an account a new position, so that every terminal of its site receives it again."""
    move_balance(books, account, 0)


def bump_all(books: Books) -> None:
    """Give every account a new position."""
    for (account,) in books.rows("SELECT id FROM account ORDER BY id"):
        bump(books, account)


def move_balance(books: Books, account: str, cents: int) -> None:
    """Add the cents posted in this transaction to a balance, and give the account a new position.

    An account that the books do not have is left alone.
    """
    books.sql.execute(
        "UPDATE account SET balance = balance + ?, p = ? WHERE id = ?",
        (cents, next_position(books), account),
    )


def balance_cents(books: Books, account: str) -> int:
    """Return the balance of an account that exists."""
    return int(books.only_row("SELECT balance FROM account WHERE id = ?", (account,))[0])


def prices(books: Books, account: str) -> list[Price]:
    """Return an account's prices, ascending by service and day."""
    rows = books.rows(
        "SELECT from_day, service, cents FROM price WHERE account = ? ORDER BY service, from_day",
        (account,),
    )
    return [Price(from_day=day, service=service, cents=cents) for day, service, cents in rows]


def set_price(books: Books, account: str, price: Price) -> None:
    """Write a price, in place of one of the same service and day; `bump` must follow."""
    books.sql.execute(
        "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?)",
        (account, price.service, price.from_day, price.cents),
    )


def count(books: Books) -> int:
    """Return how many accounts there are."""
    return int(books.only_row("SELECT count(*) FROM account")[0])
