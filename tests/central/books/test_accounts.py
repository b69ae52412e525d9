"""Accounts in the books: particulars, prices, balances, positions."""

import pytest

from agent.central.books import accounts, town
from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.file import FileBooks
from agent.domain.canteen import Price
from agent.errors import CentralError

A1 = Account("a-1", "primaria", "pupil", "active", "1A", "Nora K.", "no-pork", "f-1")


@pytest.fixture(autouse=True)
def added(books: FileBooks) -> None:
    with books.transaction():
        accounts.add(books, A1)


def position(books: FileBooks, account: str) -> int:
    return int(books.rows("SELECT p FROM account WHERE id = ?", (account,))[0][0])


def test_an_account_is_found_as_it_was_added(books: FileBooks) -> None:
    assert accounts.find(books, "a-1") == A1
    assert accounts.find(books, "a-2") is None
    assert (accounts.balance_cents(books, "a-1"), accounts.count(books)) == (0, 1)


def test_all_balances_are_read_at_once(books: FileBooks) -> None:
    accounts.move_balances(books, {"a-1": 5})
    assert accounts.balances(books) == {"a-1": 5}


def test_particulars_change_but_the_site_does_not(books: FileBooks) -> None:
    accounts.update_all(books, [A1._replace(site="media", status="closed", dish=None)])
    assert accounts.find(books, "a-1") == A1._replace(status="closed", dish=None)
    accounts.set_sites(books, {"a-1": "media"})
    assert accounts.find(books, "a-1") == A1._replace(site="media", status="closed", dish=None)


def test_a_balance_moves_together_with_the_position(books: FileBooks) -> None:
    before = position(books, "a-1")
    accounts.move_balances(books, {"a-1": -366})
    accounts.move_balances(books, {"a-1": 1_000})
    assert accounts.balance_cents(books, "a-1") == 634
    assert position(books, "a-1") == before + 2 == town.standing(books).position


def test_every_account_gets_a_position_of_its_own(books: FileBooks) -> None:
    accounts.add(books, A1._replace(id="a-2"))
    before = town.standing(books).position
    accounts.bump_all(books)
    positions = [position(books, account) for account in ("a-1", "a-2")]
    assert positions == [before + 1, before + 2]


def test_a_price_replaces_one_of_the_same_service_and_day(books: FileBooks) -> None:
    old = Price(service="lunch", from_day="2026-09-01", cents=366)
    new = Price(service="lunch", from_day="2026-09-01", cents=380)
    later = Price(service="lunch", from_day="2027-01-01", cents=400)
    for price in (later, old, new):
        accounts.set_price(books, "a-1", price)
    assert accounts.prices(books, "a-1") == [new, later]


@pytest.mark.parametrize("wrong", [{"category": "child"}, {"status": "away"}, {"id": "a-1"}])
def test_an_impossible_account_is_not_written(books: FileBooks, wrong: dict[str, str]) -> None:
    with pytest.raises(CentralError, match="not written"), books.transaction():
        accounts.add(books, A1._replace(**{"id": "a-3", **wrong}))
    assert accounts.count(books) == 1


def test_many_accounts_are_read_and_written_at_once(books: FileBooks) -> None:
    new = [A1._replace(id=f"b-{n}", site="media") for n in range(3)]
    before = town.standing(books).position
    accounts.add_all(books, new)
    assert accounts.ids(books) == ["a-1", "b-0", "b-1", "b-2"]
    assert accounts.all_of_town(books) == [A1, *new]
    assert accounts.find_all(books, ["b-2", "a-1", "b-9"]) == {"a-1": A1, "b-2": new[2]}
    assert [position(books, f"b-{n}") for n in range(3)] == [before + n for n in (1, 2, 3)]
    accounts.update_all(books, [each._replace(group="2A") for each in new[1:]])
    assert accounts.find_all(books, ["b-0"]) == {"b-0": new[0]}
    assert [position(books, f"b-{n}") for n in range(3)] == [before + n for n in (1, 4, 5)]


def test_prices_of_many_accounts_are_ascending_by_service_and_day(books: FileBooks) -> None:
    prices = [
        Price(service="lunch", from_day="2026-09-01", cents=366),
        Price(service="lunch", from_day="2027-01-01", cents=380),
        Price(service="snack", from_day="2020-01-01", cents=0),
    ]
    accounts.set_prices(books, [AccountPrice("a-1", price) for price in reversed(prices)])
    accounts.set_prices(books, [AccountPrice("a-2", prices[0])])
    assert accounts.prices_of(books, ["a-1", "a-3"]) == {"a-1": prices}
