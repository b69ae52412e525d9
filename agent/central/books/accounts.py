"""Accounts, their prices and their balances."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from agent.central.books.file import Books
from agent.central.books.town import next_positions
from agent.domain.canteen import Price


class Account(NamedTuple):
    """An account's particulars. `group` is the class, `label` a short name.

    Accounts with one `family` get one letter; it never leaves the central.
    """

    id: str
    site: str
    category: str
    status: str
    group: str | None = None
    label: str | None = None
    dish: str | None = None
    family: str | None = None


class AccountPrice(NamedTuple):
    """A price of an account."""

    account: str
    price: Price


def find(books: Books, account: str) -> Account | None:
    """Return an account, None if there is none."""
    row = books.row(
        "SELECT id, site, category, status, class, label, dish, family FROM account WHERE id = ?",
        (account,),
    )
    return Account(*row) if row else None


def find_all(books: Books, ids: Iterable[str]) -> dict[str, Account]:
    """Return those of many accounts that the books have, by id."""
    rows = books.rows(
        "SELECT id, site, category, status, class, label, dish, family FROM account"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(ids)).decode(),),
    )
    return {row[0]: Account(*row) for row in rows}


def ids(books: Books) -> list[str]:
    """Return the ids of all accounts."""
    return [row[0] for row in books.rows("SELECT id FROM account ORDER BY id")]


def all_of_town(books: Books) -> list[Account]:
    """Return every account, by id."""
    rows = books.rows(
        "SELECT id, site, category, status, class, label, dish, family FROM account ORDER BY id"
    )
    return [Account(*row) for row in rows]


def add(books: Books, account: Account) -> None:
    """Add an account with balance 0."""
    add_all(books, [account])


def add_all(books: Books, new: Sequence[Account]) -> None:
    """Add accounts with balance 0."""
    positions = next_positions(books, len(new))
    books.sql.executemany(
        "INSERT INTO account (id, site, category, status, class, label, dish, family, balance, p)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
        ((*account, p) for account, p in zip(new, positions, strict=True)),
    )


def update_all(books: Books, changed: Sequence[Account]) -> None:
    """Write accounts' particulars, all but the site, with a new position."""
    positions = next_positions(books, len(changed))
    books.sql.executemany(
        "UPDATE account SET category = ?, status = ?, class = ?, label = ?, dish = ?, family = ?,"
        " p = ? WHERE id = ?",
        ((*account[2:], p, account.id) for account, p in zip(changed, positions, strict=True)),
    )


def set_sites(books: Books, sites: Mapping[str, str]) -> None:
    """Write the sites of accounts, by id, with a new position."""
    positions = next_positions(books, len(sites))
    books.sql.executemany(
        "UPDATE account SET site = ?, p = ? WHERE id = ?",
        ((site, p, account) for (account, site), p in zip(sites.items(), positions, strict=True)),
    )


def bump_all(books: Books) -> None:
    """Give every account a new position."""
    move_balances(books, dict.fromkeys(ids(books), 0))


def move_balances(books: Books, moved_cents: Mapping[str, int]) -> None:
    """Add the cents posted in this transaction to balances, and give the accounts a new position.

    Every terminal of an account's site receives its record again. An account that the books do not
    have is left alone.
    """
    positions = next_positions(books, len(moved_cents))
    books.sql.executemany(
        "UPDATE account SET balance = balance + ?, p = ? WHERE id = ?",
        zip(moved_cents.values(), positions, moved_cents, strict=True),
    )


def balance_cents(books: Books, account: str) -> int:
    """Return the balance of an account that exists."""
    return int(books.only_row("SELECT balance FROM account WHERE id = ?", (account,))[0])


def balances(books: Books) -> dict[str, int]:
    """Return the balance of every account, by id."""
    return {row[0]: int(row[1]) for row in books.rows("SELECT id, balance FROM account")}


def prices(books: Books, account: str) -> list[Price]:
    """Return an account's prices, ascending by service and day."""
    rows = books.rows(
        "SELECT from_day, service, cents FROM price WHERE account = ? ORDER BY service, from_day",
        (account,),
    )
    return [Price(from_day=day, service=service, cents=cents) for day, service, cents in rows]


def prices_of(books: Books, ids: Iterable[str]) -> dict[str, list[Price]]:
    """Return the prices of many accounts, ascending by service and day; none for one without."""
    rows = books.rows(
        "SELECT account, service, from_day, cents FROM price"
        " WHERE account IN (SELECT value FROM json_each(?)) ORDER BY account, service, from_day",
        (msgspec.json.encode(list(ids)).decode(),),
    )
    prices: dict[str, list[Price]] = {}
    for account, service, day, cents in rows:
        prices.setdefault(account, []).append(Price(from_day=day, service=service, cents=cents))
    return prices


def set_price(books: Books, account: str, price: Price) -> None:
    """Write a price, in place of one of the same service and day; `bump` must follow."""
    set_prices(books, [AccountPrice(account, price)])


def set_prices(books: Books, new: Iterable[AccountPrice]) -> None:
    """Write prices, each in place of one of the same account, service and day.

    The accounts need a new position after it.
    """
    books.sql.executemany(
        "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?)",
        ((account, price.service, price.from_day, price.cents) for account, price in new),
    )


def count(books: Books) -> int:
    """Return how many accounts there are."""
    return int(books.only_row("SELECT count(*) FROM account")[0])
