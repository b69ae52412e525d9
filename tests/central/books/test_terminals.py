"""Terminals in the books: site, last messages, and the order that waits."""

import pytest

from agent.central.books import terminals
from agent.central.books.database import Books
from agent.central.books.terminals import Terminal
from tests.central.conftest import AT


@pytest.fixture
def books(either: Books) -> Books:
    return either


@pytest.fixture(autouse=True)
def two(books: Books) -> None:
    with books.transaction():
        terminals.add(books, "t-1", "primaria")
        terminals.add(books, "t-2", "primaria")


def test_a_new_terminal_has_a_site_and_no_order(books: Books) -> None:
    assert terminals.find(books, "t-1") == Terminal("t-1", "primaria", 0, None, None)
    assert terminals.find(books, "stranger") is None
    assert terminals.hello(books, "t-1") is None


def test_a_retired_terminal_has_no_site(books: Books) -> None:
    terminals.set_site(books, "t-1", None)
    known = terminals.find(books, "t-1")
    assert known is not None and known.site is None


def test_the_newest_hello_and_state_are_kept_per_terminal(books: Books) -> None:
    terminals.set_hello(books, "t-1", b'{"last":1}', at=AT)
    terminals.set_hello(books, "t-1", b'{"last":2}', at=AT)
    terminals.set_state(books, "t-1", b'{"online":true}')
    assert (terminals.hello(books, "t-1"), terminals.hello(books, "t-2")) == ('{"last":2}', None)


def test_an_order_waits_until_exactly_that_one_is_cleared(books: Books) -> None:
    terminals.set_order(books, "t-1", "o-1", "wipe", then_resync=False)
    assert terminals.waiting_orders(books) == ["o-1"]
    assert not terminals.clear_order(books, "t-1", "o-2")
    assert terminals.clear_order(books, "t-1", "o-1")
    assert terminals.waiting_orders(books) == []


def test_a_postponed_resync_is_taken_once(books: Books) -> None:
    terminals.set_order(books, "t-1", "o-1", "new_epoch", then_resync=True)
    terminals.set_order(books, "t-1", "o-2", "wipe", then_resync=False)
    assert terminals.take_postponed_resync(books, "t-1")
    assert not terminals.take_postponed_resync(books, "t-1")


def test_the_order_number_is_only_raised(books: Books) -> None:
    terminals.raise_order_number(books, "t-1", 7)
    terminals.raise_order_number(books, "t-1", 3)
    known = terminals.find(books, "t-1")
    assert known is not None and known.orders == 7


def test_one_terminals_order_or_all_are_renumbered(books: Books) -> None:
    for terminal in ("t-1", "t-2"):
        terminals.set_order(books, terminal, "o-1", "wipe", then_resync=False)
    terminals.renumber_orders(books, "t-1")
    first, second = terminals.waiting_orders(books)
    assert first.endswith("-2") and second == "o-1"
    terminals.renumber_orders(books)
    assert [order[-2:] for order in terminals.waiting_orders(books)] == ["-3", "-2"]


def test_a_lost_terminals_state_is_kept_beside_that(books: Books) -> None:
    terminals.set_state(books, "t-1", b'{"online":true,"later":[1.50]}')
    for terminal in ("t-1", "t-2"):
        terminals.set_offline(books, terminal)
    states = [contact.state for contact in terminals.contacts(books)]
    assert states == ['{"online":false,"later":[1.50]}', '{"online":false}']


def test_a_wiped_terminal_is_known_by_its_hello_whatever_else_is_in_it(books: Books) -> None:
    terminals.set_hello(books, "t-1", b'{"software":"\\u0000","wiped":true}', at=AT)
    assert terminals.is_wiped(books, "t-1") and not terminals.is_wiped(books, "t-2")
