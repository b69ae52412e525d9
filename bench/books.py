"""What the central's books cost on each engine: a batch, a hello with nothing new, a digest."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from msgspec import Raw
from sqlalchemy import select, update

from agent.central.booking import Sender, book_batch
from agent.central.books import accounts, chains, entries, records, tables, terminals, town, towns
from agent.central.books.accounts import Account
from agent.central.books.database import Books
from agent.central.books.entries import BookedEntry
from agent.central.books.file import FileBooks
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.postings import Payment, PaymentKey
from agent.central.books.query import Query, value
from agent.central.books.records import Interval
from agent.central.books.town import Town
from agent.central.office.credit import credit
from agent.central.server import Exchange
from agent.central.site_digest import SiteDigests
from agent.domain.clock import ClockTrust, format_instant
from agent.domain.digest import Tally, tally
from agent.domain.ledger import ChainEnd, Entry, How, Kind, canonical, genesis, seal
from agent.sync.messages import Entries, Hello, encode
from agent.sync.topics import Leaf
from bench.chain import Hop
from bench.measure import Row, Series, against
from tests.parts.broker import Mosquitto
from tests.parts.postgres import Postgres
from tests.parts.process import Process, wait_for
from tests.parts.region import Region
from tests.parts.wire import TOWN, ZONE

ACCOUNTS = 1_000
BATCHES = 300
BATCH = 100
KEPT = 200_000
HELLOS = 200
DIGESTS = 30
TOWNS = 125
CREDITS = 100
CENTRAL = Path(sys.executable).with_name("canteen-central")
TERMINAL, OLD, SITE = "t-1", "t-2", "scuola"
EPOCH = "1-aaaaaaaaaaaaaaaa"
BEGIN = datetime(2026, 9, 1, 10, tzinfo=UTC)
AT = "2026-11-28T11:00:00.000Z"

_ACCOUNT = tables.account.c
_MOVE = Query(
    update(tables.account)
    .values(balance=_ACCOUNT.balance + value("cents"), p=value("new_p"))
    .where(_ACCOUNT.id == value("of"))
)
_ONE = Query(select(_ACCOUNT.balance).where(_ACCOUNT.id == value("of")))


def books(folder: Path) -> list[Row]:
    """Return all rows about the books."""
    rows: list[Row] = []
    with closing(_made(FileBooks(folder / "books.db", create=True))) as own:
        with closing(_made(FileBooks(folder / "floor.db", create=True))) as floor:
            rows.append(batch("SQLite", own, floor, "1.67"))
        rows += [hello("SQLite", own), digest(own)]
    with Postgres() as server, _towns(server.address) as (own_town, floor_town):
        rows.append(batch("PostgreSQL", own_town, floor_town, "2"))
        rows.append(hello("PostgreSQL", own_town))
    return [*rows, many_towns(folder), credit_to_a_terminal(folder)]


def many_towns(folder: Path) -> Row:
    """The memory of a process that leads 125 towns, each connected to the broker."""
    log = folder / "serve.log"
    with Postgres() as server, Mosquitto(folder / "broker") as broker:
        with closing(Server(server.address)) as connection:
            for n in range(TOWNS):
                own = towns.add(connection, f"town-{n}")
                town.initialise(own, Town(f"town-{n}", ZONE.key), "0" * 32, at=AT)
        words = ["--db", server.address, "serve", "--towns", "all", "--broker", broker.url]
        with Process([CENTRAL, *words], log) as process:
            wait_for(lambda: log.read_text().count("Connected") >= TOWNS, "all links", 120)
            status = Path(f"/proc/{process.pid}/status").read_text()
            (kib,) = (int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)
            process.stop()
    return Row(f"memory of a process with {TOWNS} towns", f"{kib // 1024} MiB", goal="200 MiB")


def credit_to_a_terminal(folder: Path) -> Row:
    """From a credit's commit on PostgreSQL to a terminal of the far end. Floor: a hop, in turn."""
    took, floor = Series(), Series()
    (folder / "region").mkdir()
    with (
        Postgres() as server,
        Mosquitto(folder / "credits") as broker,
        closing(Region(folder / "region", [server], broker.url, 1)) as region,
        closing(Server(region.url())) as connection,
        closing(Hop(broker.port)) as hop,
    ):
        region.add_terminals(broker.port, 1)
        region.start()
        (terminal,) = region.terminals
        region.office("credit", terminal.account, "0.01", "--id", "first", town=terminal.town)
        terminal.wait_for_balance(1)
        own = TownBooks(connection, terminal.town)
        for n in range(CREDITS):
            payment = Payment(terminal.account, 1, PaymentKey("desk", f"credit-{n}"))
            credit(own, payment, at=AT)
            took.time(partial(terminal.wait_for_balance, n + 2))
            floor.time(hop.send)
        terminal.credit_cents += CREDITS + 1
    return against("a credit, PostgreSQL -> terminal", took, "one MQTT hop", floor, "10 ms")


def batch(engine: str, own: Books, floor: Books, goal: str) -> Row:
    """A batch of meals, booked and committed. Floor: the same rows by the driver alone, in turn."""
    sender = Sender(TOWN, TERMINAL, SITE)
    took, bare = Series(), Series()
    for n, message in enumerate(_batches()):
        took.time(partial(_book, own, sender, message))
        bare.time(partial(_bare, floor, _rows_of(own, n)))
    return against(f"a batch of {BATCH} meals, {engine}", took, "its rows", bare, goal)


def hello(engine: str, own: Books) -> Row:
    """A hello with nothing new, 200,000 entries booked. Floor: one indexed read, in turn."""
    _fill(own)
    exchange = Exchange(own, new_generation=lambda: "f" * 32)
    topic = exchange.topics.of(OLD, Leaf.HELLO)
    standing = town.standing(own)
    end = chains.find(own, OLD, EPOCH)
    assert end is not None
    message = Hello(
        epoch=EPOCH,
        oldest=1,
        last=end.seq,
        acked=end.seq,
        head=end.hash,
        acked_head=end.hash,
        generation=standing.generation,
        position=standing.position,
        software="0.1.0",
        schema=1,
        clock=ClockTrust.SYNCED,
        at=AT,
        boot="b",
        mono_ms=1,
    )
    payload = encode(message)
    took, bare = Series(), Series()
    exchange.receive(topic, payload, AT)
    for n in range(HELLOS):
        took.time(partial(exchange.receive, topic, payload, AT))
        bare.time(partial(own.first, _ONE, of=f"a-{n}"))
    return against(f"a hello with nothing new, {engine}", took, "one indexed read", bare, "2 ms")


def digest(own: Books) -> Row:
    """A site's digest after one credit, kept up. Floor: computed from all records, in turn."""
    digests = SiteDigests()
    digests.of(own, SITE, town.standing(own))
    took, whole = Series(), Series()
    for n in range(DIGESTS):
        with own.transaction():
            accounts.move_balances(own, {f"a-{n}": 1})
        standing = town.standing(own)
        took.time(partial(digests.of, own, SITE, standing))
        whole.time(partial(_computed, own))
    return against("a digest, kept up", took, "computed again", whole, "0.1")


def _computed(own: Books) -> Tally:
    every = records.find(own, Interval(SITE, 0))
    return tally(((record.kind, record.body) for record in every), Tally())


def _made(own: Books) -> Books:
    town.initialise(own, Town(TOWN, ZONE.key), "0" * 32, at=AT)
    with own.transaction():
        for name in (TERMINAL, OLD):
            terminals.add(own, name, SITE)
            genesis_hash = genesis(TOWN, name, EPOCH)
            chains.begin(own, name, ChainEnd(epoch=EPOCH, seq=0, hash=genesis_hash))
        accounts.add_all(own, [_account(n) for n in range(ACCOUNTS)])
    return own


@contextmanager
def _towns(address: str) -> Iterator[tuple[Books, Books]]:
    with closing(Server(address)) as first, closing(Server(address)) as second:
        yield _made(towns.add(first, "bench")), _made(towns.add(second, "floor"))


def _account(n: int) -> Account:
    return Account(f"a-{n}", SITE, "pupil", "active", "1A")


def _batches() -> Iterator[Entries]:
    previous = first = genesis(TOWN, TERMINAL, EPOCH)
    for n in range(BATCHES):
        sealed: list[Raw] = []
        for seq in range(n * BATCH + 1, (n + 1) * BATCH + 1):
            entry, _ = seal(_meal(seq), seq=seq, previous=previous)
            sealed.append(Raw(canonical(entry)))
            previous = entry.hash
        yield Entries(epoch=EPOCH, prev=first, entries=sealed)
        first = previous


def _meal(seq: int) -> Entry:
    time = BEGIN + timedelta(days=seq // ACCOUNTS, seconds=seq % ACCOUNTS)
    return Entry(
        kind=Kind.MEAL,
        cents=-366,
        at=format_instant(time),
        clock=ClockTrust.SYNCED,
        boot="b",
        mono_ms=int((time - BEGIN).total_seconds() * 1_000),
        how=How.CARD,
        account=f"a-{seq % ACCOUNTS}",
        service="lunch",
        day=time.date().isoformat(),
    )


def _book(own: Books, sender: Sender, message: Entries) -> None:
    with own.transaction():
        assert book_batch(own, sender, message, at=AT, zone=ZONE)


def _rows_of(own: Books, n: int) -> list[BookedEntry]:
    span = entries.Span(TERMINAL, EPOCH, n * BATCH + 1, (n + 1) * BATCH)
    return [BookedEntry(*row) for row in own.all(_SPAN, **span._asdict())]


_ENTRY = tables.entry.c
_SPAN = Query(
    select(tables.entry).where(
        _ENTRY.terminal == value("terminal"),
        _ENTRY.epoch == value("epoch"),
        _ENTRY.seq.between(value("first"), value("last")),
    )
)
_POSTING = ("account", "cents", "kind", "at", "terminal", "epoch", "seq", "hash", "reason")


def _bare(floor: Books, rows: list[BookedEntry]) -> None:
    """Write what a batch writes: entries, postings and balances."""
    with floor.transaction():
        floor.add_all(tables.entry, tuple(_ENTRY.keys()), rows)
        floor.add_all(
            tables.posting, _POSTING, [(r.account, r.cents, "meal", AT, *r.key, "") for r in rows]
        )
        floor.run_all(_MOVE, [{"of": r.account, "cents": r.cents, "new_p": r.seq} for r in rows])


def _fill(own: Books) -> None:
    """Book many entries of another terminal, and move its chain to their end."""
    with own.transaction():
        entries.add_all(own, (_old(seq) for seq in range(1, KEPT + 1)))
        end = ChainEnd(epoch=EPOCH, seq=KEPT, hash=f"{KEPT:064x}")
        chains.set_end(own, OLD, end, oldest=1)
        if isinstance(own, TownBooks):
            own.server.sql.execute("ANALYZE")  # as autovacuum does, a minute later


def _old(seq: int) -> BookedEntry:
    meal = _meal(seq)
    _, body = seal(meal, seq=seq, previous=f"{seq - 1:064x}")
    return BookedEntry(
        *(OLD, EPOCH, seq, f"{seq:064x}", f"{seq - 1:064x}", "meal", meal.at, "b"),
        *(meal.mono_ms, "synced", "lunch", None, meal.at, meal.day, meal.account, -366),
        *(None, None, None, "applied", "", body.decode(), 1),
    )
