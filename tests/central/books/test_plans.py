"""Query plans of each engine: what a message needs is found by an index, whatever the years.

PostgreSQL is asked for its generic plan, which it uses for a query that comes again and again.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType

import pytest

from agent.central.books import (
    accounts,
    boots,
    cards,
    chains,
    entries,
    facts,
    meals,
    postings,
    records,
    terminals,
    town,
    towns,
)
from agent.central.books.accounts import Account
from agent.central.books.cards import Card
from agent.central.books.entries import BookedEntry
from agent.central.books.file import FileBooks
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.postings import Posting
from agent.central.books.query import POSTGRESQL, SQLITE, Query
from agent.central.books.town import Town
from agent.domain.card import Token
from agent.domain.ledger import EntryKey
from tests.central.conftest import AT, GENERATION
from tests.parts.postgres import Postgres

ENTRIES = 60_000
TERMINALS = 20
ACCOUNTS = 20_000
MODULES = (accounts, boots, cards, chains, entries, facts, postings, records, terminals)
# What reads much by its nature: for the office, or for a boot whose clock was wrong.
READS_MUCH = {
    "accounts._BALANCES": "all balances, for the office",
    "accounts._COUNT": "for people",
    "accounts._IDS": "a change for every account",
    "accounts._OF_TOWN": "a roster",
    "cards._ACTIVE": "a roster",
    "cards._EVERY": "the search for a card number",
    "cards._UNKNOWN": "the search for a card number",
    "chains._BOOKED": "one row for each epoch",
    "entries._COUNT": "for people",
    "entries._NOT_SENT": "a terminal that begins without a ledger",
    "entries._WAITING_ACCOUNTS": "reads the few entries that wait, by their index",
    "entries._WAITING_CARDS": "reads the few entries that wait, by their index",
    "facts._OF_BOOT": "a boot whose clock was wrong, once",
    "facts._LATER": "a boot whose clock was wrong, once",
    "postings._BY_HAND": "for the office",
    "postings._OF_CHANNEL": "for the office",
    "postings._OF_PREFIX": "for the office",
    "postings._TAKINGS": "for the office",
}
_LARGE = "account|card|entry|posting|m|s|p"
_SCAN = re.compile(rf"Seq Scan on ({_LARGE})\b|SCAN ({_LARGE})\b")
_ALL_OF_A_TERMINAL = re.compile(r"SEARCH (entry|m|s) .*\(terminal=\?\)")


def queries() -> Iterator[tuple[str, Query]]:
    """Yield every query of the modules whose cost each message pays."""
    for module in MODULES:
        for name, constant in vars(module).items():
            if isinstance(constant, Query) and _is_own(module, name):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", constant


def _is_own(module: ModuleType, name: str) -> bool:
    return name.startswith("_") and module.__name__.startswith("agent.")


HOT = [(name, query) for name, query in queries() if name not in READS_MUCH]
IDS = [name for name, _ in HOT]


def test_what_reads_much_is_a_query() -> None:
    assert set(READS_MUCH) <= {name for name, _ in queries()}
    assert {"facts._BY_KEY", "records._ACCOUNTS", "entries._STORNOS"} <= set(IDS)


@pytest.mark.parametrize(("name", "query"), HOT, ids=IDS)
def test_sqlite_reads_no_whole_table(books: FileBooks, name: str, query: Query) -> None:
    statement, bind = query.on(SQLITE)
    places = statement.count("?")
    rows = books.sql.execute(f"EXPLAIN QUERY PLAN {statement}", ("1",) * places)
    plan = [str(row[3]) for row in rows]
    assert bind is not None
    assert [step for step in plan if _SCAN.match(step) or _ALL_OF_A_TERMINAL.match(step)] == []


@pytest.fixture(scope="module")
def large(postgres: Postgres) -> Iterator[TownBooks]:
    """A town with years of meals, whose tables the server has looked at."""
    with closing(Server(postgres.address)) as server:
        books = towns.add(server, "grande")
        town.initialise(books, Town("grande", "Europe/Rome"), GENERATION, at=AT)
        with books.transaction():
            names = [f"a-{n}" for n in range(ACCOUNTS)]
            accounts.add_all(books, [Account(n, f"s-{len(n)}", "pupil", "active") for n in names])
            cards.add_all(
                books, [Card(Token(f"{n:032x}"), names[n], "active") for n in range(ACCOUNTS)]
            )
            entries.add_all(books, (_entry(n) for n in range(ENTRIES)))
            postings.add_all(
                books,
                (
                    Posting(_account(n), -366, "meal", AT, "", None, _entry(n).key)
                    for n in range(ENTRIES)
                ),
            )
        server.sql.execute("ANALYZE")
        server.sql.execute("SET plan_cache_mode = force_generic_plan")
        yield books
        towns.remove(server, "grande")


def _account(n: int) -> str:
    return f"a-{n % ACCOUNTS}"


def _entry(n: int) -> BookedEntry:
    terminal, seq = f"t-{n % TERMINALS}", n // TERMINALS + 1
    day = f"2026-{n % 9 + 1:02}-{n % 28 + 1:02}"
    key = EntryKey(terminal, "1-a", seq, f"{n:064x}")
    return BookedEntry(
        *(*key, f"{n - TERMINALS:064x}", "meal", AT, f"b-{n % 400}", n, "synced", "lunch", None),
        *(AT, day, _account(n), -366, None, None, None, "applied", "", "{}", 1),
    )


@pytest.mark.parametrize(("name", "query"), HOT, ids=IDS)
def test_postgresql_reads_no_whole_table(large: TownBooks, name: str, query: Query) -> None:
    statement, _ = query.on(POSTGRESQL)
    places = statement.count("%s")
    for n in range(places):
        statement = statement.replace("%s", f"${n + 1}", 1)
    sql = large.server.sql
    large.server.use(large.town)
    with sql.transaction(force_rollback=True):
        sql.execute(f"PREPARE hot AS {statement.replace('%%', '%')}")
        values = ", ".join(["'1'"] * places)
        rows = sql.execute(f"EXPLAIN EXECUTE hot{f'({values})' if places else ''}")
        plan = [str(row[0]) for row in rows]
    sql.execute("DEALLOCATE hot")
    assert [step for step in plan if _SCAN.search(step)] == []


def test_meals_that_wait_for_a_price_have_an_index(large: TownBooks, books: FileBooks) -> None:
    statement, _ = meals._WITHOUT_PRICE.on(SQLITE)
    plan = [str(row[3]) for row in books.sql.execute(f"EXPLAIN QUERY PLAN {statement}", ("a",))]
    assert any("entry_without_price" in step for step in plan)
