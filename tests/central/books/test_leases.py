"""Leases: each town has one process; a lost session loses them, and the books know it first."""

from collections.abc import Iterator

import pytest

from agent.central.books import town, towns
from agent.central.books.leases import FREE_LOOKS, Leases
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from agent.errors import CentralError
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres

LOOKS = 10_000
TOWNS = frozenset({"lease-a", "lease-b", "lease-c", "lease-d"})


class Process:
    """What a process of the central has of its towns."""

    def __init__(self, address: str, of: frozenset[str] = TOWNS) -> None:
        self.session, self.books = Server(address), Server(address)
        self.leases = Leases(self.session, self.books, of)

    @property
    def towns(self) -> set[str]:
        return set(self.leases.held)

    def look(self) -> None:
        for name in self.leases.surplus():
            self.leases.give_back(name)
        self.leases.take()

    def look_until_it_leads(self, expected: frozenset[str]) -> None:
        """Look again while the server has not noticed yet that another session has ended."""
        for _ in range(LOOKS):
            self.look()
            if self.towns == expected:
                return
        raise AssertionError(self.towns)

    def end(self) -> None:
        self.leases.close()
        self.books.close()


@pytest.fixture
def processes(server: Server, postgres: Postgres) -> Iterator[list[Process]]:
    for name in sorted(TOWNS):
        books = towns.add(server, name)
        town.initialise(books, Town(name, "Europe/Rome"), GENERATION, at=AT)
    both = [Process(postgres.address), Process(postgres.address)]
    yield both
    for process in both:
        process.end()
    for name in sorted(TOWNS & set(towns.names(server))):
        towns.remove(server, name)


def test_a_town_has_one_process_and_each_process_its_share(processes: list[Process]) -> None:
    first, second = processes
    for _ in range(2):
        first.look()
        second.look()
    assert first.towns | second.towns == TOWNS
    assert len(first.towns) == len(second.towns) == 2


def test_a_process_that_is_alone_has_all_and_gives_back_what_is_too_much(
    processes: list[Process], postgres: Postgres
) -> None:
    first, second = processes
    second.end()
    first.look_until_it_leads(TOWNS)
    third = Process(postgres.address)
    first.look()
    third.look()
    assert len(first.towns) == len(third.towns) == 2 and not first.towns & third.towns
    third.end()
    first.look_until_it_leads(TOWNS)


def test_who_lost_its_session_leads_nothing_and_its_books_refuse(
    processes: list[Process], postgres: Postgres
) -> None:
    first, second = processes
    first.look()
    second.look()
    (name, lease), *_ = first.leases.held.items()
    writing = TownBooks(first.books, name, lease=lease.token)
    with writing.transaction():
        town.next_position(writing)
    with postgres.connect() as sql:
        sql.execute("SELECT pg_terminate_backend(%s)", (first.session.sql.info.backend_pid,))
    second.look_until_it_leads(TOWNS)
    with pytest.raises(CentralError, match="led by another process"), writing.transaction():
        town.next_position(writing)
    with pytest.raises(CentralError, match="leases are lost"):
        first.look()
    first.leases.renew()
    second.look()
    first.look()
    assert len(first.towns) == len(second.towns) == 2 and not first.towns & second.towns


def test_a_removed_town_is_given_back(processes: list[Process], server: Server) -> None:
    first, second = processes
    second.end()
    first.look_until_it_leads(TOWNS)
    towns.remove(server, "lease-b")
    first.look()
    assert first.towns == TOWNS - {"lease-b"}


def test_a_town_that_was_restored_between_two_looks_is_led_again(
    processes: list[Process], server: Server
) -> None:
    """Its schema is another one, and its row has not the token of this process."""
    first, second = processes
    second.end()
    first.look()
    before = first.leases.held["lease-b"]
    towns.remove(server, "lease-b")
    town.initialise(towns.add(server, "lease-b"), Town("lease-b", "Europe/Rome"), GENERATION, at=AT)
    first.look()
    lease = first.leases.held["lease-b"]
    assert lease != before and first.towns == TOWNS
    writing = TownBooks(first.books, "lease-b", lease=lease.token)
    with writing.transaction():
        town.next_position(writing)


def test_a_town_that_cannot_be_opened_is_left_to_others(
    processes: list[Process], server: Server
) -> None:
    first, second = processes
    second.end()
    broken = TownBooks(server, "lease-a")
    with broken.transaction():
        server.sql.execute("UPDATE alembic_version SET version_num = '99'")
    assert "has schema 99" in first.leases.take()["lease-a"]
    assert first.towns == TOWNS - {"lease-a"}
    server.use("lease-a")
    server.sql.execute("UPDATE alembic_version SET version_num = '8'")


def test_processes_of_other_towns_take_no_share(
    processes: list[Process], postgres: Postgres
) -> None:
    first, second = processes
    second.end()
    other = Process(postgres.address, frozenset({"lease-x"}))
    other.look()
    first.look_until_it_leads(TOWNS)
    assert not other.towns
    other.end()


def test_a_town_that_a_process_cannot_serve_goes_to_another_beyond_its_share(
    processes: list[Process],
) -> None:
    """It lacks the town's files, or is an older program: it gives the town back at once."""
    first, second = processes

    def look() -> None:
        first.look()
        second.look()
        for name in second.towns & {"lease-a", "lease-b", "lease-c"}:
            second.leases.give_back(name)

    for _ in range(3):
        look()
    assert len(first.towns) == 2
    for _ in range(2 * FREE_LOOKS):
        look()
    assert first.towns | second.towns == TOWNS and second.towns <= {"lease-d"}
    before = set(first.towns)
    for _ in range(3):
        look()
    assert first.towns == before
