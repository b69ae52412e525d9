"""Terminals and a central joined in memory: real stores and sessions, no broker, no threads.

Messages wait on the wire until a test delivers them. So a test can lose, double, delay and reorder
them. Time passes only when a test says so.
"""

import json
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

import msgspec

from agent.central.books import accounts, town
from agent.central.books.accounts import Account
from agent.central.books.file import FileBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.town import Town
from agent.central.office.cards import assign_card
from agent.central.office.credit import credit
from agent.central.office.rules import set_policy, set_service
from agent.central.office.terminals import add_terminal
from agent.central.server import Exchange
from agent.domain.canteen import PolicyRecord, Price, ServiceRecord, Shortage, UnknownCard
from agent.domain.card import CardId, card_token, parse_card_id
from agent.domain.clock import Moment, Reading, format_instant
from agent.domain.ledger import Entry
from agent.errors import AgentError
from agent.ops.control_messages import parse_ask
from agent.readers.events import CardPresented, CardUnreadable, Show, Signal
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.recovery import LedgerFile
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkUp, Publish
from agent.terminal.certificates import Certificates
from agent.terminal.control import Request
from agent.terminal.core import Setup
from agent.terminal.core import Terminal as Core
from agent.terminal.events import Effect, Event
from agent.terminal.export import write_export
from agent.terminal.status import Machine

TOWN = "borgofiorito"
SITE = "primaria"
ZONE = ZoneInfo("Europe/Rome")
KEY = bytes(range(32))
NOON = datetime(2026, 11, 23, 11, 5, tzinfo=UTC)  # five past twelve in the town
TODAY = "2026-11-23"
USER = "1000 maria"  # whose program asks a terminal


POLICY = PolicyRecord(
    from_day="2026-09-01",
    p=0,
    shortage=Shortage.SERVE,
    floor=0,
    unknown_card=UnknownCard.SERVE,
    keep_days=60,
)


class PolicyParts(TypedDict, total=False):
    """Parts of a policy that a test sets."""

    from_day: str
    shortage: Shortage
    floor: int
    unknown_card: UnknownCard
    serve_all_until: str | None
    keep_days: int


@dataclass(slots=True)
class Clock:
    """The true time."""

    now: datetime = NOON
    mono_ms: int = 10_000_000

    def pass_ms(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)
        self.mono_ms += milliseconds

    @property
    def instant(self) -> str:
        return format_instant(self.now)


class Central:
    """The reference central with a real file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.path = folder / "central.db"
        self._generations = 0
        self.books = FileBooks(self.path, create=True)
        town.initialise(self.books, Town(TOWN, ZONE.key), self._generation(), at=clock.instant)
        self.exchange = Exchange(self.books, new_generation=self._generation)
        set_service(
            self.books,
            SITE,
            ServiceRecord(id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15"),
        )

    def restart(self) -> None:
        self.books.close()
        self.books = FileBooks(self.path)
        self.exchange = Exchange(self.books, new_generation=self._generation)

    def back_up(self, path: Path) -> None:
        """Copy the file aside, while nothing writes to it."""
        shutil.copyfile(self.path, path)

    def restore(self, backup: Path) -> None:
        """Restart on a backup, without `new-generation`."""
        self.books.close()
        shutil.copyfile(backup, self.path)
        self.restart()

    def add_account(
        self, account: str, *, cards: tuple[str, ...] = (), price_cents: int = 366, site: str = SITE
    ) -> None:
        price = Price(service="lunch", from_day="2026-09-01", cents=price_cents)
        with self.books.transaction():
            accounts.add(self.books, Account(account, site, "pupil", "active", "1A"))
            accounts.set_price(self.books, account, price)
        for card in cards:
            self.assign(card, account)

    def assign(self, card: str, account: str) -> int:
        return assign_card(
            self.books, card_token(KEY, parse_card_id(card)), account, at=self.clock.instant
        )

    def credit(self, account: str, cents: int, external: str) -> bool:
        payment = Payment(account, cents, PaymentKey("pos", external))
        return credit(self.books, payment, at=self.clock.instant)

    def policy(self, *, double_meal: str = "give_back", **parts: Unpack[PolicyParts]) -> None:
        """Set the town's policy. What is not given has the default of `POLICY`."""
        policy = msgspec.structs.replace(POLICY, **parts)
        set_policy(self.books, policy, double_meal, at=self.clock.instant)

    def balance(self, account: str) -> int:
        balance = self.value("SELECT balance FROM account WHERE id = ?", account)
        assert isinstance(balance, int)
        return balance

    def value(self, sql: str, *values: object) -> object:
        """Return the first column of a query's first row."""
        return self.books.sql.execute(sql, values).fetchone()[0]

    def _generation(self) -> str:
        self._generations += 1
        return f"{self._generations:032x}"


@dataclass
class Box:
    """One terminal: its file, its core, its clock, and the lights of its reader.

    `checks_file`: look for damage at the start, as the program does.
    """

    name: str
    path: Path
    clock: Clock
    boot: str = "boot-1"
    synced: bool = True
    wall_offset: timedelta = timedelta()
    lights: list[Signal] = field(default_factory=list)
    epochs: int = 0
    checks_file: bool = False
    needs_staff_card: bool = False
    certificates: Certificates = field(default_factory=Certificates)
    opened: list[Database] = field(default_factory=list)
    db: Database = field(init=False)
    core: Core = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the process on what is on the disk."""
        self.core = Core(self.setup(), self.reading())

    def setup(self) -> Setup:
        return Setup(
            town=TOWN,
            terminal=self.name,
            zone=ZONE,
            card_key=KEY,
            readers=("counter",),
            software="test",
            needs_staff_card=self.needs_staff_card,
            spread=lambda: 0.0,
            epoch_bits=self._bits,
            open_ledger=self._open_ledger,
            machine=lambda: Machine(temperature_c=47, disk_free_mb=24_310),
            certificates=self.certificates,
        )

    def ledger_file(self) -> LedgerFile:
        return LedgerFile(
            path=self.path,
            town=TOWN,
            terminal=self.name,
            epoch_bits=self._bits,
            export=write_export,
        )

    def _open_ledger(self, known_damage: str | None) -> Database:
        if self.checks_file or known_damage:
            self.db = self.ledger_file().open(self.clock.instant, known_damage)
        else:
            self.db = Database(self.path, reserve_bytes=0)
            epoch = f"1-{self._bits()}"
            writes.initialise(self.db, town=TOWN, terminal=self.name, epoch=epoch)
        self.opened.append(self.db)
        return self.db

    def restart(self) -> None:
        self.core.close()
        self.start()

    def reading(self) -> Reading:
        return Reading(
            wall=self.clock.now + self.wall_offset,
            mono_ms=self.clock.mono_ms,
            boot=self.boot,
            synced=self.synced,
        )

    def moment(self) -> Moment:
        return self.core.moment(self.reading())

    def handle(self, event: Event) -> list[Effect]:
        effects = self.core.handle(event, self.moment())
        self.lights += [effect.signal for effect in effects if isinstance(effect, Show)]
        return effects

    def tap(self, card: str | CardId) -> Signal:
        shown = parse_card_id(card) if isinstance(card, str) else card
        self.handle(CardPresented(reader="counter", card=shown, tap=1))
        return self.lights[-1]

    def tap_unreadable(self) -> Signal:
        self.handle(CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1))
        return self.lights[-1]

    def ask(self, do: str, **arguments: object) -> dict[str, object]:
        try:
            request = Request(parse_ask(do, arguments), USER)
        except AgentError as error:
            return {"error": str(error)}  # as the control socket does
        self.handle(request)
        return request.answers.get_nowait()

    def balance(self, account: str) -> int | None:
        return reads.balance_cents(self.db, account)

    def entries(self) -> list[Entry]:
        return [listed.entry for listed in reads.entries(self.db, newest=1_000_000)]

    def _bits(self) -> str:
        self.epochs += 1
        return f"{sum(self.name.encode()):08x}{self.epochs:08x}"


class Wire:
    """The link: messages in order, delivered one at a time.

    `drop` says which messages are lost. `watch` sees each answer of the central when it is made.
    `log` has every message that was ever sent.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        self.clock = Clock()
        self.central = Central(folder, self.clock)
        self.boxes: dict[str, Box] = {}
        self.up: deque[tuple[str, bytes]] = deque()
        self.down: deque[tuple[str, bytes]] = deque()
        self.log: list[tuple[str, bytes]] = []
        self.drop: Callable[[str, bytes], bool] = lambda topic, payload: False
        self.watch: Callable[[str, bytes], None] = lambda topic, payload: None
        self.connected: set[str] = set()
        self.central_ahead = timedelta()  # the error of the central's clock
        for name in names or ("t-1",):
            add_terminal(self.central.books, name, SITE)
            self.boxes[name] = Box(name, folder / f"{name}.db", self.clock)

    def close(self) -> None:
        """Close every database. Python 3.13 warns of one that is left open."""
        for box in self.boxes.values():
            for db in (box.db, *box.opened):
                db.close()
        self.central.books.close()

    @property
    def box(self) -> Box:
        return self.boxes["t-1"]

    def connect(self, *names: str) -> None:
        for name in names or tuple(self.boxes):
            self.connected.add(name)
            self._send(name, self.boxes[name].handle(LinkUp()))
            self.settle()

    def disconnect(self, *names: str) -> None:
        for name in names or tuple(self.boxes):
            self.connected.discard(name)
            self.boxes[name].handle(LinkDown("cut"))

    def settle(self, steps: int = 10_000) -> None:
        """Deliver all messages, and those that they lead to."""
        for _ in range(steps):
            self.collect()
            if not self.up and not self.down:
                return
            if self.up:
                self.deliver_up(*self.up.popleft())
            if self.down:
                self.deliver_down(*self.down.popleft())
        raise AssertionError(f"messages did not end within {steps} deliveries")

    def announce(self) -> None:
        """Send the central's `state`: online."""
        self._queue([self.central.exchange.state(self.clock.instant, online=True)])

    def collect(self) -> None:
        """Take from both sides what is due to be sent."""
        for name in sorted(self.connected):
            box = self.boxes[name]
            box.core.idle(box.moment())
            self._send(name, box.core.due(box.moment()))
        self._queue(self.central.exchange.push(self._central_instant()))

    def deliver_up(self, topic: str, payload: bytes) -> None:
        if not self.drop(topic, payload):
            self._queue(self.central.exchange.receive(topic, payload, self._central_instant()))

    def deliver_down(self, topic: str, payload: bytes) -> None:
        for name in sorted(self.connected):
            is_own = f"/t/{name}/changes" in topic or topic.endswith("central/state")
            if is_own and not self.drop(topic, payload):
                message = Arrived(topic=topic, payload=payload, receipt=None)
                effects = self.boxes[name].handle(message)
                assert effects[0] == Acknowledge(None)

    def pass_time(self, milliseconds: int) -> None:
        self.clock.pass_ms(milliseconds)
        self.settle()

    def _central_instant(self) -> str:
        return format_instant(self.clock.now + self.central_ahead)

    def _send(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Publish(topic=topic, payload=payload):
                    self.up.append((topic, payload))
                    self.log.append((topic, payload))
                case DropLink():
                    self.disconnect(name)
                    self.connect(name)
                case Show() | Acknowledge():
                    pass

    def _queue(self, messages: list[Publish]) -> None:
        for message in messages:
            self.watch(message.topic, message.payload)
            self.down.append((message.topic, message.payload))
            self.log.append((message.topic, message.payload))


def down(wire: Wire, payload: bytes, topic: str = "canteen/v1/borgofiorito/t/t-1/changes") -> None:
    """Deliver a payload to a terminal, which must acknowledge it to the broker."""
    assert wire.box.handle(Arrived(topic=topic, payload=payload, receipt=7)) == [Acknowledge(7)]


def last_changes(wire: Wire) -> dict[str, object]:
    payload = [payload for topic, payload in wire.log if topic.endswith("/changes")][-1]
    changes: dict[str, object] = json.loads(payload)
    return changes
