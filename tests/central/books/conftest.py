"""Fixtures for the tests of the books."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from agent.central.books import town, towns
from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres
from tests.parts.wire import TOWN, ZONE

_numbers = count(1)


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Server]:
    """A connection of its own to the server."""
    with closing(Server(postgres.address)) as server:
        yield server


@pytest.fixture
def town_books(server: Server) -> TownBooks:
    """The books of a new town on PostgreSQL, empty."""
    name = f"prova-{next(_numbers)}"
    books = towns.add(server, name)
    town.initialise(books, Town(name, ZONE.key), GENERATION, at=AT)
    return books


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Books]:
    """The books of a new central on each engine."""
    if request.param == "postgresql":
        yield request.getfixturevalue("town_books")
        return
    with closing(FileBooks(tmp_path / "either.db", create=True)) as books:
        town.initialise(books, Town(TOWN, ZONE.key), GENERATION, at=AT)
        yield books
