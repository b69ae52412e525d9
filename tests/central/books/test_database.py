"""What holds for the books on both engines: transactions, snapshots, and who waits for whom."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import select

from agent.central.books import tables, town
from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.query import Query, value
from agent.errors import CentralError


def reopened(books: Books) -> Books:
    """Return one more connection to books."""
    if isinstance(books, FileBooks):
        return FileBooks(books.path)
    assert isinstance(books, TownBooks)
    return TownBooks(Server(books.server.url), books.town)


@pytest.fixture
def again(either: Books) -> Iterator[Callable[[], Books]]:
    """What opens one more connection to the same books."""
    opened: list[Books] = []

    def connect() -> Books:
        opened.append(reopened(either))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_what_a_transaction_wrote_is_seen_when_it_has_ended(
    either: Books, again: Callable[[], Books]
) -> None:
    other = again()
    with either.transaction():
        town.next_position(either)
        assert town.standing(either).position == 1
        if isinstance(either, TownBooks):  # a file is locked for readers near the end only
            assert town.standing(other).position == 0
    assert town.standing(other).position == 1


def test_a_transaction_that_fails_leaves_nothing(either: Books) -> None:
    with pytest.raises(CentralError, match="not written"), either.transaction():
        town.next_position(either)
        either.add_all(tables.card, ("token", "account", "status", "p"), [("t", "a", "lost", 1)])
    with pytest.raises(ZeroDivisionError), either.transaction():
        town.next_position(either)
        raise ZeroDivisionError
    assert town.standing(either).position == 0
    assert either.is_usable()


def test_transactions_of_a_town_follow_each_other(
    either: Books,
) -> None:
    """What is read within one is not changed by another before it ends."""
    begun, done = threading.Event(), threading.Event()

    def second() -> None:
        with closing(reopened(either)) as other:
            begun.set()
            with other.transaction():
                town.next_position(other)
        done.set()

    with either.transaction():
        before = town.standing(either).position
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(60)
        assert not done.wait(0.2)
        assert town.standing(either).position == before
        town.next_position(either)
    assert done.wait(60)
    thread.join()
    assert town.standing(either).position == before + 2


def test_reads_within_a_block_see_a_single_moment(
    either: Books, again: Callable[[], Books]
) -> None:
    other = again()
    with either.reading(), either.reading():
        before = town.standing(either).position
        if isinstance(either, TownBooks):  # a reader of the file would make the writer wait
            with other.transaction():
                town.next_position(other)
        assert town.standing(either).position == before
    with other.transaction():
        town.next_position(other)
    assert town.standing(either).position > before


def test_rows_come_one_after_the_other_also_of_two_queries(either: Books) -> None:
    rows = [(f"c-{n:04}", "a", "active", n) for n in range(5_000)]
    with either.transaction():
        either.add_all(tables.card, ("token", "account", "status", "p"), rows)
    card = tables.card.c
    tokens = Query(select(card.token).order_by(card.token))
    later = Query(select(card.token).where(card.p >= value("p")).order_by(card.token))
    first, second = either.each(tokens), either.each(later, p=2_500)
    assert [next(first), next(second), next(first)] == [("c-0000",), ("c-2500",), ("c-0001",)]
    assert sum(1 for _ in second) == 2_499
    assert sum(1 for _ in first) == 4_998


def test_a_row_that_every_central_has_is_missed_by_a_sentence(either: Books) -> None:
    card = Query(select(tables.card.c.p).where(tables.card.c.token == value("token")))
    with pytest.raises(CentralError, match="a row is missing"):
        either.only(card, token="none")


def test_a_change_says_how_many_rows_it_was_and_returns_its_row(either: Books) -> None:
    with either.transaction():
        assert town.next_position(either) == 1
        assert list(town.next_positions(either, 3)) == [2, 3, 4]
        assert list(town.next_positions(either, 0)) == []


def test_books_are_opened_again(either: Books) -> None:
    either.reopen()
    assert town.standing(either).position == 0
    assert either.is_usable() and either.page_faults() == []
    either.close()
    assert not either.is_usable()
