"""What the whole chain costs: UID to light, payment to terminal, taps during replication."""

import contextlib
import itertools
import random
import sqlite3
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agent.central.books.file import FileBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.office.credit import credit
from agent.domain.card import CardId, card_token
from agent.readers.events import CardPresented, Show
from agent.store import writes
from agent.sync.events import Acknowledge, Arrived
from agent.sync.messages import BATCH_ENTRIES_MAX
from agent.terminal.inbox import Inbox
from bench.measure import Row, Series, against
from tests.parts.broker import Mosquitto
from tests.parts.canteen import CARDS, canteen, counter, write_backlog
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import Process, wait_for
from tests.parts.wire import KEY, Wire

LIGHTS = 100
CREDITS = 100
RECORDS = 100_000
BACKLOG = 150_000
ROUNDS = 3
BALANCE = "SELECT body ->> '$.balance' FROM record WHERE kind = 'account' AND id = 'a-1'"
IN_FLIGHT_MAX = 20  # messages that the broker sends before one is acknowledged
# The floor of `light`: one program that waits for a card, commits its UID and sets the light.
BARE = """
import sqlite3, sys
from smartcard import scard as s
sql = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in ("journal_mode = WAL", "synchronous = FULL"):
    sql.execute("PRAGMA " + pragma)
sql.execute("CREATE TABLE row (body TEXT)")
_, c = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
_, (name, *_) = s.SCardListReaders(c, [])
known = s.SCARD_STATE_UNAWARE
print("ready", flush=True)
while True:
    code, states = s.SCardGetStatusChange(c, 1000, [(name, known)])
    if code != 0:
        continue
    came = states[0][1] & s.SCARD_STATE_PRESENT and not known & s.SCARD_STATE_PRESENT
    known = states[0][1] & ~s.SCARD_STATE_CHANGED
    if came:
        protocols = s.SCARD_PROTOCOL_T0 | s.SCARD_PROTOCOL_T1
        code, h, p = s.SCardConnect(c, name, s.SCARD_SHARE_SHARED, protocols)
        pci = s.SCARD_PCI_T1 if p == s.SCARD_PROTOCOL_T1 else s.SCARD_PCI_T0
        code, answer = s.SCardTransmit(h, pci, [0xFF, 0xCA, 0, 0, 0])
        sql.execute("INSERT INTO row VALUES (?)", (bytes(answer).hex() * 20,))
        s.SCardTransmit(h, pci, [0xFF, 0x00, 0x40, 0x2E, 0x04, 0x02, 0x00, 0x01, 0x00])
        s.SCardDisconnect(h, s.SCARD_LEAVE_CARD)
"""


def chain(folder: Path) -> list[Row]:
    """Return all rows about the chain."""
    measures = (light, credit_to_terminal, tap_during_reset, tap_during_backlog)
    for measure in measures:
        (folder / measure.__name__).mkdir()
    return [measure(folder / measure.__name__) for measure in measures]


def light(folder: Path) -> Row:
    """From the UID leaving the card to the light's command at the reader, in a whole agent.

    Floor: the same calls in one bare program.
    """
    uids = [b"\x04" + n.to_bytes(6, "big") for n in range(1, LIGHTS + 1)]
    took, floor = Series(), Series()
    bare_card = VirtualCard()
    with contextlib.ExitStack() as stack:
        reader = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
        card, pcscd, terminal = stack.enter_context(
            counter(folder, [f"a:{uid.hex()}" for uid in uids], reader)
        )
        bare_pcscd = stack.enter_context(Pcscd(folder / "bare", bare_card.port))
        stack.callback(bare_card.take_away)
        command = bare_pcscd.namespace.command(sys.executable, "-c", BARE, folder / "bare.db")
        bare = stack.enter_context(Process(command, folder / "bare.log"))
        wait_for(lambda: "ready" in bare.output(), "the bare program")
        terminal.start(enter=pcscd.namespace.command())
        terminal.wait_until_serving()
        terminal.wait_for_account(f"a-{LIGHTS - 1}")
        for uid in uids:
            for virtual, series in ((card, took), (bare_card, floor)):
                virtual.tap(uid)
                series.us.append(light_us(virtual))
    return against(
        "UID -> light, whole process",
        took,
        "its parts, bare",
        floor,
        "p99 5 ms",
    )


def credit_to_terminal(folder: Path) -> Row:
    """From the central's commit of a payment to the terminal's.

    Floor: one message through the broker, in turn.
    """
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
    ):
        (terminal,) = town.terminals
        terminal.wait_for_account("a-1")
        books = FileBooks(town.central.db)
        seen = sqlite3.connect(f"file:{terminal.db}?mode=ro", uri=True)
        hop = Hop(broker.port)
        took, floor = Series(), Series()
        source = random.Random(1)
        for n in range(CREDITS):
            time.sleep(source.uniform(0.02, 0.07))
            payment = Payment("a-1", 1, PaymentKey("pos", f"r-{n}"))
            credit(books, payment, at="2026-11-23T11:00:00.000Z")
            begun = time.perf_counter_ns()
            while seen.execute(BALANCE).fetchone()[0] != n + 1:
                time.sleep(0.0001)
            took.us.append((time.perf_counter_ns() - begun) / 1_000)
            floor.time(hop.send)
        hop.close()
        seen.close()
        books.close()
    return against(
        "a credit: central -> terminal",
        took,
        "one MQTT hop",
        floor,
        "10 ms",
    )


def tap_during_reset(folder: Path) -> Row:
    """A tap while 100,000 records arrive, from the inbox to its light.

    Floor: the same loop without messages.
    """
    wire = Wire(folder)
    _fill(wire)
    wire.connect()
    wire.settle(20 * RECORDS)
    messages = [message for message in wire.log if message[0].endswith("/changes")]
    wire.box.db.make_headroom()
    quiet, busy = Series(), Series()
    loop = _Loop(wire)
    for _ in range(ROUNDS):
        for _ in range(200):
            quiet.us.append(loop.tap())
            time.sleep(0.01)
        loop.begin_resync()
        over = threading.Event()
        feeder = threading.Thread(target=_feed, args=(loop, messages, over))
        feeder.start()
        while not over.is_set():
            busy.us.append(loop.tap())
            time.sleep(0.01)
        feeder.join()
    loop.close()
    wire.central.books.close()
    most = f"max {max(busy.us) / 1_000:.0f} ms"
    what = f"a tap in a snapshot, {most}"
    return against(what, busy, "quiet", quiet, "p99 3, max 50 ms")


def _fill(wire: Wire) -> None:
    """Give the central half as many accounts as records, and one card each."""
    with wire.central.books.transaction() as sql:
        half = RECORDS // 2
        numbers = range(1, half + 1)
        sql.executemany(
            "INSERT INTO account (id, site, category, status, class, balance, p)"
            " VALUES (?, 'primaria', 'pupil', 'active', '1A', 0, ?)",
            ((f"a-{n}", n) for n in numbers),
        )
        sql.executemany(
            "INSERT INTO price VALUES (?, 'lunch', '2026-01-01', 366)",
            ((f"a-{n}",) for n in numbers),
        )
        sql.executemany(
            "INSERT INTO card VALUES (?, ?, 'active', ?)",
            ((card_token(KEY, _card(n)), f"a-{n}", half + n) for n in numbers),
        )
        sql.execute("UPDATE central SET position = ?", (RECORDS,))


def tap_during_backlog(folder: Path) -> Row:
    """From UID to light in a whole agent that replicates the entries of days without a network.

    Floor: the same agent with nothing pending.
    """
    uids = [b"\x04" + n.to_bytes(6, "big") for n in range(len(CARDS) + 3 * LIGHTS)]
    # The accounts of the backlog have eaten on these days: others tap.
    children = iter(uids[len(CARDS) :])
    quiet, busy = Series(), Series()
    reader = '[[reader]]\nname = "counter"\nprofile = "acs-acr122u"\n'
    with counter(folder, [f"a:{uid.hex()}" for uid in uids], reader) as (card, pcscd, terminal):
        write_backlog(terminal, 1, BACKLOG)
        terminal.start(enter=pcscd.namespace.command())
        terminal.wait_until_serving()
        wait_for(lambda: 0 < terminal.pending() < BACKLOG, "the first batches", 60)
        while terminal.pending() > BATCH_ENTRIES_MAX and len(busy.us) < 2 * LIGHTS:
            card.tap(next(children))
            busy.us.append(light_us(card))
        wait_for(lambda: terminal.pending() == 0, "everything booked", 120)
        for uid in itertools.islice(children, LIGHTS):
            terminal.pending()  # the busy loop pays for this query too
            card.tap(uid)
            quiet.us.append(light_us(card))
    most = f"max {max(busy.us) / 1_000:.0f} ms"
    what = f"UID -> light in a backlog, {most}"
    return against(what, busy, "quiet", quiet, "p99 3, max 50 ms")


def light_us(card: VirtualCard) -> float:
    """Return the time from the last reading of the UID to the last light."""
    return (card.shown_ns[-1] - card.answered_ns[-1]) / 1_000


class Hop:
    """One MQTT message through the broker back to its sender."""

    def __init__(self, port: int) -> None:
        self._came = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = lambda client, userdata, message: self._came.set()
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("hop", 1)
        assert subscribed.wait(10), "no SUBACK"

    def send(self) -> None:
        self._came.clear()
        self._client.publish("hop", b"x" * 300, qos=1)
        assert self._came.wait(10), "no message"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class _Loop:
    """A main loop: a terminal and its inbox on the thread that owns the file."""

    def __init__(self, wire: Wire) -> None:
        self.inbox = Inbox()
        self.acknowledged = 0
        self._shown = threading.Event()
        self._resync = threading.Event()
        self._wire = wire
        self._over = False
        self._taps = 0
        wire.box.db.close()  # a connection belongs to one thread: the loop opens another
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def tap(self) -> float:
        """Return how long a tap took, in µs."""
        self._shown.clear()
        self._taps += 1
        card = _card(self._taps)
        begun = time.perf_counter_ns()
        self.inbox.put(CardPresented(reader="counter", card=card, tap=1))
        assert self._shown.wait(10), "no light"
        return (time.perf_counter_ns() - begun) / 1_000

    def begin_resync(self) -> None:
        self._resync.set()
        wait_for(lambda: not self._resync.is_set(), "the resynchronisation")

    def close(self) -> None:
        self._over = True
        self.inbox.close()
        self._thread.join()

    def _run(self) -> None:
        self._wire.box.start()
        terminal = self._wire.box.core
        while not self._over:
            event = self.inbox.get(100)
            if self._resync.is_set():
                writes.begin_resync(self._wire.box.db, None, None)
                self._resync.clear()
            self._wire.clock.pass_ms(1)
            for effect in terminal.turn(event, self._wire.box.reading()):
                if isinstance(effect, Show):
                    self._shown.set()
                elif isinstance(effect, Acknowledge):
                    self.acknowledged += 1
        self._wire.box.db.close()


def _card(n: int) -> CardId:
    return CardId("em", n.to_bytes(5, "big"))


def _feed(loop: _Loop, messages: list[tuple[str, bytes]], over: threading.Event) -> None:
    """Deliver messages as a broker does, then set `over`."""
    begun = loop.acknowledged
    for sent, (topic, payload) in enumerate(messages):
        while sent - (loop.acknowledged - begun) >= IN_FLIGHT_MAX:
            time.sleep(0.0005)
        loop.inbox.put(Arrived(topic=topic, payload=payload, receipt=None))
    wait_for(lambda: loop.acknowledged - begun == len(messages), "all acknowledged", 120)
    over.set()
