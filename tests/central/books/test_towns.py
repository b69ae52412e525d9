"""The towns of a server: added, listed, copied as a file and back, and removed alone."""

from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import accounts, incidents, postings, town, towns
from agent.central.books.accounts import Account, AccountPrice
from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.incidents import Incident
from agent.central.books.postgres import Server, TownBooks, schema_of
from agent.central.books.postings import PaymentKey, Posting
from agent.central.books.town import Town
from agent.domain.canteen import Price
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres


def test_a_town_is_listed_and_is_added_once(server: Server, town_books: TownBooks) -> None:
    assert town_books.town in towns.names(server)
    with pytest.raises(CentralError, match=f"has a town '{town_books.town}' already"):
        towns.add(server, town_books.town)
    assert town.find(town_books).name == towns.name_of(town_books)


def test_a_town_that_a_killed_command_left_without_its_row_is_taken_over(server: Server) -> None:
    towns.add(server, "half")
    books = towns.add(server, "half")
    town.initialise(books, Town("half", "Europe/Rome"), GENERATION, at=AT)
    assert town.find(books).name == "half"


def test_a_removed_town_is_gone_and_its_neighbour_is_not(
    server: Server, town_books: TownBooks
) -> None:
    gone = towns.add(server, f"{town_books.town}-via")
    towns.remove(server, gone.town)
    assert gone.town not in towns.names(server) and town_books.town in towns.names(server)
    assert town.standing(town_books).position == 0
    with pytest.raises(CentralError, match="has no town"):
        towns.remove(server, gone.town)
    server.leave()
    role = "SELECT 1 FROM pg_roles WHERE rolname = %s"
    assert server.sql.execute(role, (schema_of(gone.town),)).fetchone() is None


def test_a_town_with_a_name_of_other_letters_is_a_town(server: Server) -> None:
    books = towns.add(server, "Sant_Agata.di-Sopra")
    assert accounts.ids(books) == []
    assert "Sant_Agata.di-Sopra" in towns.names(server)


def fill(books: Books) -> None:
    with books.transaction():
        accounts.add(books, Account("a-1", "s", "pupil", "active", "1A", None, "veg", "f"))
        price = Price(service="lunch", from_day="2026-09-01", cents=366)
        accounts.set_prices(books, [AccountPrice("a-1", price)])
        key = PaymentKey("desk", "p-1")
        postings.post(books, Posting("a-1", 2_000, "top_up", AT, "in cash; \t\\ \n", key))
        incidents.add(books, Incident(AT, "fork", "two entries", "t-1"))


def state(books: Books) -> list[object]:
    return [
        accounts.all_of_town(books),
        accounts.balances(books),
        accounts.prices(books, "a-1"),
        postings.of_channel(books, "desk"),
        incidents.count(books),
        town.standing(books).position,
    ]


def test_a_town_moves_to_a_file_and_back(
    server: Server, town_books: TownBooks, tmp_path: Path, postgres: Postgres
) -> None:
    fill(town_books)
    with town_books.transaction():
        town.lead(town_books, "a process")
    with closing(FileBooks(tmp_path / "moved.db", create=True)) as file:
        with file.transaction():
            towns.copy(town_books, file)
        assert state(file) == state(town_books) and file.page_faults() == []
        with closing(Server(postgres.address)) as other:
            back = towns.add(other, f"{town_books.town}-bis")
            with back.transaction():
                towns.copy(file, back)
            assert state(back) == state(town_books)
            # numbers go on behind those that were copied; nobody leads the copy
            with back.transaction():
                postings.post(back, Posting("a-1", 1, "top_up", AT, "", PaymentKey("desk", "p-2")))
            assert accounts.balance_cents(back, "a-1") == 2_001
            assert server.sql is not other.sql
            leader = other.sql.execute("SELECT leader FROM central").fetchone()
            assert leader == (None,)


def test_a_copy_that_fails_leaves_nothing(
    server: Server, town_books: TownBooks, books: FileBooks
) -> None:
    fill(books)
    books.sql.execute("UPDATE incident SET detail = CAST(x'ff' AS TEXT)")
    with pytest.raises(CentralError), town_books.transaction():
        towns.copy(books, town_books)
    assert accounts.ids(town_books) == []
