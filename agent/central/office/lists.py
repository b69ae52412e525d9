"""What the office looks at: lists of the central's books. Nothing here writes."""

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from agent.central.books.file import Books
from agent.domain.card import CardId, card_token


def terminals(books: Books) -> list[dict[str, Any]]:
    """Return every terminal, where it is and how far it is booked."""
    return _rows(
        books,
        "SELECT t.id, t.site, c.epoch, c.seq AS booked, t.hello ->> '$.last' AS last, t.hello_at, t.forked,"
        " t.order_do AS waiting_order, t.state ->> '$.online' AS online FROM terminal t LEFT JOIN chain c ON c.terminal = t.id"
        " AND c.seen = (SELECT max(seen) FROM chain WHERE terminal = t.id) ORDER BY t.id",
    )


def accounts(books: Books) -> list[dict[str, Any]]:
    """Return every account with its balance in cents and its standing meals."""
    return _rows(
        books,
        "SELECT a.id, a.site, a.class, a.status, a.balance AS balance_cents, (SELECT count(*) FROM entry m WHERE m.account = a.id"
        " AND m.kind IN ('meal', 'unknown_meal') AND NOT EXISTS (SELECT 1 FROM entry s WHERE s.terminal = m.terminal"
        " AND s.undoes_epoch = m.epoch AND s.undoes_seq = m.seq AND s.undoes_hash = m.hash)) AS meals FROM account a ORDER BY a.id",
    )


def incidents(books: Books) -> list[dict[str, Any]]:
    """Return what someone should look at: incidents, messages set aside, entries flagged or set aside."""
    return _rows(
        books,
        "SELECT at, terminal, kind, detail FROM incident UNION ALL SELECT at, '', 'message set aside', topic || ': ' || reason"
        " FROM set_aside UNION ALL SELECT at, terminal, status, 'entry ' || seq || ': ' || reason FROM entry"
        " WHERE status <> 'applied' ORDER BY 1",
    )


def cards_with(books: Books, numbers: Iterable[CardId], card_key: bytes) -> list[dict[str, Any]]:
    """Return the cards the central knows, assigned or served without an account, among the candidates of a printed number."""
    known = {
        row["token"]: dict(row)
        for row in books.sql.execute("SELECT token, account, status FROM card")
    }
    for row in books.sql.execute(
        "SELECT DISTINCT card FROM entry WHERE kind = 'unknown_meal' AND card IS NOT NULL"
    ):
        known.setdefault(
            row["card"], {"token": row["card"], "account": None, "status": "not assigned"}
        )
    found = []
    for card in numbers:
        row = known.get(card_token(card_key, card))
        if row is not None:
            found.append({"card": card.text, "account": row["account"], "status": row["status"]})
    return found


def balance_cents(books: Books, account: str) -> int:
    return int(
        books.sql.execute("SELECT balance FROM account WHERE id = ?", (account,)).fetchone()[
            "balance"
        ]
    )


def zone(books: Books) -> ZoneInfo:
    return ZoneInfo(books.sql.execute("SELECT zone FROM central").fetchone()["zone"])


def sizes(books: Books) -> tuple[int, int]:
    """Return how many accounts and entries there are."""
    row = books.sql.execute(
        "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM entry)"
    ).fetchone()
    return int(row[0]), int(row[1])


def _rows(books: Books, sql: str) -> list[dict[str, Any]]:
    from sqlite_utils import (
        Database as Inspection,
    )  # a tenth of a second that only these commands need to spend

    return list(Inspection(books.sql).query(sql))
