"""`TownBooks`: the books of a town in a schema of its own on PostgreSQL.

A town's schema belongs to the town's role, and nothing of another town is seen from it. A `Server`
is one connection, which a thread uses for one town or, one after the other, for many.

A transaction begins by locking the town's row, so that transactions of a town follow each other as
on SQLite. There it also learns who leads the town: what is not the leader any more writes nothing.
What a command commits wakes the leader by NOTIFY.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.string import StrDumper
from sqlalchemy import Table

from agent.central.books.database import Books, Row, shown
from agent.central.books.migrations.steps import FIRST_ON_POSTGRESQL, NEWEST, step
from agent.central.books.query import POSTGRESQL, Query, Value, Values
from agent.errors import CentralError

OLDEST_VERSION = 130_000
"""The oldest server: PostgreSQL 13, as `server_version_num` has it."""
CONNECT_S = 10
LOCK_MS = 10_000
"""How long a transaction of a command waits for another one of its town, as on SQLite."""
LEADER_LOCK_MS = 1_000
"""The same of a leader: its other towns wait meanwhile, and a message comes again."""
IDLE_MS = 60_000
"""How long a transaction of a command may do nothing, as when it was stopped: its town waits."""
LEADER_IDLE_MS = 5_000
"""The same of a leader, whose transactions are short: the next leader waits for it."""
FETCHED_ROWS = 2_000
CHANNEL = "canteen"
"""The channel of NOTIFY; its payload is a town."""
PREFIX = "town_"
"""Schemas and roles of towns begin so."""
NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names."""

_SETTINGS = {
    "application_name": "canteen-central",
    # all queries are short: to compile one would cost 30 ms
    "jit": "off",
    # a process whose machine is gone must not hold a town's row or its lease
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    # nor one that stands still within a transaction: the next leader waits for it
}
# what each setting must not be, and why
_UNSAFE = {
    "fsync": ({"off"}, "a power cut loses what was acknowledged to terminals"),
    "full_page_writes": ({"off"}, "a power cut damages the database"),
    # local and remote_write: a standby that is promoted may lack it
    "synchronous_commit": (
        {"off", "local", "remote_write"},
        "a crash loses what was acknowledged to terminals",
    ),
}


class Server:
    """One connection to a PostgreSQL server. Raises `CentralError`.

    A transaction that does nothing for `idle_ms` loses the connection. `versions` counts for each
    town what others committed, as far as NOTIFY reached us.
    """

    def __init__(self, url: str, *, idle_ms: int = IDLE_MS, lock_ms: int = LOCK_MS) -> None:
        self.url = url
        self._settings = _SETTINGS | {
            "idle_in_transaction_session_timeout": f"{idle_ms}ms",
            "lock_timeout": f"{lock_ms}ms",
        }
        self.name = shown(url)
        self.versions: Counter[str] = Counter()
        self._town: str | None = None
        self._warning = ""
        self.connect()

    def connect(self) -> None:
        """Connect, and refuse a server that does not keep what it commits."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        try:
            self.sql = psycopg.connect(
                self.url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                options=options,
                keepalives_idle=4,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=10_000,
            )
        except (psycopg.Error, UnicodeError) as error:
            raise self.fault("cannot be opened", error) from error
        self._town = None
        self.sql.adapters.register_dumper(str, _Text)
        self.sql.add_notice_handler(self._note)
        try:
            self._refuse_unsafe()
        except psycopg.Error as error:
            self.close()
            raise self.fault("cannot be opened", error) from error
        except CentralError:
            self.close()
            raise

    def revive(self) -> None:
        """Connect again if the connection does not work. Raise `CentralError`."""
        try:
            self.sql.execute("SELECT 1")
        except psycopg.Error:
            self.close()
            self.connect()

    def close(self) -> None:
        """End the connection."""
        with suppress(psycopg.Error):
            self.sql.close()

    def fault(self, what: str, error: Exception) -> CentralError:
        """Return the error of the books for the driver's. Values, as names, are not in it."""
        sentence = str(error).strip().partition("\n")[0] or type(error).__name__
        return CentralError(f"{self.name}: {what}: {sentence}")

    def use(self, town: str) -> None:
        """Let the statements that follow see this town, with its role's rights."""
        if self._town == town:
            return
        self._town = None
        name = sql.Identifier(schema_of(town))
        try:
            self.sql.execute(sql.SQL("SET ROLE {0}; SET search_path TO {0}").format(name))
        except psycopg.errors.InvalidParameterValue:  # no such role
            raise self.no_town(town) from None
        self._town = town

    def no_town(self, town: str) -> CentralError:
        """Return the error of a town that this database does not have."""
        return CentralError(
            f"{self.name}: has no town {town!r}; add it with: canteen-central town add"
        )

    def leave(self) -> None:
        """Let the statements that follow see the whole database, with this connection's role."""
        self._town = None
        self.sql.execute("RESET ROLE; RESET search_path")

    def commit(self) -> None:
        """Commit. Raise `CentralError` where the server warns that a standby may lack it."""
        self._warning = ""
        self.sql.execute("COMMIT")
        if self._warning:
            self.close()
            raise CentralError(f"{self.name}: not safely written: {self._warning}")

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warning = notice.message_primary or "a warning"

    def _refuse_unsafe(self) -> None:
        version = self.sql.info.server_version
        if version < OLDEST_VERSION:
            raise CentralError(
                f"{self.name}: is PostgreSQL {version // 10_000}; install"
                f" {OLDEST_VERSION // 10_000} or a newer one"
            )
        row = self.sql.execute("SELECT pg_is_in_recovery()").fetchone()
        read_only = self.sql.execute("SHOW transaction_read_only").fetchone()
        if row == (True,) or read_only == ("on",):
            raise CentralError(
                f"{self.name}: is read-only, as a standby is; write the address of the primary"
            )
        for name, (unsafe, why) in _UNSAFE.items():
            (setting,) = self.sql.execute(f"SHOW {name}").fetchone() or ("",)
            if setting in unsafe:
                raise CentralError(
                    f"{self.name}: has {name} = {setting}: {why}. Set it to on in postgresql.conf"
                )


class TownBooks(Books):
    """One connection to a town. Raises `CentralError`.

    `lease` is what its leader wrote into the town's row; None for who does not lead.
    """

    def __init__(self, server: Server, town: str, *, lease: str | None = None) -> None:
        self.server, self.town, self.lease = server, town, lease
        self.transactions = 0
        with self._faults("cannot be opened"):
            server.leave()  # a town that was restored has another role of the same name
            server.use(town)
            try:
                self._migrate()
            except psycopg.errors.InvalidSchemaName:  # another database of the server has the role
                raise server.no_town(town) from None

    @property
    def name(self) -> str:
        return f"{self.server.name}, town {self.town}"

    def close(self) -> None:
        self.server.close()

    def reopen(self) -> None:
        self.server.close()
        self.server.connect()
        with self._faults("cannot be opened again"):
            self.server.use(self.town)

    def is_usable(self) -> bool:
        try:
            self.server.sql.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def version(self) -> int:
        return self.server.versions.setdefault(self.town, 0)

    def erase_deleted(self) -> None:
        """Do nothing: VACUUM overwrites what was deleted."""

    def page_faults(self) -> list[str]:
        """Return nothing: the server checks its own pages."""
        return []

    @contextmanager
    def transaction(self) -> Iterator[object]:
        self.transactions += 1
        try:
            self.server.use(self.town)
            self._begin()
            yield self.server.sql
            if self.lease is None:
                self.server.sql.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self.town))
            self.server.commit()
        except BaseException as error:
            self._roll_back()
            if isinstance(error, psycopg.Error):
                raise self.fault("not written", error) from error
            raise

    @contextmanager
    def reading(self) -> Iterator[object]:
        is_outermost = self.server.sql.info.transaction_status == _IDLE
        try:
            if is_outermost:
                self.server.use(self.town)
                self.server.sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield self.server.sql
        except psycopg.Error as error:
            raise self.fault("not readable", error) from error
        finally:
            if is_outermost:
                self._roll_back()

    def all(self, query: Query, **values: Value) -> list[Row]:
        with self._faults("not readable"):
            return self._execute(query, values).fetchall()

    def each(self, query: Query, **values: Value) -> Iterator[Row]:
        statement, bind = query.on(POSTGRESQL)
        name = f"each_{next(_cursors)}"
        with self.reading(), self.server.sql.cursor(name=name) as cursor:
            cursor.itersize = FETCHED_ROWS
            yield from cursor.execute(_text(statement), bind(values))

    def first(self, query: Query, **values: Value) -> Row | None:
        with self._faults("not readable"):
            return self._execute(query, values).fetchone()

    def changed(self, query: Query, **values: Value) -> Row:
        row = self._execute(query, values).fetchone()
        assert row is not None
        return row

    def run(self, query: Query, **values: Value) -> int:
        return self._execute(query, values).rowcount

    def run_all(self, query: Query, values: Iterable[Values]) -> None:
        statement, bind = query.on(POSTGRESQL)
        with self.server.sql.cursor() as cursor:
            cursor.executemany(_text(statement), map(bind, values))

    def add_all(self, table: Table, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self.server.sql.cursor() as cursor, cursor.copy(copy) as target:
            for row in rows:
                target.write_row(row)

    def fault(self, what: str, error: Exception) -> CentralError:
        """Return the error of the books for the driver's."""
        return self.server.fault(f"town {self.town}: {what}", error)

    def _execute(self, query: Query, values: Values) -> "psycopg.Cursor[Row]":
        self.server.use(self.town)
        statement, bind = query.on(POSTGRESQL)
        return self.server.sql.execute(_text(statement), bind(values))

    def _begin(self) -> None:
        """Begin to write: wait for the town's row, and require to lead the town if it should."""
        cursor = self.server.sql.execute(
            "BEGIN; SELECT leader, (SELECT version_num FROM alembic_version)"
            " FROM central FOR UPDATE"
        )
        cursor.nextset()
        row = cursor.fetchone()
        if row is None:
            return  # being made
        leader, version = row
        if int(version) != NEWEST:
            raise CentralError(self._other_version(int(version)))
        if self.lease is not None and leader != self.lease:
            raise CentralError(f"{self.name}: is led by another process now")

    def _roll_back(self) -> None:
        try:
            if self.server.sql.info.transaction_status != _IDLE:
                self.server.sql.execute("ROLLBACK")
        except psycopg.Error:
            self.server.close()  # nothing of the transaction was promised

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.fault(what, error) from error

    def _migrate(self) -> None:
        """Bring the town's tables to this program's schema, those of a new town too."""
        with self.server.sql.transaction():
            self.server.sql.execute(
                "CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT NOT NULL)"
            )
            row = self.server.sql.execute(
                "SELECT version_num FROM alembic_version FOR UPDATE"
            ).fetchone()
            version = int(row[0]) if row else FIRST_ON_POSTGRESQL - 1
            if version > NEWEST:
                raise CentralError(self._other_version(version))
            for number in range(version + 1, NEWEST + 1):
                self.server.sql.execute(_text(step(POSTGRESQL, number)))
            if row is None:
                self.server.sql.execute("INSERT INTO alembic_version VALUES (%s)", (str(NEWEST),))
            elif version < NEWEST:
                self.server.sql.execute(
                    "UPDATE alembic_version SET version_num = %s", (str(NEWEST),)
                )

    def _other_version(self, version: int) -> str:
        return (
            f"{self.name}: has schema {version}, this program knows {NEWEST};"
            " install the newer program"
        )


def schema_of(town: str) -> str:
    """Return the schema of a town, which is also its role. Raise `CentralError`."""
    schema = PREFIX + town
    if len(schema.encode()) > NAME_BYTES_MAX:
        raise CentralError(f"town {town!r} has a name too long for PostgreSQL")
    return schema


def _text(statement: str) -> Any:
    """Return a statement that is no text of a user, as the driver's types want it."""
    return statement


class _Text(StrDumper):
    """Writes a text without its zero characters, which PostgreSQL cannot store.

    A terminal may send them in a meal, and a meal is never rejected. Its body, as it came, has them
    spelled as `\\u0000`.
    """

    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        try:
            return super().dump(obj)
        except psycopg.DataError:
            return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


_IDLE = psycopg.pq.TransactionStatus.IDLE
_cursors = count(1)
