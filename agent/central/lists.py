"""What the office looks at: lists of the central's books. Nothing here writes."""

from typing import Any
from zoneinfo import ZoneInfo

from agent.central.ledger import Ledger


def terminals(books: Ledger) -> list[dict[str, Any]]:
    """Return every terminal, where it is and how far it is booked."""
    return _rows(
        books,
        "SELECT t.id, t.site, c.epoch, c.seq AS booked, t.hello ->> '$.last' AS last, t.hello_at, t.forked,"
        " t.order_do AS waiting_order, t.state ->> '$.online' AS online FROM terminal t LEFT JOIN chain c ON c.terminal = t.id"
        " AND c.seen = (SELECT max(seen) FROM chain WHERE terminal = t.id) ORDER BY t.id",
    )


def accounts(books: Ledger) -> list[dict[str, Any]]:
    """Return every account with its balance in cents and its standing meals."""
    return _rows(
        books,
        "SELECT a.id, a.site, a.class, a.status, a.balance, (SELECT count(*) FROM entry m WHERE m.account = a.id"
        " AND m.kind IN ('meal', 'unknown_meal') AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)) AS meals FROM account a ORDER BY a.id",
    )


def incidents(books: Ledger) -> list[dict[str, Any]]:
    """Return what someone should look at: incidents, messages set aside, entries flagged or set aside."""
    return _rows(
        books,
        "SELECT at, terminal, kind, detail FROM incident UNION ALL SELECT at, '', 'message set aside', topic || ': ' || reason"
        " FROM set_aside UNION ALL SELECT at, terminal, status, 'entry ' || seq || ': ' || reason FROM entry"
        " WHERE status <> 'applied' ORDER BY 1",
    )


def balance_cents(books: Ledger, account: str) -> int:
    return int(books.sql.execute("SELECT balance FROM account WHERE id = ?", (account,)).fetchone()["balance"])


def zone(books: Ledger) -> ZoneInfo:
    return ZoneInfo(books.sql.execute("SELECT zone FROM central").fetchone()["zone"])


def sizes(books: Ledger) -> tuple[int, int]:
    """Return how many accounts and entries there are."""
    row = books.sql.execute("SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM entry)").fetchone()
    return int(row[0]), int(row[1])


def _rows(books: Ledger, sql: str) -> list[dict[str, Any]]:
    from sqlite_utils import Database as Inspection  # a tenth of a second that only these commands need to spend

    return list(Inspection(books.sql).query(sql))
