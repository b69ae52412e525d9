"""The central of a simulated town on a real PostgreSQL server, which is killed now and then.

Steps, model and invariants are those of `make sim`. The seed also decides where the central's
connection is cut, and where the server is killed or stopped at once: before any statement, or
after a COMMIT whose answer is lost. While the town rests nothing of this happens.
"""

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from agent.central.books import town, towns
from agent.central.books.postgres import Server, TownBooks
from agent.central.books.town import Town
from agent.errors import CentralError
from tests.parts.postgres import Postgres
from tests.parts.wire import TOWN, ZONE
from tests.simulation import script
from tests.simulation.files import BooksInMemory
from tests.simulation.kill import Killed, KillSwitch
from tests.simulation.parts import CENTRAL, Central, Environment, Image, Process
from tests.simulation.script import Step
from tests.simulation.simulation import Simulation

CUT_EVERY = 120
"""Statements of the central between two cuts of its connection, on average."""
LOST_EVERY = 40
"""Commits of the central between two whose answer is lost, on average."""
CRASH_EVERY = 2_500
"""Statements of the central between two ends of the server, on average."""
CRASH_EVERY_STEPS = 300
"""Steps of a run between two ends of the server, on average."""
WRITES = ("INSERT", "UPDATE", "DELETE", "COPY")
CALM = {"rest", "damage_at_rest", "silence_at_lunch", "answers_lost"}
"""Words that rest: they check what holds while nothing fails."""
FULL = (
    "DO $$ BEGIN RAISE disk_full"
    " USING MESSAGE = 'could not extend file: No space left on device'; END $$"
)
_names = count(1)


class Faults:
    """What happens to the server and to the central's connection, by the seed's own randomness.

    `cuts`, `lost`, `crashes`, `kills` and `refused` count what happened: connections cut, answers
    to COMMIT lost, ends of the server, kills of a process, writes refused on a full disk.
    `crashed` is called when the server is back.
    """

    def __init__(self, server: Postgres, seed: int) -> None:
        self.server = server
        self.random = random.Random(f"postgres {seed}")
        self.calm = True
        self.crashed: Callable[[], object] = lambda: None
        self.cuts = self.lost = self.crashes = self.kills = self.refused = 0

    def due(self, every: int) -> bool:
        """Return whether something happens that happens so seldom."""
        return not self.calm and self.random.randrange(every) == 0

    def cut(self, sql: "psycopg.Connection[Any]") -> None:
        """End a connection at the server, and wait until its transaction is undone."""
        self.cuts += 1
        with self.server.connect() as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (sql.info.backend_pid,))

    def crash(self) -> None:
        """End the server with all its processes, and start it again."""
        self.crashes += 1
        if self.random.randrange(2):
            self.server.kill()
        else:
            self.server.stop(signal.SIGQUIT)
        self.server.start()
        self.crashed()


class Watch:
    """Sees each statement of a connection. `changes` counts rows written.

    A `switch` kills the process between two statements. The central's connection is also cut.
    """

    def __init__(self, faults: Faults, *, is_central: bool) -> None:
        self.faults, self.is_central = faults, is_central
        self.switch: KillSwitch | None = None
        self.full = False
        self.changes = 0

    def before(self, cursor: "psycopg.Cursor[Any]", statement: str) -> None:
        if self.switch is not None:
            try:
                self.switch.count()
            except Killed:
                self.switch = None  # the code that is unwound can roll back
                self.faults.kills += 1
                raise
        if self.is_central and self.faults.due(CUT_EVERY):
            self.faults.cut(cursor.connection)
        if self.is_central and self.faults.due(CRASH_EVERY):
            self.faults.crash()
        if self.full and statement.startswith(WRITES):
            self.faults.refused += 1
            psycopg.Cursor.execute(cursor, FULL)

    def after(self, cursor: "psycopg.Cursor[Any]", statement: str) -> None:
        if statement.startswith(WRITES):
            self.changes += max(0, cursor.rowcount)
        if statement == "COMMIT" and self.is_central and self.faults.due(LOST_EVERY):
            self.faults.lost += 1
            cursor.connection.close()
            raise psycopg.OperationalError("the answer to COMMIT is lost")


class WatchedCursor(psycopg.Cursor[Any]):
    """A cursor whose statements are seen by a watch."""

    def __init__(
        self, connection: "psycopg.Connection[Any]", *, row_factory: Any, watch: Watch
    ) -> None:
        super().__init__(connection, row_factory=row_factory)
        self._watch = watch

    def execute(self, query: Any, *arguments: Any, **named: Any) -> "WatchedCursor":
        self._watch.before(self, str(query))
        super().execute(query, *arguments, **named)
        self._watch.after(self, str(query))
        return self

    def executemany(self, query: Any, *arguments: Any, **named: Any) -> None:
        self._watch.before(self, str(query))
        super().executemany(query, *arguments, **named)
        self._watch.after(self, str(query))

    def copy(self, *arguments: Any, **named: Any) -> Any:
        self._watch.before(self, "COPY")
        self._watch.changes += 1
        return super().copy(*arguments, **named)


class WatchedServer(Server):
    """The program's connection; only its cursors are replaced."""

    def __init__(self, url: str, watch: Watch) -> None:
        self.watch = watch
        super().__init__(url)

    def connect(self) -> None:
        super().connect()
        watched: Any = partial(WatchedCursor, watch=self.watch)
        self.sql.cursor_factory = watched


class Sql:
    """What invariants and observers use of a SQLite connection: statements with `?`."""

    def __init__(self, books: TownBooks, watch: Watch) -> None:
        self._books, self._watch = books, watch

    @property
    def total_changes(self) -> int:
        return self._watch.changes

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        self._books.server.use(self._books.town)
        return self._books.server.sql.execute(statement.replace("?", "%s"), values)


class WatchedBooks(TownBooks):
    """The town's books. An office command's end is noticed at once, as by NOTIFY."""

    def __init__(self, server: WatchedServer, name: str, *, lease: str | None = None) -> None:
        super().__init__(server, name, lease=lease)
        self.sql = Sql(self, server.watch)

    @contextmanager
    def transaction(self) -> Iterator[object]:
        try:
            with super().transaction() as sql:
                yield sql
        finally:
            if self.lease is None:
                self.server.versions[self.town] += 1

    def only_row(self, statement: str, values: Sequence[object] = ()) -> Any:
        return self.sql.execute(statement, values).fetchone()


class TownCentral(Central):
    """The central's process on a server, and the office's connection of its own."""

    office: Any
    books: Any

    def __init__(self, environment: Environment, faults: Faults) -> None:
        Process.__init__(self, environment.folder / "central.db")
        self.environment, self.faults = environment, faults
        self.name = f"sim-{next(_names)}"
        self.versions: Counter[str] = Counter()
        self.client_id = CENTRAL
        self.wall_offset = type(self.environment.now - self.environment.now)()
        self._make()
        self.office = self.opened()
        faults.crashed = self._reopen_office
        town.initialise(self.office, Town(TOWN, ZONE.key), self._generation(), at=self.instant)
        self.start()

    def opened(self) -> Any:
        return self._books(Watch(self.faults, is_central=False), None)

    def start(self) -> None:
        """Lead the town by a new lease."""
        watch = Watch(self.faults, is_central=True)
        watch.full = self.full
        lease = self._generation()
        leading = self._books(watch, None)
        try:
            with leading.transaction():
                town.lead(leading, lease)
        except CentralError:
            leading.close()
            raise
        leading.lease = lease
        self.books = leading
        try:
            self._open()
        except CentralError:
            leading.close()
            raise

    def fill(self, full: bool) -> None:
        """Let the server refuse each write of this session, as on a full disk."""
        self.books.server.watch.full = full

    def arm_kill(self, after: int) -> None:
        self.kill_switch = KillSwitch(after)
        self.books.server.watch.switch = self.kill_switch

    def disarm_kill(self) -> None:
        self.kill_switch = None
        self.books.server.watch.switch = None

    def count_set_aside(self) -> int:
        return int(self.office.only_row("SELECT count(*) FROM set_aside")[0])

    def command(self, action: Callable[[], object], kill_after: int) -> None:
        watch = self.office.server.watch
        watch.switch = KillSwitch(kill_after)
        try:
            action()
        except Killed:
            self.office.close()
            self.office = self.opened()
        finally:
            watch.switch = None

    def save(self) -> Image:
        path = self.environment.folder / f"backup-{next(_names)}.db"
        image = BooksInMemory(path, create=True)
        with image.transaction():
            towns.copy(self.office, image)
        return image

    def restore(self, backup: Image) -> None:
        assert isinstance(backup, BooksInMemory)
        self.office.close()
        self.remove()
        self._make()
        self.office = self.opened()
        with self.office.transaction():
            towns.copy(backup, self.office)

    def remove(self) -> None:
        """Delete the town."""
        server = Server(self.faults.server.address)
        towns.remove(server, self.name)
        server.close()

    def _reopen_office(self) -> None:
        """Connect again after the server's end, as the office's next command does."""
        self.office.reopen()

    def _make(self) -> None:
        towns.add(Server(self.faults.server.address), self.name).close()

    def _books(self, watch: Watch, lease: str | None) -> WatchedBooks:
        server = WatchedServer(self.faults.server.address, watch)
        server.versions = self.versions
        return WatchedBooks(server, self.name, lease=lease)


class TownSimulation(Simulation):
    """A run whose central is on a server."""

    def __init__(self, server: Postgres, folder: Path, of: script.Town) -> None:
        self.faults = Faults(server, of.seed)
        super().__init__(folder, of, lambda environment: TownCentral(environment, self.faults))

    def do(self, step: Step) -> None:
        self.faults.calm = step.word in CALM
        if self.faults.due(CRASH_EVERY_STEPS):
            self.faults.crash()
        super().do(step)

    def rest(self, step: Step) -> None:
        self.faults.calm = True
        super().rest(step)

    def close(self) -> None:
        super().close()
        with suppress(CentralError):
            self.engine.central.remove()  # type: ignore[attr-defined]
