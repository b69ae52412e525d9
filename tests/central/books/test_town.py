"""The town's row: one central per file, and a position that only counts up."""

import pytest

from agent.central.books import generations, town
from agent.central.books.file import FileBooks
from agent.central.books.town import Town
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION
from tests.parts.wire import TOWN, ZONE


def test_a_new_central_has_its_town_and_generation_and_sends_no_labels(books: FileBooks) -> None:
    assert town.find(books) == (TOWN, ZONE.key)
    assert town.standing(books) == (GENERATION, 0)
    assert generations.is_known(books, GENERATION)
    assert not town.sends_labels(books)


def test_a_file_is_initialised_once(books: FileBooks) -> None:
    with pytest.raises(CentralError):
        town.initialise(books, Town("altrove", "Europe/Rome"), "ab" * 16, at=AT)
    assert town.find(books).name == TOWN


def test_positions_count_up(books: FileBooks) -> None:
    assert [town.next_position(books) for _ in range(3)] == [1, 2, 3]
    assert town.standing(books).position == 3


def test_several_positions_are_counted_at_once(books: FileBooks) -> None:
    assert list(town.next_positions(books, 3)) == [1, 2, 3]
    assert list(town.next_positions(books, 0)) == []
    assert town.next_position(books) == 4
