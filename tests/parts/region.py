"""A region: towns on a PostgreSQL server, the processes that serve them, and their terminals.

Every process and its restarts have a role of their own, so an audit in the database shows which
process wrote under which lease.
"""

import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from agent.central.books import accounts, town, towns
from agent.central.books.accounts import Account
from agent.central.books.checks import all_entries
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from agent.central.office.check import check
from agent.central.office.terminals import add_terminal
from agent.domain.canteen import Price
from tests.parts.mqtt_terminal import PRICE_CENTS, MqttTerminal
from tests.parts.postgres import Postgres
from tests.parts.process import CENTRAL, Process, wait_for

SITE = "primaria"
ACKNOWLEDGED_S = 120
"""A terminal may have doubled its retry time some times."""
AT = "2026-01-01T08:00:00.000Z"
OPERATOR = "operator"
_AUDIT = """
CREATE TABLE audit (n BIGSERIAL PRIMARY KEY, town TEXT, what TEXT, who TEXT, leader TEXT);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE leader TEXT;
BEGIN
    EXECUTE format('SELECT leader FROM %I.central', TG_TABLE_SCHEMA) INTO leader;
    INSERT INTO public.audit (town, what, who, leader)
    VALUES (TG_TABLE_SCHEMA, TG_TABLE_NAME, session_user, leader);
    RETURN NULL;
END $$;
"""
_AUDITED = """
CREATE TRIGGER audit AFTER UPDATE OF leader ON {0}.central EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER INSERT ON {0}.entry EXECUTE FUNCTION audit();
"""


class Leader(NamedTuple):
    """A process that serves towns: its role in the database, and the process."""

    role: str
    process: Process

    def serves(self, town: str) -> bool:
        """Return whether its log says that it serves a town now."""
        lines = self.process.output().splitlines()
        own = [line for line in lines if f"Town {town} is" in line or "No town is served" in line]
        return bool(own) and f"Town {town} is served by this process" in own[-1]

    def served(self, names: Sequence[str]) -> list[str]:
        """Return the towns that it serves now."""
        return [name for name in names if self.serves(name)]


class Region:
    """Towns `town-1` and so on. `servers` are all that a URL names; the first is the primary."""

    def __init__(self, folder: Path, servers: Sequence[Postgres], broker: str, count: int) -> None:
        self.folder, self.servers, self._broker = folder, list(servers), broker
        self.towns = [f"town-{number + 1}" for number in range(count)]
        self.terminals: list[MqttTerminal] = []
        self.leaders: list[Leader] = []
        self._started = 0
        with self.connect() as database:
            database.execute(
                "CREATE ROLE operator LOGIN CREATEROLE;"
                " GRANT CREATE ON DATABASE postgres TO operator"
            )
            database.execute(_AUDIT)
        self.office("town", "add", self.towns[0])
        with closing(Server(self.url())) as server, self.connect() as database:
            for number, name in enumerate(self.towns):
                if number:  # a command takes as long as a hundred of these
                    new = towns.add(server, name)
                    town.initialise(new, Town(name, "Europe/Rome"), f"{number:032x}", at=AT)
                schema = sql.Identifier(f"town_{name}")
                database.execute(sql.SQL(_AUDITED).format(schema))

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect to the primary as the superuser."""
        return psycopg.connect(self.url("superuser"), autocommit=True)

    def url(self, role: str = OPERATOR, town: str | None = None) -> str:
        """Return the URL of the server, or of both and of a town."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        query = ["target_session_attrs=read-write"] if len(self.servers) > 1 else []
        query += [f"town={town}"] if town else []
        return f"postgresql://{role}@{hosts}/postgres" + ("?" + "&".join(query) if query else "")

    def office(
        self, *words: str, town: str | None = None, role: str = OPERATOR, code: int = 0
    ) -> str:
        """Run an office command; return what it printed."""
        return self.command(self.url(role, town), *words, code=code)

    def command(self, url: str, *words: str, code: int) -> str:
        """Run a command of the central on a server; return what it printed."""
        done = subprocess.run(
            [str(CENTRAL), "--db", url, *words],
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        printed = f"{done.stdout}{done.stderr}"
        assert done.returncode == code, f"{' '.join(words)} ended with {done.returncode}: {printed}"
        return printed

    def add_terminals(self, port: int, each: int) -> None:
        """Add terminals to each town; each has an account of its own."""
        for name in self.towns:
            with closing(Server(self.url())) as server:
                books = TownBooks(server, name)
                for number in range(1, each + 1):
                    account = f"a-{number}"
                    with books.transaction():
                        accounts.add(books, Account(account, SITE, "pupil", "active", "1A"))
                        price = Price(service="lunch", from_day="2026-01-01", cents=PRICE_CENTS)
                        accounts.set_price(books, account, price)
                    add_terminal(books, f"t-{number}", SITE)
                    terminal = MqttTerminal(port, name, f"t-{number}", account)
                    self.terminals.append(terminal)

    def start(self, *options: str) -> Leader:
        """Start a process for all towns, with a role of its own."""
        self._started += 1
        role = f"host_{self._started}"
        with self.connect() as database:
            database.execute(f"CREATE ROLE {role} LOGIN IN ROLE {OPERATOR}".encode())
        log = self.folder / f"{role}.log"
        command = [str(CENTRAL), "--db", self.url(role), "serve", "--towns", "all", *options]
        leader = Leader(role, Process([*command, "--broker", self._broker], log))
        self.leaders.append(leader)
        return leader

    def kill(self, leader: Leader) -> None:
        """End a process with kill -9."""
        leader.process.kill()
        self.leaders.remove(leader)

    def wait_until_shared(self) -> None:
        """Wait until every town is served, and every process serves its share."""
        share = -(-len(self.towns) // len(self.leaders))

        def is_shared() -> bool:
            served = [leader.served(self.towns) for leader in self.leaders]
            return sum(map(len, served)) == len(self.towns) and max(map(len, served)) <= share

        wait_for(is_shared, f"towns shared by {len(self.leaders)} processes", 60)

    def eat(self, meals: int = 1) -> None:
        """Let every terminal eat, and send what it may send."""
        for terminal in self.terminals:
            terminal.eat(meals)

    def wait_until_acknowledged(self) -> None:
        """Wait until every meal is acknowledged."""
        wait_for(self._all_acknowledged, "acknowledgements", ACKNOWLEDGED_S)

    def newest(self) -> int:
        """Return the number of the audit's newest line."""
        with self.connect() as database:
            return int(str(database.execute("SELECT max(n) FROM audit").fetchall()[0][0]))

    def taken_over_s(self, names: Sequence[str], since: int) -> float:
        """Return how many seconds it takes until towns have a leader that is newer than a line."""
        began_s = time.monotonic()
        query = "SELECT DISTINCT town FROM audit WHERE n > %s AND what = 'central'"
        schemas = {f"town_{name}" for name in names}
        with self.connect() as database:
            wait_for(
                lambda: schemas <= {row[0] for row in database.execute(query, (since,))},
                "new leaders",
                ACKNOWLEDGED_S,
            )
        return time.monotonic() - began_s

    def end_session(self, leader: Leader) -> None:
        """End the session on whose locks a process leads its towns."""
        with self.connect() as database:
            ended = database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
                " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')",
                (leader.role,),
            ).fetchall()
        assert ended == [(True,)]

    def _all_acknowledged(self) -> bool:
        for terminal in self.terminals:
            terminal.retry()
        return not any(terminal.pending for terminal in self.terminals)

    def close(self) -> None:
        """End the terminals and the processes."""
        for leader in self.leaders:
            leader.process.kill()
        for terminal in self.terminals:
            terminal.close()

    def check(self) -> None:
        """Check the books of all towns against what the terminals recorded, and the audit."""
        faults = [fault for terminal in self.terminals for fault in terminal.faults]
        assert not faults, faults
        self.office("check", town=self.towns[0])
        with closing(Server(self.url())) as server:
            for name in self.towns:
                own = [terminal for terminal in self.terminals if terminal.town == name]
                _compare(TownBooks(server, name), own)
        wrong = self.audited()
        assert not wrong, wrong

    def audited(self) -> list[str]:
        """Return the batches that were written by another process than the one with the lease."""
        owners: dict[str, tuple[str, str]] = {}
        wrong = []
        with self.connect() as database:
            rows = database.execute(
                "SELECT town, what, who, leader FROM audit WHERE leader IS NOT NULL ORDER BY n"
            ).fetchall()
        for of, what, who, leader in rows:
            if what == "central":
                owners[str(of)] = (str(who), str(leader))
            elif owners.get(str(of)) != (who, leader):
                wrong.append(f"{who} wrote in {of}, which {owners.get(str(of))} led")
        assert {str(row[0]) for row in rows} == {f"town_{name}" for name in self.towns}
        return wrong


def _compare(books: TownBooks, own: list[MqttTerminal]) -> None:
    """Require that each entry is applied once, and with its cents."""
    assert list(check(books)) == []
    booked = {(entry.key.terminal, entry.hash): entry.status for entry in all_entries(books)}
    for terminal in own:
        for entry in terminal.entries:
            assert booked.pop((terminal.name, entry["hash"]), None) == "applied"
        cents = terminal.credit_cents - PRICE_CENTS * len(terminal.entries)
        assert accounts.balance_cents(books, terminal.account) == cents
    assert booked == {}
