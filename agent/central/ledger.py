"""The central's file: opened, checked, written in transactions; and the movements of accounts.

Rollback journal and `synchronous=EXTRA`: office commands and the running central are several processes that write, which
SQLite's write-ahead log does not bear in the version of Debian 12 (MEASURED.md 1.5), and a committed batch is acknowledged
to a terminal, so it must survive the plug. `sqlite3.Error` leaves this room as `CentralError`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from agent.central.schema import APPLICATION_ID, MIGRATIONS
from agent.domain.canteen import Price
from agent.domain.clock import Instant
from agent.errors import CentralError
from agent.sqlite_script import statements

BUSY_TIMEOUT_MS = 10_000
SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536
SET_ASIDE_ROWS_MAX = 10_000


class Ledger:
    """One connection to the central's database."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if create == path.exists():
            raise CentralError(
                f"{path}: " + ("is there already; init makes a new central" if create else "no central here; make one with init")
            )
        try:
            self.sql = sqlite3.connect(f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}", uri=True, isolation_level=None)
            self.sql.row_factory = sqlite3.Row
            self.sql.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            self._check_version(create=create)
            self.sql.execute("PRAGMA journal_mode = DELETE")
            self.sql.execute("PRAGMA synchronous = EXTRA")
            self._migrate()
        except sqlite3.Error as error:
            raise CentralError(f"{path}: cannot be opened as the central's database: {error}") from error

    def close(self) -> None:
        self.sql.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk when the block has ended, or none of it. Raise `CentralError`, never retried."""
        try:
            self.sql.execute("BEGIN IMMEDIATE")
            yield self.sql
            self.sql.execute("COMMIT")
        except BaseException as error:
            if self.sql.in_transaction:
                self.sql.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise CentralError(f"{self.path}: not written: {error}") from error
            raise

    def version(self) -> int:
        """Return a number that changes when another process has committed."""
        return int(self.sql.execute("PRAGMA data_version").fetchone()[0])

    def _check_version(self, *, create: bool) -> None:
        (application,) = self.sql.execute("PRAGMA application_id").fetchone()
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID and not create:
            raise CentralError(f"{self.path}: is a database, but not a central's")
        if version > len(MIGRATIONS):
            raise CentralError(f"{self.path}: has schema {version}, this program knows {len(MIGRATIONS)}; install the newer program again")

    def _migrate(self) -> None:
        (version,) = self.sql.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            with self.transaction() as sql:
                for statement in statements(script):
                    sql.execute(statement)
                sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                sql.execute(f"PRAGMA user_version = {number}")


def found(ledger: Ledger, *, town: str, zone: str, journal: str, at: Instant) -> None:
    """Begin a town's central."""
    with ledger.transaction() as sql:
        sql.execute("INSERT INTO central VALUES (1, ?, ?, ?, 0)", (town, zone, journal))
        sql.execute("INSERT INTO journal VALUES (?, ?, 'init')", (journal, at))


def next_position(sql: sqlite3.Connection) -> int:
    """Count one change of a record."""
    (position,) = sql.execute("UPDATE central SET position = position + 1 RETURNING position").fetchone()
    return int(position)


def bump_account(sql: sqlite3.Connection, account: str) -> None:
    """Give an account a new position: every terminal of its site gets it anew."""
    sql.execute("UPDATE account SET p = ? WHERE id = ?", (next_position(sql), account))


def post(
    sql: sqlite3.Connection,
    *,
    account: str,
    cents: int,
    kind: str,
    at: Instant,
    reason: str = "",
    channel: str | None = None,
    external: str | None = None,
    entry: tuple[str, str, int, str] | None = None,
) -> None:
    """Move an account's balance, with what moved it. `entry` is its (terminal, epoch, seq, hash)."""
    sql.execute(
        "INSERT INTO posting (account, cents, kind, at, channel, external, terminal, epoch, seq, hash, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (account, cents, kind, at, channel, external, *(entry or (None,) * 4), reason),
    )
    sql.execute("UPDATE account SET balance = balance + ?, p = ? WHERE id = ?", (cents, next_position(sql), account))


def bury(sql: sqlite3.Connection, site: str, kind: str, record_id: str) -> None:
    """Tell a site's terminals that a record is gone."""
    sql.execute("INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)", (site, kind, record_id, next_position(sql)))


def prices(sql: sqlite3.Connection, account: str) -> list[Price]:
    """Return an account's prices, ascending by service and day."""
    rows = sql.execute("SELECT from_day, service, cents FROM price WHERE account = ? ORDER BY service, from_day", (account,))
    return [Price(from_day=day, service=service, cents=cents) for day, service, cents in rows]


def add_incident(sql: sqlite3.Connection, *, at: Instant, terminal: str | None, kind: str, detail: str) -> None:
    sql.execute("INSERT INTO incident (at, terminal, kind, detail) VALUES (?, ?, ?, ?)", (at, terminal, kind, detail))


def set_aside(ledger: Ledger, *, topic: str, payload: bytes, reason: str, at: Instant) -> None:
    """Keep a message that cannot be used."""
    with ledger.transaction() as sql:
        sql.execute(
            "INSERT INTO set_aside (at, topic, bytes, payload, reason) VALUES (?, ?, ?, ?, ?)",
            (at, topic[:256], len(payload), payload[:SET_ASIDE_PAYLOAD_BYTES_MAX], reason),
        )
        sql.execute("DELETE FROM set_aside WHERE n <= (SELECT max(n) FROM set_aside) - ?", (SET_ASIDE_ROWS_MAX,))


def give_order(sql: sqlite3.Connection, terminal: str, do: str) -> str:
    """Give a terminal an order, unless the same one waits already; return its id. A new order takes the place of another."""
    row = sql.execute("SELECT order_id, order_do, orders FROM terminal WHERE id = ?", (terminal,)).fetchone()
    if row["order_do"] == do:
        return str(row["order_id"])
    order = f"o-{row['orders'] + 1}"
    sql.execute("UPDATE terminal SET orders = orders + 1, order_id = ?, order_do = ? WHERE id = ?", (order, do, terminal))
    return order


def mint_journal(sql: sqlite3.Connection, journal: str, *, at: Instant, reason: str) -> None:
    """Begin a new life of the central's journal: every terminal compares everything again."""
    sql.execute("INSERT INTO journal VALUES (?, ?, ?)", (journal, at, reason))
    sql.execute("UPDATE central SET journal = ?", (journal,))
    add_incident(sql, at=at, terminal=None, kind="new_journal", detail=reason)
