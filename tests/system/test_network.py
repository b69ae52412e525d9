"""Two agents, a central and a broker as processes, a failing network, and kill -9 for each.

Each test ends with the invariants of tests/invariants.py on the real files.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.parts.broker import Mosquitto
from tests.parts.canteen import Canteen, canteen
from tests.parts.process import clock_of, require, wait_for
from tests.parts.proxy import Proxy

KBIT_100 = 12_500  # bytes a second
KILLS = 6


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def proxy(broker: Mosquitto) -> Iterator[Proxy]:
    with Proxy(broker.port) as proxy:
        yield proxy


@pytest.fixture
def town(tmp_path: Path, broker: Mosquitto, proxy: Proxy) -> Iterator[Canteen]:
    with canteen(tmp_path, central_url=broker.url, terminal_url=proxy.url) as town:
        yield town


# C4
@pytest.mark.timeout(240)
def test_both_sides_end_equal_after_network_faults_and_kills(
    broker: Mosquitto, proxy: Proxy, town: Canteen
) -> None:
    proxy.cut()
    town.tap(0)
    proxy.half_close()
    town.tap(1)
    proxy.refuses = True
    proxy.cut()
    town.tap(0)
    town.central.office("credit", "a-2", "10.00", "--id", "r-1")
    proxy.refuses = False
    for terminal in town.terminals:  # killed while the network is slow
        proxy.delay_s, proxy.bytes_per_s = 0.05, KBIT_100
        town.tap(town.terminals.index(terminal))
        assert terminal.process is not None
        terminal.process.kill()
        town.start(terminal)
    assert town.central.process is not None
    town.central.process.kill()
    town.tap(0)
    town.central.start()
    broker.process.kill()
    town.tap(1)
    broker.stop()
    broker.start()
    proxy.discards = True
    town.tap(0)
    town.tap(1)
    proxy.discards = False
    proxy.cut()
    proxy.delay_s, proxy.bytes_per_s = 0.0, None
    wait_for(town.all_booked, "everything booked", 90)
    wait_for(lambda: town.all_equal("a-2"), "equal balances", 30)
    town.stop()
    town.check()


@pytest.mark.timeout(240)
def test_both_sides_end_equal_after_repeated_kills(broker: Mosquitto, town: Canteen) -> None:
    for round_number in range(KILLS):
        town.tap(round_number % 2)
        town.tap(round_number % 2)
        match round_number % 3:
            case 0:
                terminal = town.terminals[round_number % 2]
                assert terminal.process is not None
                terminal.process.kill()
                town.start(terminal)
            case 1:
                assert town.central.process is not None
                town.central.process.kill()
                town.tap(1)
                town.central.start()
            case _:
                broker.process.kill()
                town.tap(0)
                broker.stop()
                broker.start()
    wait_for(town.all_booked, "everything booked", 90)
    wait_for(lambda: town.all_equal("a-1"), "equal balances", 30)
    town.stop()
    town.check()


def test_an_agent_without_a_network_and_with_a_1970_clock_serves_and_recovers(
    town: Canteen,
) -> None:
    """It has no network interface, so no DNS and no time server either."""
    terminal, line = town.terminals[0], town.lines[0]
    town.tap(0)
    wait_for(town.all_booked, "everything booked")
    terminal.stop()
    with closing(sqlite3.connect(terminal.db)) as sql, sql:
        sql.execute("DELETE FROM belief")  # as in another boot: nothing confirms the time yet
    line.unplug()
    line.plug()
    wrong_clock = clock_of("@1970-01-01 00:00:10")
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    no_network = [require("unshare"), "--net", *as_user, "--"]
    town.start(terminal, [*no_network, *wrong_clock])
    status = terminal.status()
    assert status["link"].startswith("down") and status["clock"] in ("unset", "held"), status
    town.tap(0)
    town.tap(0)
    served = terminal.rows("SELECT kind, body ->> '$.at' FROM entry ORDER BY n")
    assert [kind for kind, _ in served] == ["meal"] * 3
    times = [str(at) for _, at in served]
    assert times == sorted(times) and times[-1] > "2026"  # not before the last contact
    assert terminal.process is not None
    terminal.process.kill()
    line.unplug()
    line.plug()
    town.start(terminal)
    wait_for(town.all_booked, "everything booked")
    town.stop()
    town.check()
