"""What a tap costs: facts, decide and commit beside a bare insert of the same bytes, and a 4 KiB overwrite, interleaved.

`python -m bench.tap [TAPS]` prints medians, 99th percentiles and ratios. A benchmark, never a test: machines differ.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agent.domain.card import parse_card_id
from agent.readers.events import CardPresented
from tests.parts.wire import Wire

ACCOUNTS = 1_000


def main(taps: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        place = Path(folder)
        wire = Wire(place)
        wire.central.policy()
        cards = [f"em:01{n:08x}" for n in range(ACCOUNTS)]
        for n, card in enumerate(cards):
            wire.central.add_account(f"a-{n}", cards=(card,))
        wire.connect()
        wire.box.db.reserve()
        shown = [CardPresented(reader="counter", card=parse_card_id(card), tap=1) for card in cards]
        floor = _bare(place / "floor.db")
        block = os.open(place / "block", os.O_RDWR | os.O_CREAT)
        os.pwrite(block, bytes(4096), 0)
        tap_us, insert_us, write_us = [], [], []
        for n in range(taps):
            if n % ACCOUNTS == 0:
                wire.clock.pass_ms(24 * 3_600_000 * (3 if wire.clock.now.isoweekday() == 5 else 1))
            tap_us.append(_timed(lambda: wire.box.handle(shown[n % ACCOUNTS])))  # noqa: B023
            body = wire.box.db.sql.execute("SELECT body FROM entry ORDER BY n DESC LIMIT 1").fetchone()[0]
            insert_us.append(_timed(lambda: floor.execute("INSERT INTO row (body) VALUES (?)", (body,))))  # noqa: B023
            write_us.append(_timed(lambda: _overwrite(block)))
        os.close(block)
    print(f"{taps} taps, {ACCOUNTS} accounts, SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}")
    print(f"{'':38}{'median µs':>10}{'p99 µs':>10}{'ratio':>8}{'p99 ratio':>10}")
    for name, values in (
        ("tap: facts, decide, commit", tap_us),
        ("bare insert, WAL FULL", insert_us),
        ("4 KiB overwrite + fdatasync", write_us),
    ):
        median, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
        ratio, p99_ratio = statistics.median(tap_us) / median, statistics.quantiles(tap_us, n=100)[98] / p99
        print(f"{name:38}{median:10.0f}{p99:10.0f}{ratio:8.2f}{p99_ratio:10.2f}")


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size = 2048", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
    return connection


def _overwrite(block: int) -> None:
    os.pwrite(block, bytes(4096), 0)
    os.fdatasync(block)


def _timed(work: Callable[[], object]) -> float:
    before = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - before) / 1_000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3_000)
