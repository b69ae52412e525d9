"""A rule starts again until it has all its facts, and its outcome is written once."""

import pytest

from agent.central.books import accounts, entries
from agent.central.books.accounts import Account
from agent.central.books.facts import Wanted
from agent.central.books.file import FileBooks
from agent.central.page import Page
from agent.central.paging import ROUNDS_MAX, compute
from agent.errors import CentralError
from tests.parts.booked_entry import entry

AT = "2026-11-23T12:00:00.000Z"


def test_a_rule_begins_on_a_new_page_for_each_fact_it_lacks(books: FileBooks) -> None:
    accounts.add_all(books, [Account("a-1", "primaria", "pupil", "active")])
    seen: list[bool] = []

    def rule(page: Page) -> None:
        page.add(entry(1).key, entry(1))
        seen.append(page.account("a-1") is not None)
        assert page.account("a-2") is None
        page.renew("a-1", -366)

    compute(books, AT, Wanted(accounts={"a-1"}), rule)
    assert seen == [True, True], "a-2 was not wanted before"
    assert entries.count(books) == 1 and accounts.balance_cents(books, "a-1") == -366


def test_a_rule_that_never_has_enough_is_an_error_and_writes_nothing(books: FileBooks) -> None:
    names = iter(range(2 * ROUNDS_MAX))

    def rule(page: Page) -> None:
        page.add(entry(1).key, entry(1))
        page.account(f"a-{next(names)}")

    with pytest.raises(CentralError, match="more facts than can be read"):
        compute(books, AT, Wanted(), rule)
    assert entries.count(books) == 0 and next(names) == ROUNDS_MAX
