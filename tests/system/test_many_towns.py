"""Two processes serve six towns on PostgreSQL, while processes and servers are killed."""

import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest

from agent.central.books.postgres import Server, TownBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import credit
from tests.parts.broker import Mosquitto
from tests.parts.postgres import Postgres
from tests.parts.process import wait_for
from tests.parts.region import Region
from tests.parts.standby import Standby

TOWNS = 6
TERMINALS = 10
"""Of each town."""
MEALS = 3
"""Of each terminal, each time."""
KILLS = 2
CREDITS = 20
TAKEOVER_S = 15
"""How long a town may be without a leader: the promise of agent/central/books/leases.py."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def towns(
    tmp_path_factory: pytest.TempPathFactory, server: Postgres, broker: Mosquitto
) -> Iterator[Region]:
    folder = tmp_path_factory.mktemp("region")
    with closing(Region(folder, [server], broker.url, TOWNS)) as region:
        region.add_terminals(broker.port, TERMINALS)
        yield region


@pytest.fixture
def region(towns: Region) -> Region:
    """Two processes that share the towns, and terminals with which everything is booked."""
    begin(towns)
    return towns


def begin(region: Region) -> None:
    """Let two processes run, and book the first meals."""
    while len(region.leaders) < 2:
        region.start()
    region.wait_until_shared()
    region.eat(MEALS)
    region.wait_until_acknowledged()


def require_soon(region: Region, names: list[str], since: int, what: str) -> None:
    """Require that towns have a leader again soon, and that everything is acknowledged."""
    took_s = region.taken_over_s(names, since)
    assert took_s <= TAKEOVER_S, f"{what}: led again only after {took_s:.1f} s"
    began_s = time.monotonic()
    region.wait_until_acknowledged()
    acknowledged_s = took_s + time.monotonic() - began_s
    print(f"{what}: led again after {took_s:.1f} s, acknowledged after {acknowledged_s:.1f} s")


@pytest.mark.timeout(400)
def test_killed_leaders_lose_and_double_nothing_and_are_replaced_soon(region: Region) -> None:
    for _ in range(KILLS):
        victim, since = region.leaders[0], region.newest()
        lost = victim.served(region.towns)
        assert lost
        region.eat(MEALS)
        region.kill(victim)
        require_soon(region, lost, since, "a leader is killed")
        region.start()
        region.wait_until_shared()
    region.check()


@pytest.mark.timeout(400)
def test_lost_sessions_lose_and_double_nothing(region: Region) -> None:
    for leader in region.leaders:
        lost, since = leader.served(region.towns), region.newest()
        region.eat(MEALS)
        region.end_session(leader)
        region.eat()
        require_soon(region, lost, since, "the session of the leases is ended")
        region.wait_until_shared()
    region.check()


@pytest.mark.timeout(400)
def test_restarts_of_postgresql_lose_and_double_nothing(region: Region, server: Postgres) -> None:
    since = region.newest()
    region.eat(MEALS)
    server.restart()
    require_soon(region, region.towns, since, "PostgreSQL is stopped at once, and started")
    since = region.newest()
    region.eat(MEALS)
    server.kill()
    region.eat()
    server.start()
    require_soon(region, region.towns, since, "PostgreSQL is killed, and started")
    region.wait_until_shared()
    region.check()


@pytest.mark.timeout(400)
def test_a_leader_that_stood_still_writes_nothing_when_it_runs_again(region: Region) -> None:
    frozen, other = region.leaders
    lost, since = frozen.served(region.towns), region.newest()
    frozen.process.signal(signal.SIGSTOP)
    region.eat(MEALS)
    region.end_session(frozen)
    require_soon(region, lost, since, "a leader stands still, and its session is ended")
    assert other.served(region.towns) == region.towns
    frozen.process.signal(signal.SIGCONT)
    region.eat(MEALS)
    region.wait_until_shared()
    region.wait_until_acknowledged()
    region.check()


@pytest.mark.timeout(400)
def test_a_synchronous_standby_has_everything_when_the_primary_is_killed(
    tmp_path: Path,
) -> None:
    with (
        Mosquitto(tmp_path / "broker") as broker,  # the other region has terminals of these names
        Postgres() as primary,
        Standby(primary) as standby,
        closing(Region(tmp_path, [primary, standby], broker.url, TOWNS)) as region,
    ):
        region.add_terminals(broker.port, TERMINALS)
        begin(region)
        since = region.newest()
        region.eat(MEALS)
        primary.kill()
        region.eat()
        standby.promote()
        require_soon(region, region.towns, since, "the primary is killed, its standby promoted")
        region.wait_until_shared()
        region.check()


@pytest.mark.timeout(400)
def test_a_credit_of_the_office_is_at_its_terminal_at_once(region: Region) -> None:
    terminal = region.terminals[0]
    balance_cents = terminal.balance_cents
    words = ("credit", terminal.account, "20.00", "--id", "receipt-1")
    region.office(*words, town=terminal.town)
    balance_cents += 2_000
    terminal.wait_for_balance(balance_cents)
    took_ms = []
    with closing(Server(region.url())) as connection:
        books = TownBooks(connection, terminal.town)
        for number in range(CREDITS):
            balance_cents += 1
            payment = Payment(terminal.account, 1, PaymentKey("desk", f"cent-{number}"))
            credit(books, payment, at="2026-11-23T11:00:00.000Z")
            began_ns = time.perf_counter_ns()
            terminal.wait_for_balance(balance_cents)
            took_ms.append((time.perf_counter_ns() - began_ns) / 1_000_000)
    assert terminal.balance_cents == balance_cents
    terminal.credit_cents += 2_000 + CREDITS
    region.check()
    print(f"a credit: committed -> at the terminal: median {median(took_ms):.1f} ms")


@pytest.mark.timeout(400)
def test_a_process_that_is_stopped_gives_its_towns_back(region: Region) -> None:
    leader, other = region.leaders
    lost, since = leader.served(region.towns), region.newest()
    assert leader.process.stop() == 0
    region.leaders.remove(leader)
    require_soon(region, lost, since, "a process is stopped")
    wait_for(lambda: other.served(region.towns) == region.towns, "all towns")
    assert leader.served(region.towns) == []
