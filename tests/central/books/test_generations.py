"""Generations: known ones, and the present one."""

import pytest

from agent.central.books import generations, town
from agent.central.books.database import Books
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION

FOREIGN, NEXT = "ab" * 16, "cd" * 16


@pytest.fixture
def books(either: Books) -> Books:
    return either


def test_a_named_generation_is_known_but_not_present(books: Books) -> None:
    generations.add(books, FOREIGN, at=AT, reason="named by terminal t-1")
    assert generations.is_known(books, FOREIGN)
    assert town.standing(books).generation == GENERATION


def test_a_generation_that_begins_is_present_and_the_one_before_stays_known(
    books: Books,
) -> None:
    generations.begin(books, NEXT, at=AT, reason="restored")
    assert town.standing(books).generation == NEXT
    assert generations.is_known(books, GENERATION)


def test_a_generation_begins_only_once(books: Books) -> None:
    with pytest.raises(CentralError), books.transaction():
        generations.begin(books, GENERATION, at=AT, reason="again")
