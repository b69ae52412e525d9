"""How things are measured here: beside their floor, in turn, in the same run; medians, 99th percentiles and ratios."""

import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is of the medians, `p99_ratio` of the 99th percentiles; `goal` is what was asked for."""

    what: str
    value: str
    floor: str
    ratio: float | None
    p99_ratio: float | None
    goal: str


@dataclass(slots=True)
class Series:
    """Times in µs."""

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
    return Row(
        what,
        str(own),
        f"{floor_name}: {floor}",
        own.median / floor.median,
        own.p99 / floor.p99,
        goal,
    )


class BareInsert:
    """A file with one row a tap, as plain as SQLite allows: the same bytes, the same promise."""

    def __init__(self, path: Path) -> None:
        self._sql = sqlite3.connect(path, isolation_level=None)
        for pragma in (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", "synchronous = FULL"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._sql.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")

    def insert(self, body: str) -> None:
        self._sql.execute("INSERT INTO row (body) VALUES (?)", (body,))


class Overwrite:
    """4 KiB written over, and flushed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, bytes(4096), 0)
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def write(self) -> None:
        os.pwrite(self._file, bytes(4096), 0)
        os.fdatasync(self._file)
