"""Processes that serve towns between them, in this process, with a real broker and server."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from agent.central.books import terminals, town, towns
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from agent.central.many_towns import LOOK_MS, Host
from agent.sync.broker import Broker
from tests.central.conftest import AT, GENERATION
from tests.parts.broker import Listener, Mosquitto
from tests.parts.postgres import Postgres
from tests.parts.process import wait_for

TOWNS = ("molti-a", "molti-b")
LOOKS = 60_000 // LOOK_MS


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def host(postgres: Postgres, broker: Mosquitto) -> Iterator[Callable[[], Host]]:
    """What starts a process that serves the two towns."""
    with ExitStack() as stack:
        stack.callback(_remove, postgres.address)
        with closing(Server(postgres.address)) as server:
            for name in TOWNS:
                books = towns.add(server, name)
                town.initialise(books, Town(name, "Europe/Rome"), GENERATION, at=AT)

        def start() -> Host:
            new = Host(
                postgres.address,
                lambda name: Broker(url=broker.url),
                lambda: AT,
                towns=frozenset(TOWNS),
            )
            stack.callback(new.stop)
            return new

        yield start


def _remove(address: str) -> None:
    with closing(Server(address)) as server:
        for name in TOWNS:
            towns.remove(server, name)


def turn_until(hosts: list[Host], condition: Callable[[], bool]) -> None:
    """Let processes take turns until something holds."""
    for _ in range(LOOKS * 10):
        for each in hosts:
            each.turn()
        if condition():
            return
    raise AssertionError(f"{[each.served for each in hosts]}")


def test_a_process_serves_what_no_other_serves(host: Callable[[], Host]) -> None:
    first = host()
    turn_until([first], lambda: first.served == set(TOWNS))
    second = host()
    turn_until([first, second], lambda: len(first.served) == len(second.served) == 1)
    assert first.served | second.served == set(TOWNS)
    first.stop()
    turn_until([second], lambda: second.served == set(TOWNS))


def test_a_process_without_a_session_serves_nothing_until_it_has_a_new_one(
    host: Callable[[], Host],
    postgres: Postgres,
    broker: Mosquitto,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    first = host()
    turn_until([first], lambda: first.served == set(TOWNS))
    with Listener(broker.port, f"canteen/v1/{TOWNS[0]}/central/state") as listener:
        turn_until([first], lambda: b'"online":true' in b"".join(listener.on("/state")))
        postgres.stop()
        turn_until([first], lambda: not first.served)
        wait_for(lambda: b'"online":false' in b"".join(listener.on("/state")), "that it does not")
    postgres.start()
    turn_until([first], lambda: first.served == set(TOWNS))
    assert "No town is served" in caplog.text
    assert caplog.text.count("No town is served") < 4  # once for each reason


def test_a_town_that_cannot_be_opened_leaves_the_others_served(
    host: Callable[[], Host], postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    first = host()
    with closing(Server(postgres.address)) as server:
        broken = TownBooks(server, TOWNS[0])
        with broken.transaction():
            server.sql.execute("UPDATE alembic_version SET version_num = '99'")
    turn_until([first], lambda: first.served == {TOWNS[1]})
    assert f"Town {TOWNS[0]} is not served" in caplog.text
    with closing(Server(postgres.address)) as server:
        server.use(TOWNS[0])
        server.sql.execute("UPDATE alembic_version SET version_num = '8'")
    turn_until([first], lambda: first.served == set(TOWNS))


def test_what_the_office_commits_is_known_to_the_leader(
    host: Callable[[], Host], postgres: Postgres
) -> None:
    first = host()
    turn_until([first], lambda: first.served == set(TOWNS))
    before = first.versions[TOWNS[0]]
    with closing(Server(postgres.address)) as server:
        office = TownBooks(server, TOWNS[0])
        with office.transaction():
            terminals.add(office, "t-1", "scuola")
    turn_until([first], lambda: first.versions[TOWNS[0]] > before)
    assert first.versions[TOWNS[0]] == before + 1
