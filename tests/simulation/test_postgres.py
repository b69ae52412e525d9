"""The simulator's central on PostgreSQL: a few seeds, the faults of its server, and its backups."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from agent.central.books import towns
from agent.central.books.postgres import Server
from agent.errors import CentralError
from tests.parts.postgres import Postgres
from tests.simulation.bugs import BROKEN_PROGRAM, planted, simulate
from tests.simulation.bugs_in_postgres import POSTGRES_BUGS
from tests.simulation.planted_bug import Bug
from tests.simulation.postgres import TownCentral, TownSimulation
from tests.simulation.run import attempt, parse, run_of_seed, watch
from tests.simulation.script import Step, Town, script

STEPS = 200
SEEDS = (2, 12, 31)
EARLIER = ("61:600",)  # two meals of one instant: which is the last?


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of these tests alone: it is killed."""
    with Postgres() as server:
        yield server


@pytest.fixture
def simulation(server: Postgres, tmp_path: Path) -> Iterator[TownSimulation]:
    """A town at work; nothing fails by chance."""
    town, _ = script(2, 0)
    with closing(TownSimulation(server, tmp_path, town)) as simulation:
        yield simulation


def central_of(simulation: TownSimulation) -> TownCentral:
    central = simulation.engine.central
    assert isinstance(central, TownCentral)
    return central


def test_the_fixed_seeds_break_no_invariant_while_the_server_fails(server: Postgres) -> None:
    made: list[TownSimulation] = []

    def make(folder: Path, town: Town) -> TownSimulation:
        made.append(TownSimulation(server, folder, town))
        return made[-1]

    for seed in SEEDS:
        failure = attempt(run_of_seed(seed, STEPS), make)
        assert failure is None, f"--postgres --replay {seed}:{STEPS}\n{failure.trace}"
    happened = [each.faults for each in made]
    assert sum(faults.cuts for faults in happened) > 0
    assert sum(faults.lost for faults in happened) > 0
    assert sum(faults.crashes for faults in happened) > 0
    assert sum(faults.kills for faults in happened) > 0


@pytest.mark.parametrize("name", EARLIER)
def test_an_earlier_failure_on_a_server_does_not_return(server: Postgres, name: str) -> None:
    failure = attempt(parse(name), partial(TownSimulation, server))
    assert failure is None, failure.trace


def test_one_seed_is_the_same_run_each_time(server: Postgres) -> None:
    make = partial(TownSimulation, server)
    once, again = (watch(run_of_seed(2, 100), make=make) for _ in range(2))
    assert once[0] is None
    assert once == again


@pytest.mark.parametrize("bug", POSTGRES_BUGS, ids=lambda bug: bug.name)
def test_a_bug_that_only_postgresql_has_is_found(bug: Bug) -> None:
    with planted(bug) as folder:
        words = ("--first", "1", "--seeds", str(bug.runs), "--steps", str(STEPS), "--no-shrink")
        failed = simulate(folder, "--postgres", *words)
    assert failed.returncode == 1, failed.stderr
    assert "FAILED" in failed.stdout
    assert not any(name in failed.stdout for name in BROKEN_PROGRAM)


def test_the_central_goes_on_after_its_server_was_killed(simulation: TownSimulation) -> None:
    simulation.faults.crash()
    simulation.rest(Step("rest", 0, 0, 0))
    assert central_of(simulation).alive


def test_a_full_disk_refuses_what_the_central_writes(simulation: TownSimulation) -> None:
    central = central_of(simulation)
    central.fill(True)
    with pytest.raises(CentralError, match="No space left on device"):
        central.exchange.receive("nothing", b"", central.instant)
    assert simulation.faults.refused == 1
    central.fill(False)
    central.exchange.receive("nothing", b"", central.instant)
    assert central.count_set_aside() == 1


def test_a_backup_brings_back_what_the_town_had(simulation: TownSimulation) -> None:
    balance = "SELECT balance FROM account WHERE id = 'a-0'"
    simulation.office.back_up()
    before = central_of(simulation).office.only_row(balance)
    simulation.office.pay("a-0", 500)
    simulation.office.restore(0, is_announced=True)
    assert central_of(simulation).office.only_row(balance) == before
    simulation.rest(Step("rest", 0, 0, 0))  # the treasury reports the payment again
    assert central_of(simulation).office.only_row(balance) == (before[0] + 500,)


def test_a_run_leaves_no_town(server: Postgres, tmp_path: Path) -> None:
    with closing(Server(server.address)) as connection:
        before = towns.names(connection)
        TownSimulation(server, tmp_path, script(2, 0)[0]).close()
        assert towns.names(connection) == before
