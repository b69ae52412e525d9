"""What others commit is counted and wakes, also after the connection was lost."""

import queue
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from agent.central.books import town
from agent.central.books.listening import Listener
from agent.central.books.postgres import TownBooks
from tests.parts.postgres import Postgres

WAIT_S = 60


@pytest.fixture
def woken(postgres: Postgres, versions: Counter[str]) -> Iterator["queue.Queue[str | None]"]:
    calls: queue.Queue[str | None] = queue.Queue()
    listener = Listener(postgres.address, versions, calls.put)
    yield calls
    listener.stop()


@pytest.fixture
def versions() -> Counter[str]:
    return Counter({"elsewhere": 1})


def commit(books: TownBooks) -> None:
    with books.transaction():
        town.next_position(books)


def test_a_commit_changes_the_version_and_wakes(
    town_books: TownBooks, woken: "queue.Queue[str | None]", versions: Counter[str]
) -> None:
    assert woken.get(timeout=WAIT_S) is None  # connected: something may have been missed
    assert versions["elsewhere"] == 2
    commit(town_books)
    assert woken.get(timeout=WAIT_S) == town_books.town
    assert versions[town_books.town] == 1


def test_after_a_lost_connection_every_town_may_have_changed(
    town_books: TownBooks,
    woken: "queue.Queue[str | None]",
    versions: Counter[str],
    postgres: Postgres,
) -> None:
    assert woken.get(timeout=WAIT_S) is None
    with closing(postgres.connect()) as sql:
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT 1'"
        )
    assert woken.get(timeout=WAIT_S) is None
    assert versions["elsewhere"] == 3
    commit(town_books)
    assert woken.get(timeout=WAIT_S) == town_books.town
