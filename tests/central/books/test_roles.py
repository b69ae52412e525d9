"""What the roles of docs/operate/central.md may do: the SQL of that page, on a real server."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from agent.central.books import accounts, town, towns
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres

PAGE = Path(__file__).parents[3] / "docs" / "operate" / "central.md"
NAMES = ("borgofiorito", "valdirose")


def block(beginning: str) -> list[str]:
    """Return the statements of the page's SQL that begins so."""
    for text in re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        if text.startswith(beginning):
            return [statement for statement in text.split(";") if statement.strip()]
    raise AssertionError(f"the page has no SQL that begins with {beginning!r}")


def address(postgres: Postgres, role: str) -> str:
    return f"postgresql://{role}@127.0.0.1:{postgres.port}/canteen"


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def canteen(postgres: Postgres) -> Iterator[Server]:
    """The central's login, in a database with two towns."""
    execute(postgres.address, *block("CREATE ROLE canteen"))
    with closing(Server(address(postgres, "canteen"))) as server:
        for name in NAMES:
            new = Town(name, "Europe/Rome")
            town.initialise(towns.add(server, name), new, GENERATION, at=AT)
        execute(address(postgres, "superuser"), *block("CREATE ROLE clerk"))
        yield server
    drop = "DROP DATABASE canteen WITH (FORCE)"
    roles = "DROP ROLE IF EXISTS clerk, canteen, town_borgofiorito, town_valdirose"
    execute(postgres.address, drop, roles)


def test_the_login_role_is_no_superuser_and_adds_lists_and_removes_towns(canteen: Server) -> None:
    assert towns.names(canteen) == list(NAMES)
    towns.remove(canteen, "valdirose")
    assert towns.names(canteen) == ["borgofiorito"]
    canteen.leave()
    rights = "SELECT rolsuper, rolname = 'canteen' FROM pg_roles WHERE rolname = current_user"
    assert canteen.sql.execute(rights).fetchone() == (False, True)
    role = "SELECT 1 FROM pg_roles WHERE rolname = 'town_valdirose'"
    assert canteen.sql.execute(role).fetchone() is None


def test_a_towns_role_sees_no_other_town(canteen: Server) -> None:
    TownBooks(canteen, "borgofiorito")
    canteen.sql.execute("SELECT 1 FROM town_borgofiorito.account")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        canteen.sql.execute("SELECT 1 FROM town_valdirose.account")


def test_an_office_uses_its_own_town_only(canteen: Server, postgres: Postgres) -> None:
    with closing(Server(address(postgres, "clerk"))) as clerk:
        with (books := TownBooks(clerk, "borgofiorito")).transaction():
            town.next_position(books)
        assert accounts.ids(books) == []
        with pytest.raises(CentralError, match="permission denied"):
            TownBooks(clerk, "valdirose")
        with pytest.raises(CentralError, match="'terza' is not added: permission denied"):
            towns.add(clerk, "terza")


def test_a_town_that_a_role_may_not_remove_keeps_all(canteen: Server, postgres: Postgres) -> None:
    """The role may drop the schema, and not the town's role: then neither is dropped."""
    with closing(Server(address(postgres, "clerk"))) as clerk:
        with pytest.raises(CentralError, match="not removed: permission denied to drop role"):
            towns.remove(clerk, "borgofiorito")
        assert town.find(TownBooks(clerk, "borgofiorito")).name == "borgofiorito"


def test_a_town_of_another_database_of_the_server_is_named_as_missing(
    canteen: Server, postgres: Postgres
) -> None:
    with closing(Server(postgres.address)) as other:
        with pytest.raises(CentralError, match="has no town 'valdirose'"):
            TownBooks(other, "valdirose")
        towns.add(other, "valdirose")
        towns.remove(canteen, "valdirose")
        assert "valdirose" in towns.names(other)
        towns.remove(other, "valdirose")
