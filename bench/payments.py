"""What a payment costs: a receipt over HTTP to a terminal, receipts a second, a large flow."""

import io
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import iterparse

from agent.central.books import accounts, town, towns
from agent.central.books.accounts import Account
from agent.central.books.database import Books
from agent.central.books.file import FileBooks
from agent.central.books.postgres import Server
from agent.central.books.references import Reference, Share
from agent.central.books.town import Town
from agent.central.payments.doors import receive_soap
from agent.central.payments.giving_out import give_out_notice
from agent.central.payments.settling import take_flow
from bench.chain import Hop
from bench.measure import Row, Series, against
from tests.parts.bank import Bank, post
from tests.parts.broker import Mosquitto
from tests.parts.canteen import canteen
from tests.parts.pay_site import pay_site
from tests.parts.payment_messages import CREDITOR, WHOSE, Receipt, Transfer, soap_receipt
from tests.parts.postgres import Postgres
from tests.parts.settlement_messages import FlowMessage, flow_message
from tests.parts.settlement_messages import Row as FlowRow
from tests.parts.wire import ZONE, Central, Clock

RECEIPTS = 100
TAKEN_IN = 500
FLOW_ROWS = 100_000
ROUNDS = 3
AT = "2026-11-23T11:00:00.000Z"
BALANCE = "SELECT body ->> '$.balance' FROM record WHERE kind = 'account' AND id = 'a-1'"
CENT = (Transfer("0.01"),)


def payments(folder: Path) -> list[Row]:
    """Return all rows about payments."""
    for measure in (receipt_to_terminal, receipts_a_second, receipts_on_a_server, large_flow):
        (folder / measure.__name__).mkdir()
    return [
        receipt_to_terminal(folder / "receipt_to_terminal"),
        receipts_a_second(folder / "receipts_a_second"),
        receipts_on_a_server(folder / "receipts_on_a_server"),
        large_flow(folder / "large_flow"),
    ]


def receipt_to_terminal(folder: Path) -> Row:
    """From a receipt's first byte at the web server to the terminal's commit.

    Floor: a bare insert of the message with the same guarantee, and one hop, in turn.
    """
    source = random.Random(1)
    with (
        Mosquitto(folder / "broker") as broker,
        canteen(folder, central_url=broker.url, terminal_url=broker.url, terminals=1) as town,
        Bank() as bank,
        pay_site(town.central.db, bank) as site,
    ):
        seen = sqlite3.connect(f"file:{town.terminals[0].db}?mode=ro", uri=True)
        books, bare, hop = FileBooks(town.central.db), _Bare(folder / "bare.db"), Hop(broker.port)
        notices = [_notice(books, n) for n in range(RECEIPTS)]
        took, floor = Series(), Series()
        for n, notice in enumerate(notices):
            data = soap_receipt(Receipt(notice.id, f"r-{n}", "0.01", CENT))
            time.sleep(source.uniform(0.02, 0.07))
            begun = time.perf_counter_ns()
            post(f"{site.url}/pagopa", data)
            while seen.execute(BALANCE).fetchone()[0] != n + 1:
                time.sleep(0.0001)
            took.us.append((time.perf_counter_ns() - begun) / 1_000)
            floor.time(partial(_floor, bare, hop, data))
        hop.close()
        seen.close()
        books.close()
    return against(
        "a receipt: HTTP -> terminal", took, "a bare commit and one MQTT hop", floor, "30 ms"
    )


def receipts_a_second(folder: Path) -> Row:
    """A receipt from its bytes to its commit, one after another. Floor: a bare insert, in turn."""
    central = Central(folder, Clock())
    central.add_account("a-1")
    bare = _Bare(folder / "bare.db")
    row = _taken_in("a receipt taken in", central.books, bare.insert, "5 ms")
    central.books.close()
    return row


def receipts_on_a_server(folder: Path) -> Row:
    """The same on PostgreSQL. Floor: a bare insert there, in turn."""
    with (
        Postgres() as server,
        closing(Server(server.address)) as connection,
        closing(server.connect()) as bare,
    ):
        books = towns.add(connection, "bench")
        town.initialise(books, Town("bench", ZONE.key), "0" * 32, at=AT)
        with books.transaction():
            accounts.add(books, Account("a-1", "scuola", "pupil", "active"))
        bare.execute("CREATE TABLE bare (n BIGSERIAL PRIMARY KEY, body BYTEA NOT NULL)")
        insert = partial(bare.execute, "INSERT INTO bare (body) VALUES (%s)")
        return _taken_in(
            "a receipt, PostgreSQL", books, lambda body: insert((body,)), "500 a second"
        )


def _taken_in(what: str, books: Books, bare: Callable[[bytes], object], goal: str) -> Row:
    took, floor = Series(), Series()
    notices = [_notice(books, n) for n in range(TAKEN_IN)]
    for n, notice in enumerate(notices):
        data = soap_receipt(Receipt(notice.id, f"r-{n}", "0.01", CENT))
        took.time(partial(receive_soap, books, data, WHOSE, AT))
        floor.time(partial(bare, data))
    assert accounts.balance_cents(books, "a-1") == TAKEN_IN
    row = against(what, took, "its bare insert", floor, goal)
    return Row(
        row.what,
        f"{row.value}, {1_000_000 / took.median:.0f} a second",
        row.floor,
        row.ratio,
        row.p99_ratio,
        row.goal,
    )


def large_flow(folder: Path) -> Row:
    """A settlement flow of 100,000 payments, read and stored. Floor: its XML parsed, in turn."""
    central = Central(folder, Clock())
    took, floor = Series(), Series()
    for n in range(ROUNDS):
        rows = tuple(FlowRow(f"iuv-{n}-{row}", f"r-{row}", "1.00") for row in range(FLOW_ROWS))
        data = flow_message(FlowMessage(rows, f"flow-{n}"))
        took.time(partial(take_flow, central.books, data, CREDITOR, AT))
        floor.time(partial(_parse, data))
    central.books.close()
    return against("a flow of 100,000 payments", took, "its XML parsed", floor, "3")


def _notice(books: Books, n: int) -> Reference:
    return give_out_notice(books, "47", [Share("a-1", 1)], lambda _: n, AT)


class _Bare:
    """A table of messages, committed with the guarantee of the books."""

    def __init__(self, path: Path) -> None:
        self._sql = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = DELETE", "synchronous = EXTRA"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._sql.execute("CREATE TABLE message (n INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def insert(self, data: bytes) -> None:
        self._sql.execute("INSERT INTO message (body) VALUES (?)", (data,))


def _floor(bare: _Bare, hop: Hop, data: bytes) -> None:
    bare.insert(data)
    hop.send()


def _parse(data: bytes) -> None:
    for _ in iterparse(io.BytesIO(data)):
        pass
