"""What a tap costs: read the facts, decide, commit; as a terminal does it."""

import sys
import threading
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
import sqlite_utils
from paho.mqtt.enums import CallbackAPIVersion

from agent.domain.card import card_token, parse_card_id
from agent.domain.ledger import Place
from agent.readers.events import CardPresented
from agent.terminal.process import SWITCH_INTERVAL_S
from bench.measure import BareInsert, IndexedInsert, Overwrite, Row, Series, against
from tests.parts.broker import Mosquitto
from tests.parts.wire import KEY, Wire

DAY_MS = 24 * 3_600_000
CARDS = 1_000
TAP = "a tap: read, decide, commit"


class Counter:
    """A terminal with `accounts` accounts and `entries` older entries.

    Each account has one card. `CARDS` of the cards tap in turn, once a school day.
    """

    def __init__(self, folder: Path, accounts: int = CARDS, entries: int = 0) -> None:
        folder.mkdir()
        self.wire = Wire(folder)
        self.wire.central.policy()
        self.wire.connect()
        self._cards = [parse_card_id(f"em:01{n:08x}") for n in range(CARDS)]
        self._taps = 0
        db = self.wire.box.db
        start = Place(1, 0).n
        with db.transaction() as sql:
            sql.executemany(
                "INSERT INTO record VALUES ('account', ?, 1, ?, 1, ?, NULL)",
                ((f"a-{n}", start, account_body(n)) for n in range(accounts)),
            )
            tokens = (card_token(KEY, card) for card in self._cards)
            known = ((token, n) for n, token in enumerate(tokens))
            others = ((f"{n:032x}", n) for n in range(CARDS, accounts))
            for rows in (known, others):
                sql.executemany(
                    "INSERT INTO record VALUES ('card', ?, 1, ?, 1, ?, NULL)",
                    ((token, start, card_body(token, n)) for token, n in rows),
                )
            sql.executemany(
                "INSERT INTO entry (n, kind, eater, service, day, meal_number, cents, reverses,"
                " hash, body) VALUES (?, 'meal', ?, 'lunch', ?, 1, -366, NULL, ?, ?)",
                (
                    (Place(1, n + 1).n, f"a-{n % CARDS}", f"{n // CARDS:010d}", bytes(32), BODY)
                    for n in range(entries)
                ),
            )
            sql.execute("UPDATE record SET h = ?", (Place(1, entries).n,))
        db.checkpoint()
        db.make_headroom()

    def tap(self) -> None:
        if self._taps % CARDS == 0:
            self.wire.clock.pass_ms(DAY_MS * (3 if self.wire.clock.now.isoweekday() == 5 else 1))
        card = self._cards[self._taps * 37 % CARDS]
        self._taps += 1
        self.wire.box.handle(CardPresented(reader="counter", card=card, tap=1))


BODY = (
    '{"account":"a-1","assurance":"uid","at":"2026-11-23T11:02:05.331Z",'
    '"boot":"6fcd8b53-1f3c-4ab1-9d5b-000000000000","card":"00000000000000000000000000000000",'
    '"cents":-366,"clock":"synced","day":"2026-11-23","how":"card","kind":"meal",'
    '"mono_ms":12345678,"seq":1,"service":"lunch"}'
)


def tap_beside_its_floors(folder: Path, taps: int) -> list[Row]:
    counter, block = Counter(folder / "tap"), Overwrite(folder / "block")
    bare, indexed = BareInsert(folder / "bare.db"), IndexedInsert(folder / "indexed.db")
    own, insert, with_indexes, write = Series(), Series(), Series(), Series()
    for n in range(taps):
        # The same order of eaters and days as in Counter.tap.
        eater, day = f"a-{n * 37 % CARDS}", f"{date(2026, 1, 1) + timedelta(days=n // CARDS)}"
        own.time(counter.tap)
        insert.time(lambda: bare.insert(BODY))
        with_indexes.time(partial(indexed.insert, eater, day, BODY))
        write.time(block.write)
    counter.wire.box.db.sql.execute("PRAGMA synchronous = OFF")
    python = Series()
    for _ in range(taps):
        python.time(counter.tap)
    return [
        against(TAP, own, "bare insert", insert, "1.25, p99 1.5"),
        against(TAP, own, "bare insert, both indexes", with_indexes, "1.5"),
        against("the same", own, "4 KiB overwrite + fdatasync", write, "1.8, p99 4"),
        Row("a tap without its flush", str(python), goal="150 µs"),
    ]


def tap_in_a_large_file(folder: Path, taps: int) -> list[Row]:
    small = Counter(folder / "small")
    many = Counter(folder / "many", accounts=1_000_000)
    long = Counter(folder / "long", entries=1_000_000)
    at_small, at_many, at_long = Series(), Series(), Series()
    for _ in range(taps):
        at_small.time(small.tap)
        at_many.time(many.tap)
        at_long.time(long.tap)
    return [
        against("a tap with 1,000,000 accounts", at_many, "with 1,000", at_small, "1.10"),
        against("a tap with 1,000,000 entries before it", at_long, "with none", at_small, "1.10"),
    ]


def tap_beside_a_busy_thread(folder: Path, taps: int) -> list[Row]:
    counter = Counter(folder / "busy")
    quiet, busy = Series(), Series()
    before, over = sys.getswitchinterval(), threading.Event()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    for _ in range(taps):
        quiet.time(counter.tap)
    thread = threading.Thread(target=_spin, args=(over,))
    thread.start()
    for _ in range(taps):
        busy.time(counter.tap)
    over.set()
    thread.join()
    sys.setswitchinterval(before)
    return [against("a tap beside a busy Python thread", busy, "quiet", quiet, "4")]


def tap_beside_the_obvious_script(folder: Path, taps: int) -> list[Row]:
    """Compare with the obvious script: it upserts, publishes, and only then answers."""
    counter = Counter(folder / "script")
    own, simple = Series(), Series()
    with Mosquitto(folder / "broker") as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        db = sqlite_utils.Database(folder / "script.db")

        def script() -> None:
            n = len(simple.us)
            db.table("balance").upsert({"card": n % CARDS, "cents": -366 * n}, pk="card")
            db.table("event").upsert({"id": n, "body": BODY}, pk="id")
            client.publish("meals", BODY, qos=1).wait_for_publish(10)

        for _ in range(taps):
            own.time(counter.tap)
            simple.time(script)
        client.disconnect()
        client.loop_stop()
    return [
        against(
            "a simple script: upserts, publish",
            simple,
            "our tap",
            own,
            "at least 3",
        )
    ]


def account_body(n: int) -> str:
    price = '{"cents":366,"from":"2026-01-01","service":"lunch"}'
    return f'{{"balance":1000,"id":"a-{n}","k":"account","p":1,"prices":[{price}]}}'


def card_body(token: str, n: int) -> str:
    return f'{{"account":"a-{n}","id":"{token}","k":"card","p":1}}'


def _spin(over: threading.Event) -> None:
    n = 0
    while not over.is_set():
        n += 1
