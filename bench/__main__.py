"""All measures beside their floors: python -m bench [--write] [--compare FILE]. A benchmark, never a test: machines differ."""

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.chain import chain
from bench.measure import Row
from bench.process import backlog, block_device, start_memory_and_idling
from bench.readers import readers
from bench.taps import (
    tap_beside_a_busy_thread,
    tap_beside_its_floors,
    tap_beside_the_obvious_script,
    tap_in_a_large_file,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
TAPS = 2_000
HEAD = """# What it costs

Printed by `make bench`; every figure stands beside its floor, measured in turn in the same run. Machines differ and are
noisy: read the ratios. Nothing here ran on a Raspberry Pi or on an SD card.

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/reference/performance.md")
    parser.add_argument("--save", type=Path, default=None, help="keep the figures in this file")
    parser.add_argument(
        "--compare", type=Path, default=None, help="show the ratios of a saved run beside these"
    )
    given = parser.parse_args()
    before = (
        {row.what: row for row in msgspec.json.decode(given.compare.read_bytes(), type=list[Row])}
        if given.compare
        else {}
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-of-") as text:
        folder = Path(text).resolve()
        rows += tap_beside_its_floors(folder, TAPS)
        rows += tap_in_a_large_file(folder, TAPS)
        rows += tap_beside_a_busy_thread(folder, TAPS)
        rows += tap_beside_the_obvious_script(folder, TAPS // 2)
        rows += block_device(folder)
        for number, measure in enumerate((start_memory_and_idling, backlog, chain, readers)):
            (place := folder / str(number)).mkdir()
            rows += measure(place)
    table = _table(rows, before)
    print(table)
    if given.save is not None:
        given.save.write_bytes(msgspec.json.encode(rows))
    if given.write:
        DOCUMENT.write_text(HEAD + table + "\n", encoding="utf-8")
    return 0


def _table(rows: list[Row], before: dict[str, Row]) -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    lines = [f"{machine}, SQLite {sqlite3.sqlite_version}, {datetime.now(UTC):%Y-%m-%d}", ""]
    extra = " | before" if before else ""
    lines += [
        f"| measure | value | floor | ratio | p99 ratio | goal{extra} |",
        "|---" * (7 if before else 6) + "|",
    ]
    for row in rows:
        cells = [
            row.what,
            row.value,
            row.floor,
            _number(row.ratio),
            _number(row.p99_ratio),
            row.goal,
        ]
        if before:
            cells.append(_number(before[row.what].ratio) if row.what in before else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


if __name__ == "__main__":
    sys.exit(main())
