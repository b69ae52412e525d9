"""Terminals and central joined in memory: real stores, real sessions, real `decide`, no broker, no clock, no threads.

Messages lie on the wire until they are delivered, so that a test can lose, double, delay and reorder them.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.central.books import accounts, town
from agent.central.books.accounts import Account
from agent.central.books.file import Books
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
from agent.readers.events import CardPresented, CardUnreadable, Show, Signal
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.recovery import LedgerFile
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkUp, Publish
from agent.terminal.control import Request
from agent.terminal.core import Setup
from agent.terminal.core import Terminal as Core
from agent.terminal.events import Effect, Event
from agent.terminal.export import write_export

TOWN = "borgofiorito"
SITE = "primaria"
ZONE = ZoneInfo("Europe/Rome")
KEY = bytes(range(32))
NOON = datetime(2026, 11, 23, 11, 5, tzinfo=UTC)  # five past twelve in the town
TODAY = "2026-11-23"


@dataclass(slots=True)
class Clock:
    """The world's time, moved by hand."""

    now: datetime = NOON
    mono_ms: int = 10_000_000

    def pass_ms(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)
        self.mono_ms += milliseconds

    @property
    def instant(self) -> str:
        return format_instant(self.now)


class Central:
    """The reference central on a real file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.path = folder / "central.db"
        self._generations = 0
        self.books = Books(self.path, create=True)
        town.initialise(self.books, Town(TOWN, ZONE.key), self._generation(), at=clock.instant)
        self.exchange = Exchange(self.books, new_generation=self._generation)
        set_service(
            self.books,
            SITE,
            ServiceRecord(id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15"),
        )

    def restart(self) -> None:
        self.books.close()
        self.books = Books(self.path)
        self.exchange = Exchange(self.books, new_generation=self._generation)

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

    def policy(
        self,
        *,
        from_day: str = "2026-09-01",
        shortage: Shortage = Shortage.SERVE,
        floor: int = 0,
        unknown_card: UnknownCard = UnknownCard.SERVE,
        serve_all_until: str | None = None,
        double_meal: str = "give_back",
        keep_days: int = 60,
    ) -> None:
        policy = PolicyRecord(
            from_day=from_day, p=0, shortage=shortage, floor=floor, unknown_card=unknown_card, serve_all_until=serve_all_until,
            keep_days=keep_days,
        )  # fmt: skip
        set_policy(self.books, policy, double_meal, at=self.clock.instant)

    def balance(self, account: str) -> int:
        return int(
            self.books.sql.execute(
                "SELECT balance FROM account WHERE id = ?", (account,)
            ).fetchone()[0]
        )

    def one(self, sql: str, *values: object) -> object:
        return self.books.sql.execute(sql, values).fetchone()[0]

    def _generation(self) -> str:
        self._generations += 1
        return f"{self._generations:032x}"


@dataclass
class Box:
    """One terminal: its file, its core, its clock's state, and what its reader showed."""

    name: str
    path: Path
    clock: Clock
    boot: str = "boot-1"
    synced: bool = True
    wall_offset: timedelta = timedelta()
    lights: list[Signal] = field(default_factory=list)
    epochs: int = 0
    checks_file: bool = False  # look for damage at the start, as the program does
    db: Database = field(init=False)
    core: Core = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the process: it knows only what is on the disk."""
        self.core = Core(self.setup(), self.reading())

    def setup(self) -> Setup:
        return Setup(
            town=TOWN,
            terminal=self.name,
            zone=ZONE,
            card_key=KEY,
            readers=("counter",),
            software="test",
            spread=lambda: 0.0,
            epoch_bits=self._bits,
            open_ledger=self._open_ledger,
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
            self.db = Database(self.path)
            epoch = f"1-{self._bits()}"
            writes.initialise(self.db, town=TOWN, terminal=self.name, epoch=epoch)
        return self.db

    def restart(self) -> None:
        self.db.close()
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
        request = Request(do, arguments)
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
    """The link between them: messages in order, delivered one at a time. `drop` and `double` see each one first."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.clock = Clock()
        self.central = Central(folder, self.clock)
        self.boxes: dict[str, Box] = {}
        self.up: deque[tuple[str, bytes]] = deque()
        self.down: deque[tuple[str, bytes]] = deque()
        self.log: list[tuple[str, bytes]] = []
        self.drop: Callable[[str, bytes], bool] = lambda topic, payload: False
        self.watch: Callable[[str, bytes], None] = lambda topic, payload: (
            None
        )  # sees every answer as it is made
        self.connected: set[str] = set()
        for name in names or ("t-1",):
            add_terminal(self.central.books, name, SITE)
            self.boxes[name] = Box(name, folder / f"{name}.db", self.clock)

    def close(self) -> None:
        """Close every database: from Python 3.13 on, one that is left open is a warning."""
        for box in self.boxes.values():
            box.db.close()
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
        """Deliver everything, and what it brings about, until the wire is silent."""
        for _ in range(steps):
            self.collect()
            if not self.up and not self.down:
                return
            if self.up:
                self.deliver_up(*self.up.popleft())
            if self.down:
                self.deliver_down(*self.down.popleft())
        raise AssertionError("the wire does not come to rest")

    def announce(self) -> None:
        """Let the central say that it is there."""
        self._queue([self.central.exchange.state(self.clock.instant, online=True)])

    def collect(self) -> None:
        """Put on the wire what is due."""
        for name in sorted(self.connected):
            box = self.boxes[name]
            box.core.idle(box.moment())
            self._send(name, box.core.due(box.moment()))
        self._queue(self.central.exchange.push(self.clock.instant))

    def deliver_up(self, topic: str, payload: bytes) -> None:
        if not self.drop(topic, payload):
            self._queue(self.central.exchange.receive(topic, payload, self.clock.instant))

    def deliver_down(self, topic: str, payload: bytes) -> None:
        for name in sorted(self.connected):
            mine = f"/t/{name}/changes" in topic or topic.endswith("central/state")
            if mine and not self.drop(topic, payload):
                effects = self.boxes[name].handle(
                    Arrived(topic=topic, payload=payload, receipt=None)
                )
                assert effects[0] == Acknowledge(None)

    def pass_time(self, milliseconds: int) -> None:
        self.clock.pass_ms(milliseconds)
        self.settle()

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
    """Deliver anything from above; whatever it is, it is acknowledged to the broker."""
    assert wire.box.handle(Arrived(topic=topic, payload=payload, receipt=7)) == [Acknowledge(7)]


def last_changes(wire: Wire) -> dict[str, object]:
    payload = [payload for topic, payload in wire.log if topic.endswith("/changes")][-1]
    changes: dict[str, object] = json.loads(payload)
    return changes
