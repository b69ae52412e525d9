"""Two agents, a central and a broker as processes, a network that fails between them, and kill -9 for everybody.

At the end the invariants of tests/invariants.py on the real files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.central.ledger import Ledger
from agent.store.database import Database
from tests import invariants
from tests.parts.broker import Mosquitto
from tests.parts.process import wait_for
from tests.parts.proxy import Proxy
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, Central, Terminal

CARDS = [bytes.fromhex(f"0100000{n:03x}") for n in range(1, 41)]
KBIT_100 = 12_500  # bytes a second


@dataclass
class Town:
    broker: Mosquitto
    proxy: Proxy
    central: Central
    terminals: list[Terminal]
    lines: list[SerialLine]
    tapped: int = 0

    def tap(self, number: int) -> None:
        """Let a child eat at a terminal; return when its entry is on the disk."""
        terminal, line = self.terminals[number], self.lines[number]
        before = self.recorded(terminal)
        line.hold(CARDS[self.tapped % len(CARDS)])
        self.tapped += 1
        wait_for(lambda: self.recorded(terminal) > before, "an entry")

    def recorded(self, terminal: Terminal) -> int:
        return int(terminal.rows("SELECT count(*) FROM entry")[0][0])

    def start(self, terminal: Terminal) -> None:
        terminal.start()
        wait_for(terminal.answers, "the agent answering")
        wait_for(lambda: terminal.status()["readers"]["counter"] == "ready", "the reader")

    def all_booked(self) -> bool:
        return all(terminal.pending() == 0 for terminal in self.terminals)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Mosquitto(tmp_path / "broker") as broker, Proxy(broker.port) as proxy:
        central = Central(tmp_path / "central", broker.url)
        rows = [f"a-{n},{SITE},lunch 2026-01-01 3.66,em:{card.hex()}" for n, card in enumerate(CARDS)]
        (tmp_path / "roster.csv").write_text("\n".join(["account,site,prices,cards", *rows]), encoding="utf-8")
        central.office("import-roster", tmp_path / "roster.csv")
        central.office("service", SITE, "lunch", "--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567")
        terminals, lines = [], []
        for name in ("t-1", "t-2"):
            central.office("terminals", "add", name, SITE)
            line = SerialLine(tmp_path / f"reader-{name}")
            line.plug()
            reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'
            terminals.append(Terminal(tmp_path / name, name, proxy.url, tmp_path / "central" / "central.db.card-key", reader))
            lines.append(line)
        town = Town(broker, proxy, central, terminals, lines)
        central.start()
        for terminal in terminals:
            town.start(terminal)
            wait_for(lambda: terminal.balance("a-1") is not None, "the roster")  # noqa: B023
        yield town
        for terminal in terminals:
            if terminal.process is not None:
                terminal.stop()
        central.stop()
        for line in lines:
            line.unplug()


@pytest.mark.timeout(240)
def test_whatever_the_network_does_and_whoever_is_killed_both_sides_end_equal(town: Town) -> None:
    proxy = town.proxy
    proxy.cut()
    town.tap(0)
    proxy.half_close()
    town.tap(1)
    proxy.refuses = True
    proxy.cut()
    town.tap(0)
    town.central.office("credit", "a-2", "10.00", "--id", "r-1")
    proxy.refuses = False
    for terminal in town.terminals:  # the plug, while the network is slow
        proxy.delay_s, proxy.bytes_per_s = 0.05, KBIT_100
        town.tap(town.terminals.index(terminal))
        assert terminal.process is not None
        terminal.process.kill()
        town.start(terminal)
    assert town.central.process is not None
    town.central.process.kill()
    town.tap(0)
    town.central.start()
    town.broker.process.kill()
    town.tap(1)
    town.broker.stop()
    town.broker.start()
    proxy.swallows = True
    town.tap(0)
    town.tap(1)
    proxy.swallows = False
    proxy.cut()
    proxy.delay_s, proxy.bytes_per_s = 0.0, None
    wait_for(town.all_booked, "everything booked", 90)
    wait_for(lambda: all(terminal.balance("a-2") == town.central.balance("a-2") for terminal in town.terminals), "equal balances", 30)
    for terminal in town.terminals:
        terminal.stop()
    town.central.stop()
    ledger = Ledger(town.central.db)
    for terminal in town.terminals:
        db = Database(terminal.db, read_only=True)
        invariants.the_chain_holds(db)
        invariants.everything_recorded_is_booked(db, ledger, terminal.name)
        invariants.a_terminal_equals_the_central(db, ledger, terminal.name)
        db.close()
    invariants.the_books_are_right(ledger)
    ledger.close()
    assert sum(town.recorded(terminal) for terminal in town.terminals) == town.tapped
