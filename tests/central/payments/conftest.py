"""Fixtures for the tests of payments."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books.references import Reference, Share
from agent.central.payments.giving_out import give_out_notice
from tests.invariants import the_books_are_consistent
from tests.parts.wire import Central, Clock


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    """A central with the accounts a-1 and a-2, whose books must be right at the end."""
    central = Central(tmp_path, Clock())
    central.add_account("a-1")
    central.add_account("a-2")
    with closing(central.books):
        yield central
        the_books_are_consistent(central.books)


@pytest.fixture
def notice(central: Central) -> Reference:
    """A notice of 20 euro for a-1."""
    shares = [Share("a-1", 2_000)]
    return give_out_notice(central.books, "47", shares, lambda n: n // 3, central.clock.instant)
