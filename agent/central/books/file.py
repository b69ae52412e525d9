"""The central's file, and the movements of accounts.

Rollback journal and `synchronous=EXTRA`: office commands and the running central are several processes that write, which
SQLite's write-ahead log does not bear in the version of Debian 12 (the WAL-reset bug of sqlite.org, fixed in 3.51.3), and a
committed batch is acknowledged to a terminal, so it must survive the plug.
"""

import sqlite3
from pathlib import Path

from agent.central.books.schema import APPLICATION_ID, MIGRATIONS
from agent.domain.canteen import Price
from agent.domain.clock import Day, Instant
from agent.errors import CentralError
from agent.sqlite_file import FileKind, SqliteFile

BUSY_TIMEOUT_MS = 10_000
SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536
SET_ASIDE_ROWS_MAX = 10_000


FORM = FileKind(
    owner="a central's",
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    pragmas=("journal_mode = DELETE", "synchronous = EXTRA"),
    options="",
    busy_timeout_ms=BUSY_TIMEOUT_MS,
    error=CentralError,
    damaged=CentralError,
)


class Books(SqliteFile[sqlite3.Row]):
    """One connection to the central's database."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if create and path.exists():
            raise CentralError(f"{path}: is there already; init makes a new central")
        if not create and not path.exists():
            raise CentralError(f"{path}: no central here; make one with init")
        super().__init__(path, FORM, "rwc" if create else "rw")
        self.sql.row_factory = sqlite3.Row

    def version(self) -> int:
        """Return a number that changes when another process has committed."""
        return int(self.only_row("PRAGMA data_version")[0])


def initialise(ledger: Books, *, town: str, zone: str, generation: str, at: Instant) -> None:
    """Begin a town's central."""
    with ledger.transaction() as sql:
        sql.execute(
            "INSERT INTO central (one, town, zone, generation, position) VALUES (1, ?, ?, ?, 0)",
            (town, zone, generation),
        )
        sql.execute("INSERT INTO generation VALUES (?, ?, 'init')", (generation, at))


def next_position(sql: sqlite3.Connection) -> int:
    """Count one change of a record."""
    (position,) = sql.execute(
        "UPDATE central SET position = position + 1 RETURNING position"
    ).fetchone()
    return int(position)


def bump_account(sql: sqlite3.Connection, account: str) -> None:
    """Give an account a new position: every terminal of its site gets it anew."""
    move_balance(sql, account, 0)


def move_balance(sql: sqlite3.Connection, account: str, cents: int) -> None:
    """Move an account's balance by what was posted in this transaction, and give it a new position."""
    sql.execute(
        "UPDATE account SET balance = balance + ?, p = ? WHERE id = ?",
        (cents, next_position(sql), account),
    )


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
    """Move an account's balance, with what moved it: see `add_posting`."""
    add_posting(
        sql,
        account=account,
        cents=cents,
        kind=kind,
        at=at,
        reason=reason,
        channel=channel,
        external=external,
        entry=entry,
    )
    move_balance(sql, account, cents)


def add_posting(
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
    """Add what moves an account's balance; `move_balance` is to follow in this transaction. `entry` is its (terminal, epoch, seq, hash)."""
    sql.execute(
        "INSERT INTO posting (account, cents, kind, at, channel, external, terminal, epoch, seq, hash, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (account, cents, kind, at, channel, external, *(entry or (None,) * 4), reason),
    )


def settle_labels(sql: sqlite3.Connection, today: Day) -> None:
    """Let names leave, or stop them, as the policy in effect says; when that changes, every account goes out anew."""
    row = sql.execute(
        "SELECT body ->> '$.labels' AS labels FROM policy WHERE from_day <= ? ORDER BY from_day DESC LIMIT 1",
        (today,),
    ).fetchone()
    wanted = int(row is not None and row["labels"] == "short")
    if wanted != sql.execute("SELECT labels FROM central").fetchone()["labels"]:
        sql.execute("UPDATE central SET labels = ?", (wanted,))
        for account in sql.execute("SELECT id FROM account ORDER BY id").fetchall():
            bump_account(sql, account["id"])


def add_tombstone(sql: sqlite3.Connection, site: str, kind: str, record_id: str) -> None:
    """Tell a site's terminals that a record is gone."""
    sql.execute(
        "INSERT OR REPLACE INTO tombstone VALUES (?, ?, ?, ?)",
        (site, kind, record_id, next_position(sql)),
    )


def prices(sql: sqlite3.Connection, account: str) -> list[Price]:
    """Return an account's prices, ascending by service and day."""
    rows = sql.execute(
        "SELECT from_day, service, cents FROM price WHERE account = ? ORDER BY service, from_day",
        (account,),
    )
    return [Price(from_day=day, service=service, cents=cents) for day, service, cents in rows]


def add_incident(
    sql: sqlite3.Connection, *, at: Instant, terminal: str | None, kind: str, detail: str
) -> None:
    sql.execute(
        "INSERT INTO incident (at, terminal, kind, detail) VALUES (?, ?, ?, ?)",
        (at, terminal, kind, detail),
    )


def set_aside(ledger: Books, *, topic: str, payload: bytes, reason: str, at: Instant) -> None:
    """Keep a message that cannot be used."""
    with ledger.transaction() as sql:
        sql.execute(
            "INSERT INTO set_aside (at, topic, bytes, payload, reason) VALUES (?, ?, ?, ?, ?)",
            (at, topic[:256], len(payload), payload[:SET_ASIDE_PAYLOAD_BYTES_MAX], reason),
        )
        sql.execute(
            "DELETE FROM set_aside WHERE n <= (SELECT max(n) FROM set_aside) - ?",
            (SET_ASIDE_ROWS_MAX,),
        )


def give_order(sql: sqlite3.Connection, terminal: str, do: str) -> str:
    """Give a terminal an order and return its id. The same one waits on; a new one goes before another, but not before a wipe.

    Its id names the generation and counts on: a terminal does not do what has a number below one it has done. A central restored from a backup
    may count from less; `greet` brings it up to what the terminal has done.
    """
    row = sql.execute(
        "SELECT order_id, order_do, orders FROM terminal WHERE id = ?", (terminal,)
    ).fetchone()
    if row["order_do"] in (do, "wipe"):
        return str(row["order_id"])
    (generation,) = sql.execute("SELECT generation FROM central").fetchone()
    order = f"o-{generation[-8:]}-{row['orders'] + 1}"
    after = row["order_do"] == "resync"
    sql.execute(
        "UPDATE terminal SET orders = orders + 1, order_id = ?, order_do = ?, then_resync = max(then_resync, ?) WHERE id = ?",
        (order, do, after, terminal),
    )
    return order


def resume_resync(sql: sqlite3.Connection, terminal: str) -> None:
    """Give the order to resynchronise that another went before."""
    if sql.execute(
        "UPDATE terminal SET then_resync = 0 WHERE id = ? AND then_resync", (terminal,)
    ).rowcount:
        give_order(sql, terminal, "resync")


def renumber_orders(sql: sqlite3.Connection, terminal: str | None = None) -> None:
    """Give the orders that wait, of one terminal or of all, numbers that no terminal has done in any life of this file."""
    sql.execute(
        "UPDATE terminal SET orders = orders + 1, order_id = 'o-' || (SELECT substr(generation, -8) FROM central) || '-' || (orders + 1)"
        " WHERE order_id IS NOT NULL AND id = coalesce(?, id)",
        (terminal,),
    )


def mint_generation(sql: sqlite3.Connection, generation: str, *, at: Instant, reason: str) -> None:
    """Begin a new life of the central's generation: every terminal compares everything again."""
    sql.execute("INSERT INTO generation VALUES (?, ?, ?)", (generation, at, reason))
    sql.execute("UPDATE central SET generation = ?", (generation,))
    renumber_orders(sql)
    add_incident(sql, at=at, terminal=None, kind="new_generation", detail=reason)
