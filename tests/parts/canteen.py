"""A canteen at work: a central and agents on serial lines as processes, around a broker that a test brings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from agent.central.books.file import Books
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


@dataclass
class Canteen:
    """Terminals with one reader each, in one site. `tapped` counts the cards held to them."""

    central: Central
    terminals: list[Terminal] = field(default_factory=list)
    lines: list[SerialLine] = field(default_factory=list)
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

    def start(
        self,
        terminal: Terminal,
        enter: list[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start an agent; return when it serves."""
        terminal.start(enter, environment)
        wait_for(terminal.answers, "the agent answering")
        wait_for(lambda: terminal.status()["readers"]["counter"] == "ready", "the reader")

    def all_booked(self) -> bool:
        return all(terminal.pending() == 0 for terminal in self.terminals)

    def all_equal(self, account: str) -> bool:
        return all(
            terminal.balance(account) == self.central.balance(account)
            for terminal in self.terminals
        )

    def stop(self) -> None:
        for terminal in self.terminals:
            if terminal.process is not None:
                terminal.stop()
        self.central.stop()

    def check(self) -> None:
        """Hold the invariants against the real files of a canteen that was stopped."""
        ledger = Books(self.central.db)
        for terminal in self.terminals:
            db = Database(terminal.db, read_only=True)
            invariants.the_chain_holds(db)
            invariants.everything_recorded_is_booked(db, ledger, terminal.name)
            invariants.a_terminal_equals_the_central(db, ledger, terminal.name)
            db.close()
        invariants.the_books_are_right(ledger)
        ledger.close()
        assert sum(self.recorded(terminal) for terminal in self.terminals) == self.tapped


@contextmanager
def counter(
    folder: Path, cards: list[str], readers: str
) -> Iterator[tuple[VirtualCard, Pcscd, Terminal]]:
    """Yield a virtual card, its private pcscd and a terminal, not started, with `readers` in its agent.toml; card n is account a-n's."""
    card = VirtualCard()
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker"))
        pcscd = stack.enter_context(Pcscd(folder / "pcscd", card.port))
        stack.callback(card.take_away)
        central = Central(folder / "central", Access(broker.url))
        rows = "".join(f"a-{n},{SITE},{one},lunch 2026-01-01 3.66\n" for n, one in enumerate(cards))
        (folder / "roster.csv").write_text("account,site,cards,prices\n" + rows, encoding="utf-8")
        central.office("import-roster", folder / "roster.csv")
        central.office(
            "service",
            SITE,
            "lunch",
            "--opens",
            "00:00",
            "--closes",
            "23:59",
            "--weekdays",
            "1234567",
        )
        central.office("terminals", "add", "t-1", SITE)
        central.start()
        stack.callback(central.stop)
        terminal = Terminal(folder / "t-1", "t-1", Access(broker.url), central.card_key, readers)
        yield card, pcscd, terminal
        if terminal.process is not None:
            terminal.stop()


@contextmanager
def canteen(
    folder: Path, *, central_url: str, terminal_url: str, terminals: int = 2, start: bool = True
) -> Iterator[Canteen]:
    """Yield a canteen of a fictitious town, its agents serving unless `start` is false; end every process of it."""
    central = Central(folder / "central", Access(central_url))
    rows = [f"a-{n},{SITE},lunch 2026-01-01 3.66,em:{card.hex()}" for n, card in enumerate(CARDS)]
    (folder / "roster.csv").write_text(
        "\n".join(["account,site,prices,cards", *rows]), encoding="utf-8"
    )
    central.office("import-roster", folder / "roster.csv")
    central.office(
        "service", SITE, "lunch", "--opens", "00:00", "--closes", "23:59", "--weekdays", "1234567"
    )
    made = Canteen(central)
    try:
        for name in [f"t-{n + 1}" for n in range(terminals)]:
            central.office("terminals", "add", name, SITE)
            line = SerialLine(folder / f"reader-{name}")
            line.plug()
            made.lines.append(line)
            reader = f'[[reader]]\nname = "counter"\nprofile = "rdm6300"\nport = "{line.path}"\n'
            made.terminals.append(
                Terminal(
                    folder / name,
                    name,
                    Access(terminal_url),
                    central.card_key,
                    reader,
                )
            )
        if start:
            central.start()
            for terminal in made.terminals:
                made.start(terminal)
                wait_for(
                    lambda: terminal.balance("a-1") is not None, "the roster", 60
                )  # a broker that does not answer MQTT 5 is tried with 3.1.1 after half a minute
        yield made
    finally:
        made.stop()
        for line in made.lines:
            line.unplug()


def write_backlog(terminal: Terminal, number: int, entries: int) -> None:
    """Let a terminal have served for days: the real store, without waiting for the disk each time."""
    terminal.db.parent.mkdir()
    db = Database(terminal.db)
    db.sql.execute("PRAGMA synchronous = OFF")
    writes.initialise(db, town=TOWN, terminal=terminal.name, epoch=f"1-{number:016x}")
    for n in range(entries):
        day = date(2026, 1, 1) + timedelta(
            days=n // len(CARDS) + number * entries // len(CARDS)
        )  # each terminal its own days
        meal = Entry(
            kind=Kind.MEAL, cents=-366, at=f"{day}T11:{n // 60 % 60:02d}:{n % 60:02d}.000Z", clock=ClockTrust.HELD, boot="before",
            mono_ms=n,
            how=How.CARD, account=f"a-{n % len(CARDS)}", service="lunch", day=f"{day}",
        )  # fmt: skip
        writes.append(db, meal)
    db.close()
