"""Accounts, their prices and their balances."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select, update

from agent.central.books import tables
from agent.central.books.database import Books, Row
from agent.central.books.query import Query, among, names, put, value
from agent.central.books.town import next_positions
from agent.domain.canteen import Price

_A, _P = tables.account.c, tables.price.c
_ACCOUNT = select(_A.id, _A.site, _A.category, _A.status, _A["class"], _A.label, _A.dish, _A.family)
_FIND = Query(_ACCOUNT.where(_A.id == value("account")))
_FIND_ALL = Query(_ACCOUNT.where(among(_A.id, "ids")))
_OF_TOWN = Query(_ACCOUNT.order_by(_A.id))
_IDS = Query(select(_A.id).order_by(_A.id))
_COUNT = Query(select(func.count()).select_from(tables.account))
_BALANCE = Query(select(_A.balance).where(_A.id == value("account")))
_BALANCES = Query(select(_A.id, _A.balance))
_COLUMNS = (
    *("id", "site", "category", "status", "class", "label", "dish"),
    *("balance", "p", "family"),
)
_UPDATE = Query(
    update(tables.account)
    .values(
        {
            "category": value("new_category"),
            "status": value("new_status"),
            "class": value("new_class"),
            "label": value("new_label"),
            "dish": value("new_dish"),
            "family": value("new_family"),
            "p": value("new_p"),
        }
    )
    .where(_A.id == value("of"))
)
_SET_SITE = Query(
    update(tables.account)
    .values(site=value("new_site"), p=value("new_p"))
    .where(_A.id == value("of"))
)
_MOVE = Query(
    update(tables.account)
    .values(balance=_A.balance + value("cents"), p=value("new_p"))
    .where(_A.id == value("of"))
)
_PRICES = Query(
    select(_P.account, _P.service, _P.from_day, _P.cents)
    .where(among(_P.account, "ids"))
    .order_by(_P.account, _P.service, _P.from_day)
)
_SET_PRICE = put(tables.price)


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
    row = books.first(_FIND, account=account)
    return Account(*row) if row else None


def find_all(books: Books, ids: Iterable[str]) -> dict[str, Account]:
    """Return those of many accounts that the books have, by id."""
    return {row[0]: Account(*row) for row in books.all(_FIND_ALL, ids=names(ids))}


def ids(books: Books) -> list[str]:
    """Return the ids of all accounts."""
    return [row[0] for row in books.all(_IDS)]


def all_of_town(books: Books) -> list[Account]:
    """Return every account, by id."""
    return [Account(*row) for row in books.all(_OF_TOWN)]


def add(books: Books, account: Account) -> None:
    """Add an account with balance 0."""
    add_all(books, [account])


def add_all(books: Books, new: Sequence[Account]) -> None:
    """Add accounts with balance 0."""
    positions = next_positions(books, len(new))
    rows: Iterable[Row] = (
        (*account[:7], 0, p, account.family) for account, p in zip(new, positions, strict=True)
    )
    books.add_all(tables.account, _COLUMNS, rows)


def update_all(books: Books, changed: Sequence[Account]) -> None:
    """Write accounts' particulars, all but the site, with a new position."""
    positions = next_positions(books, len(changed))
    books.run_all(
        _UPDATE,
        (
            {
                "new_category": account.category,
                "new_status": account.status,
                "new_class": account.group,
                "new_label": account.label,
                "new_dish": account.dish,
                "new_family": account.family,
                "new_p": p,
                "of": account.id,
            }
            for account, p in zip(changed, positions, strict=True)
        ),
    )


def set_sites(books: Books, sites: Mapping[str, str]) -> None:
    """Write the sites of accounts, by id, with a new position."""
    positions = next_positions(books, len(sites))
    rows = zip(sites.items(), positions, strict=True)
    books.run_all(_SET_SITE, ({"of": of, "new_site": site, "new_p": p} for (of, site), p in rows))


def bump_all(books: Books) -> None:
    """Give every account a new position."""
    move_balances(books, dict.fromkeys(ids(books), 0))


def move_balances(books: Books, moved_cents: Mapping[str, int]) -> None:
    """Add the cents posted in this transaction to balances, and give the accounts a new position.

    Every terminal of an account's site receives its record again. An account that the books do not
    have is left alone.
    """
    positions = next_positions(books, len(moved_cents))
    rows = zip(moved_cents.items(), positions, strict=True)
    books.run_all(_MOVE, ({"of": of, "cents": cents, "new_p": p} for (of, cents), p in rows))


def balance_cents(books: Books, account: str) -> int:
    """Return the balance of an account that exists."""
    return int(books.only(_BALANCE, account=account)[0])


def balances(books: Books) -> dict[str, int]:
    """Return the balance of every account, by id."""
    return {row[0]: int(row[1]) for row in books.all(_BALANCES)}


def prices(books: Books, account: str) -> list[Price]:
    """Return an account's prices, ascending by service and day."""
    return prices_of(books, [account]).get(account, [])


def prices_of(books: Books, ids: Iterable[str]) -> dict[str, list[Price]]:
    """Return the prices of many accounts, ascending by service and day; none for one without."""
    prices: dict[str, list[Price]] = {}
    for account, service, day, cents in books.all(_PRICES, ids=names(ids)):
        prices.setdefault(account, []).append(Price(from_day=day, service=service, cents=cents))
    return prices


def set_price(books: Books, account: str, price: Price) -> None:
    """Write a price, in place of one of the same service and day; `bump` must follow."""
    set_prices(books, [AccountPrice(account, price)])


def set_prices(books: Books, new: Iterable[AccountPrice]) -> None:
    """Write prices, each in place of one of the same account, service and day.

    The accounts need a new position after it.
    """
    books.run_all(
        _SET_PRICE,
        (
            {
                "account": account,
                "service": price.service,
                "from_day": price.from_day,
                "cents": price.cents,
            }
            for account, price in new
        ),
    )


def count(books: Books) -> int:
    """Return how many accounts there are."""
    return int(books.only(_COUNT)[0])
