"""How the bench measures: a figure and its floor in turn; medians, 99th percentiles, ratios."""

import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = 1024  # as agent/store/schema.py has it


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    `ratio` is that of the medians, `p99_ratio` that of the 99th percentiles. `goal` is the required
    ratio, unless it names a unit.
    """

    what: str
    value: str
    floor: str = ""
    ratio: float | None = None
    p99_ratio: float | None = None
    goal: str = ""


@dataclass(slots=True)
class Series:
    """Durations in µs."""

    us: list[float] = field(default_factory=list)

    def time(self, work: Callable[[], object]) -> None:
        before = time.perf_counter_ns()
        work()
        self.us.append((time.perf_counter_ns() - before) / 1_000)

    @property
    def median(self) -> float:
        return statistics.median(self.us)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.us, n=100)[98]

    def __str__(self) -> str:
        return f"{self.median:.0f} µs (p99 {self.p99:.0f})"


def against(what: str, own: Series, floor_name: str, floor: Series, goal: str) -> Row:
    """Return the row of a series beside its floor."""
    return Row(
        what,
        str(own),
        f"{floor_name}: {floor}",
        own.median / floor.median,
        own.p99 / floor.p99,
        goal,
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open a file with the settings of a terminal's database."""
    sql = sqlite3.connect(path, isolation_level=None)
    for pragma in (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", "synchronous = FULL"):
        sql.execute(f"PRAGMA {pragma}")
    return sql


class BareInsert:
    """A table with one row per tap: an entry's body, committed with the same guarantee."""

    def __init__(self, path: Path) -> None:
        self.sql = connect(path)
        self.sql.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")

    def insert(self, body: str) -> None:
        self.sql.execute("INSERT INTO row (body) VALUES (?)", (body,))


class IndexedInsert:
    """A table with an entry's columns and the two indexes that a meal enters.

    The indexes are those of agent/store/schema.py. This floor shows what they cost: a tap cannot be
    faster with them.
    """

    def __init__(self, path: Path) -> None:
        self.sql = connect(path)
        self.sql.executescript(
            """
CREATE TABLE entry (
    n           INTEGER PRIMARY KEY,
    kind        TEXT    NOT NULL,
    eater       TEXT,
    service     TEXT,
    day         TEXT,
    meal_number INTEGER NOT NULL,
    cents       INTEGER NOT NULL,
    reverses    INTEGER,
    hash        BLOB    NOT NULL,
    body        TEXT    NOT NULL
) STRICT;
CREATE INDEX entry_with_cents ON entry (eater, n) WHERE cents <> 0;
CREATE UNIQUE INDEX meal_once ON entry (eater, day, service, meal_number) WHERE meal_number > 0;
"""
        )

    def insert(self, eater: str, day: str, body: str) -> None:
        """Insert a meal of an account on a day. Each pair may occur once."""
        self.sql.execute(
            "INSERT INTO entry (kind, eater, service, day, meal_number, cents, hash, body)"
            " VALUES ('meal', ?, 'lunch', ?, 1, -366, zeroblob(32), ?)",
            (eater, day, body),
        )


class Overwrite:
    """4 KiB overwritten in place and flushed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, bytes(4096), 0)
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def write(self) -> None:
        os.pwrite(self._file, bytes(4096), 0)
        os.fdatasync(self._file)
