"""A PostgreSQL that cannot serve a town is a sentence; the terminals of other towns go on."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.parts.broker import Mosquitto, free_port
from tests.parts.postgres import Postgres
from tests.parts.process import wait_for
from tests.parts.region import Region

WELL, OTHER = "town-1", "town-2"


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Two towns with a terminal each, served by a process."""
    folder = tmp_path_factory.mktemp("region")
    with (
        Postgres() as server,
        Mosquitto(folder / "broker") as broker,
        closing(Region(folder, [server], broker.url, 2)) as region,
    ):
        region.add_terminals(broker.port, 1)
        region.start()
        yield region


@pytest.fixture
def region(towns: Region) -> Iterator[Region]:
    """The same with everything booked, before a test and after it."""
    book_all(towns)
    yield towns
    book_all(towns)
    towns.check()


def book_all(region: Region) -> None:
    """Wait until every town is served, and book a meal of every terminal."""
    region.wait_until_shared()
    region.eat()
    region.wait_until_acknowledged()


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("synchronous_commit = off", "a crash loses what was acknowledged to terminals"),
        ("default_transaction_read_only = on", "is read-only, as a standby is"),
    ],
)
def test_a_server_that_keeps_nothing_is_refused_at_the_start(
    region: Region, setting: str, sentence: str
) -> None:
    with region.connect() as database:
        database.execute(f"ALTER ROLE operator SET {setting}".encode())
    try:
        assert sentence in region.office("serve", "--towns", "all", code=1)
        assert sentence in region.office("accounts", town=WELL, code=1)
    finally:
        with region.connect() as database:
            database.execute("ALTER ROLE operator RESET ALL")


@pytest.mark.timeout(200)
def test_a_server_that_is_away_at_the_start_is_a_sentence(region: Region) -> None:
    away = f"postgresql://operator@127.0.0.1:{free_port()}/postgres"
    assert "cannot be opened: connection" in region.command(away, "serve", "--towns", "all", code=1)


@pytest.mark.timeout(200)
def test_a_role_of_a_town_sees_nothing_of_another(region: Region) -> None:
    with region.connect() as database:
        database.execute(f'CREATE ROLE clerk LOGIN IN ROLE "town_{WELL}"'.encode())
    try:
        assert "a-1" in region.office("accounts", town=WELL, role="clerk")
        refused = region.office("accounts", town=OTHER, role="clerk", code=1)
        assert f'permission denied to set role "town_{OTHER}"' in refused
        with psycopg.connect(region.url("clerk")) as clerk:
            clerk.execute(f'SELECT * FROM "town_{WELL}".account'.encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                clerk.execute(f'SELECT * FROM "town_{OTHER}".account'.encode())
    finally:
        with region.connect() as database:
            database.execute("DROP ROLE clerk")


@pytest.mark.timeout(200)
def test_a_town_of_a_newer_schema_keeps_its_meals_and_the_other_goes_on(region: Region) -> None:
    (leader,) = region.leaders
    well, other = region.terminals
    version = f'UPDATE "town_{OTHER}".alembic_version SET version_num = version_num::int + %s'
    with region.connect() as database:
        database.execute(version.encode(), (1,))
        other.eat()
        sentence = "this program knows"
        wait_for(lambda: sentence in leader.process.output(), "the sentence")
        well.eat()
        wait_for(lambda: well.pending == 0, "acknowledgements of the other town")
        assert other.pending == 1
        assert sentence in region.office("accounts", town=OTHER, code=1)
        database.execute(version.encode(), (-1,))


@pytest.mark.timeout(200)
def test_a_town_without_its_schema_is_a_sentence_and_the_other_goes_on(region: Region) -> None:
    (leader,) = region.leaders
    well, other = region.terminals
    with region.connect() as database:
        database.execute(f'ALTER SCHEMA "town_{OTHER}" RENAME TO aside'.encode())
        wait_for(lambda: leader.served(region.towns) == [WELL], "the town given back")
        other.eat()
        well.eat()
        wait_for(lambda: well.pending == 0, "acknowledgements of the other town")
        assert other.pending == 1
        assert "has no town" in region.office("accounts", town=OTHER, code=1)
        database.execute(f'ALTER SCHEMA aside RENAME TO "town_{OTHER}"'.encode())
