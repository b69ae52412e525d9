"""A canteen at work: a central and agents as processes, around a broker that the test brings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from agent.central.books.file import FileBooks
from agent.domain.clock import ClockTrust
from agent.domain.ledger import Entry, How, Kind
from agent.store import writes
from agent.store.database import Database
from tests import invariants
from tests.parts.broker import Mosquitto
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine
from tests.parts.town import SITE, TOWN, Access, Central, Terminal

CARDS = [bytes.fromhex(f"0100000{n:03x}") for n in range(1, 41)]
# A broker without MQTT 5 is tried with 3.1.1 only after half a minute.
ROSTER_S = 60


@dataclass
class Canteen:
    """Terminals of one site, each with one serial reader. `tapped` counts the cards presented."""

    central: Central
    terminals: list[Terminal] = field(default_factory=list)
    lines: list[SerialLine] = field(default_factory=list)
    tapped: int = 0

    def tap(self, number: int) -> None:
        """Present the next card at a terminal. Return when its entry is on the disk."""
        terminal, line = self.terminals[number], self.lines[number]
        before = self.recorded(terminal)
        line.hold(CARDS[self.tapped % len(CARDS)])
        self.tapped += 1
        wait_for(lambda: self.recorded(terminal) > before, "an entry")

    def recorded(self, terminal: Terminal) -> int:
        return int(terminal.rows("SELECT count(*) FROM entry")[0][0])

    def start(
        self,
        terminal: Terminal,
        enter: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start an agent. Return when it serves."""
        terminal.start(enter, environment)
        terminal.wait_until_serving()

    def all_booked(self) -> bool:
        return all(terminal.pending() == 0 for terminal in self.terminals)

    def all_equal(self, account: str) -> bool:
        balance = self.central.balance(account)
        return all(terminal.balance(account) == balance for terminal in self.terminals)

    def all_sent(self) -> bool:
        """Return whether every terminal has the newest record of every account."""
        (newest,) = self.central.rows("SELECT max(p) FROM account")[0]
        query = "SELECT position FROM terminal"
        return all(terminal.rows(query)[0][0] >= newest for terminal in self.terminals)

    def stop(self) -> None:
        for terminal in self.terminals:
            if terminal.process is not None:
                terminal.stop()
        self.central.stop()

    def check(self) -> None:
        """Check the invariants on the files of a canteen that was stopped."""
        books = FileBooks(self.central.db)
        for terminal in self.terminals:
            db = Database(terminal.db, read_only=True)
            invariants.the_hash_chain_is_intact(db)
            invariants.every_entry_is_booked(db, books, terminal.name)
            invariants.a_terminal_equals_the_central(db, books, terminal.name)
            db.close()
        invariants.the_books_are_consistent(books)
        books.close()
        assert sum(self.recorded(terminal) for terminal in self.terminals) == self.tapped


class Counter(NamedTuple):
    """A virtual card, the private pcscd that sees it, and a terminal."""

    card: VirtualCard
    pcscd: Pcscd
    terminal: Terminal


@contextmanager
def counter(folder: Path, cards: list[str], readers: str) -> Iterator[Counter]:
    """Yield a counter with a broker and a central. The terminal is not started.

    Card n belongs to account a-n. `readers` is the `[[reader]]` part of agent.toml.
    """
    card = VirtualCard()
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        pcscd = stack.enter_context(Pcscd(folder / "pcscd", card.port))
        stack.callback(card.take_away)
        central = Central(folder / "central", Access(broker.url))
        central.serve_lunch_all_day()
        central.add_roster(
            "account,site,cards,prices",
            [f"a-{n},{SITE},{card_id},lunch 2026-01-01 3.66" for n, card_id in enumerate(cards)],
        )
        central.office("terminals", "add", "t-1", SITE)
        central.start()
        stack.callback(central.stop)
        key = central.card_key
        terminal = Terminal(folder / "t-1", "t-1", Access(broker.url), key, readers)
        yield Counter(card, pcscd, terminal)
        if terminal.process is not None:
            terminal.stop()


@contextmanager
def canteen(
    folder: Path, *, central_url: str, terminal_url: str, terminals: int = 2, start: bool = True
) -> Iterator[Canteen]:
    """Yield a canteen and end all of its processes. Its agents serve unless `start` is false."""
    central = Central(folder / "central", Access(central_url))
    central.serve_lunch_all_day()
    central.add_roster(
        "account,site,prices,cards",
        [f"a-{n},{SITE},lunch 2026-01-01 3.66,em:{card.hex()}" for n, card in enumerate(CARDS)],
    )
    made = Canteen(central)
    key = central.card_key
    try:
        for name in [f"t-{n + 1}" for n in range(terminals)]:
            central.office("terminals", "add", name, SITE)
            line = SerialLine(folder / f"reader-{name}")
            line.plug()
            made.lines.append(line)
            reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'
            made.terminals.append(Terminal(folder / name, name, Access(terminal_url), key, reader))
        if start:
            central.start()
            for terminal in made.terminals:
                made.start(terminal)
                terminal.wait_for_account("a-1", ROSTER_S)
        yield made
    finally:
        made.stop()
        for line in made.lines:
            line.unplug()


def write_backlog(terminal: Terminal, number: int, entries: int) -> None:
    """Give a terminal a ledger of several days, written without a flush per entry.

    `number` is the terminal's: each terminal gets days of its own, so no meal is a second one.
    """
    terminal.db.parent.mkdir()
    db = Database(terminal.db)
    db.sql.execute("PRAGMA synchronous = OFF")
    writes.initialise(db, town=TOWN, terminal=terminal.name, epoch=f"1-{number:016x}")
    for n in range(entries):
        days = n // len(CARDS) + number * entries // len(CARDS)
        day = date(2026, 1, 1) + timedelta(days=days)
        meal = Entry(
            kind=Kind.MEAL, cents=-366, at=f"{day}T11:{n // 60 % 60:02d}:{n % 60:02d}.000Z",
            clock=ClockTrust.HELD, boot="before", mono_ms=n, how=How.CARD,
            account=f"a-{n % len(CARDS)}", service="lunch", day=f"{day}",
        )  # fmt: skip
        writes.append(db, meal)
    db.close()
