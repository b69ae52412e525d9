"""Fixtures for the tests of the central."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import town
from agent.central.books.file import FileBooks
from agent.central.books.town import Town
from tests.parts.foreign_terminal import ForeignTerminal
from tests.parts.wire import NOON, TOWN, ZONE, Wire

GENERATION = "0123456789abcdef" * 2
AT = f"{NOON:%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.fixture
def books(tmp_path: Path) -> Iterator[FileBooks]:
    """The books of a new central, empty."""
    with closing(FileBooks(tmp_path / "books.db", create=True)) as books:
        town.initialise(books, Town(TOWN, ZONE.key), GENERATION, at=AT)
        yield books


@pytest.fixture
def foreign(wire: Wire) -> ForeignTerminal:
    """A terminal of another maker, beside the one of `wire`."""
    return ForeignTerminal(wire.central)
