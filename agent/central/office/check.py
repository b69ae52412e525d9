"""The central proves its books: every balance from its postings, every posting from its entry, every chain from its entries."""

import sqlite3
from collections.abc import Iterator

import msgspec

from agent.central.booking import FOUND_LATER, HASH_REASON
from agent.central.books.file import Books
from agent.domain.ledger import genesis, received_hash


def check(ledger: Books) -> Iterator[str]:
    """Yield a sentence for every difference; nothing when all is equal."""
    sql = ledger.sql
    yield from _balances(sql)
    yield from _postings(sql)
    yield from _chains(sql)


def _balances(sql: sqlite3.Connection) -> Iterator[str]:
    for row in sql.execute(
        "SELECT id, balance, coalesce((SELECT sum(cents) FROM posting WHERE account = account.id), 0) AS posted FROM account ORDER BY id"
    ):
        if row["balance"] != row["posted"]:
            yield f"account {row['id']}: holds {row['balance']} cents, its postings give {row['posted']}"


def _postings(sql: sqlite3.Connection) -> Iterator[str]:
    """An entry that was booked has one posting of what was booked, and what its terminal sent says the same."""
    for row in sql.execute(
        "SELECT e.*, (SELECT sum(cents) FROM posting p WHERE (p.terminal, p.epoch, p.seq, p.hash) = (e.terminal, e.epoch, e.seq, e.hash)"
        " AND p.kind <> 'double_meal') AS posted FROM entry e ORDER BY terminal, epoch, seq"
    ):
        name = f"terminal {row['terminal']}, epoch {row['epoch']}, entry {row['seq']}"
        if row["posted"] != row["cents"]:
            yield f"{name}: booked with {row['cents']} cents, its postings give {row['posted']}"
        undone_before = row["cents"] == 0 and row["reason"].startswith(FOUND_LATER)
        if (
            row["kind"] == "meal"
            and row["cents"] not in (None, msgspec.json.decode(row["body"])["cents"])
            and not undone_before
        ):
            yield f"{name}: booked with {row['cents']} cents, the terminal sent another amount"


def _chains(sql: sqlite3.Connection) -> Iterator[str]:
    (town,) = sql.execute("SELECT town FROM central").fetchone()
    known: set[tuple[str, str, int, str]] = set()
    # where a line may begin in its middle: entries lost for good, or a copied disk, each with an incident of its own
    broken = {
        (row["terminal"], epoch)
        for row in sql.execute(
            "SELECT terminal, detail FROM incident WHERE kind IN ('hole', 'fork')"
        )
        for epoch in [row["detail"].removeprefix("epoch ").partition(":")[0]]
    }
    for row in sql.execute("SELECT * FROM entry ORDER BY terminal, epoch, seq"):
        name = f"terminal {row['terminal']}, epoch {row['epoch']}, entry {row['seq']}"
        start = genesis(town, row["terminal"], row["epoch"])
        parent = (row["terminal"], row["epoch"], row["seq"] - 1, row["prev"])
        joined = row["prev"] == start if row["seq"] == 1 else parent in known
        if not joined and (row["terminal"], row["epoch"]) not in broken:
            yield f"{name}: the entry before it is missing"
        if not _hash_holds(row) and HASH_REASON not in row["reason"].split("; "):
            yield f"{name}: does not match its hash"
        known.add((row["terminal"], row["epoch"], row["seq"], row["hash"]))


def _hash_holds(row: sqlite3.Row) -> bool:
    try:
        return bool(received_hash(row["prev"], msgspec.json.decode(row["body"])) == row["hash"])
    except msgspec.ValidationError:
        return bool(row["status"] == "set_aside")  # kept as it came, and never readable
