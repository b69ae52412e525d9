"""Finds damage when a file is opened: its pages, its indexes, its chain, and where it stands."""

import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from agent.domain.ledger import EPOCH_NUMBER_MAX, SEQ_MAX, ChainEnd, Place, genesis
from agent.errors import DamagedError, StoreError
from agent.sqlite_file import FAULTS
from agent.store.database import Database
from agent.store.proof import hash_of
from agent.store.schema import MIGRATIONS, SUMMED, is_whole
from agent.store.standing import standing

# What `PRAGMA integrity_check` says of an index whose own pages are whole.
_INDEX_FAULT = re.compile(
    r"(?P<what>row \d+ missing from|wrong # of entries in|non-unique entry in) index (?P<name>\w+)$"
)

# What a value of another type or size than the schema's raises.
_WRONG_VALUES = (
    DamagedError,
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)


class _Hashed(msgspec.Struct, frozen=True):
    """The members of an entry that the table has in columns as well."""

    kind: str
    cents: int
    account: str | None = None
    card: str | None = None
    service: str | None = None
    day: str | None = None


_DEFINITIONS = "SELECT name, sql, type FROM sqlite_master WHERE sql IS NOT NULL"
_hashed = msgspec.json.Decoder(_Hashed)


def find_damage(db: Database) -> str | None:
    """Return what is wrong with a file, None if nothing.

    A record that cannot be decoded is found when it is needed, and requested again. A record with
    another content is found by the digest.
    """
    try:
        with db.reading() as sql:
            fault = (
                next(page_faults(db), None)
                or _epoch_fault(sql)
                or _acked_fault(sql)
                or _sum_fault(sql)
            )
            if fault is not None:
                return f"{db.path}: {fault}"
            _read_texts(sql)
            fault = _schema_fault(db)
            if fault is not None:
                return f"{db.path}: {fault}"
        standing(db)
    except _WRONG_VALUES as error:
        return f"{db.path}: {error}"  # a value of another type or size than the schema's
    except StoreError:
        fault = _schema_fault(db)
        if fault is None:
            raise
        return f"{db.path}: {fault}"
    return None


def damaged_indexes(db: Database) -> list[str]:
    """Return the names of the indexes that differ from their table, if nothing else is wrong.

    A wrong index would answer that a child has not eaten, or leave a meal out of a balance. One
    that only has more entries than its table is right: the table has lost rows.
    """
    try:
        faults = [_INDEX_FAULT.match(sentence) for sentence in page_faults(db)]
    except StoreError:
        return []
    if not all(faults):
        return []
    wrong = {match["name"] for match in faults if match}
    lacking = {match["name"] for match in faults if match and match["what"][0] != "w"}
    return sorted(wrong) if wrong == lacking else []


def page_faults(db: Database) -> Iterator[str]:
    """Yield what SQLite finds wrong with pages, indexes and constraints, a hundred at most."""
    for (sentence,) in db.rows("PRAGMA integrity_check"):
        if sentence != "ok":
            yield str(sentence)


def sum_faults(db: Database) -> Iterator[str]:
    """Yield a sentence for each table with rows that do not match their checksums."""
    for table in SUMMED:
        statement = f"SELECT count(*) FROM {table} WHERE NOT {is_whole(table)}"
        (count,) = db.only_row(statement)
        if count:
            yield f"table {table}: {count} rows do not match their checksums"


def _epoch_fault(sql: sqlite3.Connection) -> str | None:
    town, terminal = sql.execute("SELECT town, id FROM terminal").fetchone()
    epochs = sql.execute("SELECT n, id, base_seq, base_hash FROM epoch").fetchall()
    for number, epoch, base_seq, base_hash in epochs:
        if not (1 <= number <= EPOCH_NUMBER_MAX and 0 <= base_seq <= SEQ_MAX):
            return f"epoch {epoch}: number {number} or base_seq {base_seq} is out of range"
        base = ChainEnd(epoch=epoch, seq=base_seq, hash=base_hash.hex())
        if base_seq == 0 and base.hash != genesis(town, terminal, epoch):
            return f"epoch {epoch}: does not begin with this terminal's genesis hash"
        fault = _chain_fault(sql, number, base)
        if fault is not None:
            return f"epoch {epoch}: {fault}"
    orphan = "SELECT 1 FROM entry WHERE epoch NOT IN (SELECT n FROM epoch) LIMIT 1"
    if sql.execute(orphan).fetchone():
        return "has entries of an epoch that is not in this file"
    return None


def _chain_fault(sql: sqlite3.Connection, number: int, base: ChainEnd) -> str | None:
    """Return what is wrong with the entries of one epoch, None if nothing."""
    expected, previous = base.seq, bytes.fromhex(base.hash)
    for seq, digest, body, *columns in sql.execute(
        "SELECT seq, hash, body, kind, eater, service, day, cents FROM entry"
        " WHERE n > ? AND n < ? ORDER BY n",
        (Place(number, 0).n, Place(number + 1, 0).n),
    ):
        expected += 1
        if seq != expected or hash_of(previous, body) != digest:
            return f"entry {seq} does not match its hash"
        inside = _hashed.decode(body)
        hashed = [inside.kind, inside.account or inside.card]
        if columns != [*hashed, inside.service, inside.day, inside.cents]:
            return f"the columns of entry {seq} differ from the hashed text"
        previous = digest
    return None


def _acked_fault(sql: sqlite3.Connection) -> str | None:
    (acked,) = sql.execute("SELECT acked FROM terminal").fetchone()
    place = Place.of(acked)
    is_kept = (
        "SELECT 1 FROM entry WHERE n = ?1 UNION SELECT 1 FROM epoch WHERE n = ?2 AND base_seq >= ?3"
    )
    if place.seq and sql.execute(is_kept, (acked, *place)).fetchone() is None:
        return (
            f"acknowledged up to entry {place.seq} of epoch number {place.epoch_number},"
            " which is missing"
        )
    return None


def _read_texts(sql: sqlite3.Connection) -> None:
    """Read what `reads` expects to be text. Raise `sqlite3.Error` where it is not."""
    for _ in sql.execute("SELECT kind, id FROM record"):
        pass
    for table in ("terminal", "note", "incident"):
        sql.execute(f"SELECT * FROM {table}").fetchall()


def has_our_tables(path: Path) -> bool:
    """Return whether a file that cannot be opened as ours has the program's tables all the same.

    A newer program's file has other ones. The file is read without its log, and not changed.
    """
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as sql:
            return _definition_fault(set(sql.execute(_DEFINITIONS))) is None
    except FAULTS:
        return False


def _schema_fault(db: Database) -> str | None:
    """Return what of the tables, indexes and triggers differs from the program's."""
    return _definition_fault(set(db.rows(_DEFINITIONS)))


def _definition_fault(kept: set[tuple[Any, ...]]) -> str | None:
    with closing(sqlite3.connect(":memory:")) as own:
        own.create_function("crc32", 1, zlib.crc32)
        for script in MIGRATIONS:
            own.executescript(script)
        expected = set(own.execute(_DEFINITIONS))
    # Another table or index harms nothing: a technician's ANALYZE makes one. A trigger may.
    strange = {definition for definition in kept - expected if definition[2] == "trigger"}
    names = sorted({str(name) for name, *_ in (expected - kept) | strange})
    return f"the definition of {', '.join(names)} is damaged" if names else None


def _sum_fault(sql: sqlite3.Connection) -> str | None:
    """Return which row outside the chain is damaged. Records are looked at when they are read."""
    for table in ("terminal", "epoch", "note"):
        if sql.execute(f"SELECT 1 FROM {table} WHERE NOT {is_whole(table)}").fetchone():
            return f"a row of the table {table} does not match its checksum"
    return None
