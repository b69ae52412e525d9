"""All measures beside their floors: `python -m bench`. It is no test, since machines differ.

`--only` runs some of the measures. `--against DIR` runs them in turn with those of another tree of
this project, on the same disk, and prints both: so a change is judged in one run.
"""

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.books import books
from bench.chain import chain
from bench.compare import compare
from bench.measure import Row
from bench.payments import payments
from bench.process import backlog, block_device, start_memory_and_idling
from bench.readers import readers
from bench.screen import screen
from bench.taps import (
    tap_beside_a_busy_thread,
    tap_beside_its_floors,
    tap_beside_the_obvious_script,
    tap_in_a_large_file,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
HEAD = """# What it costs

Printed by `make bench`. Each figure stands beside its baseline, the lowest possible value.
Both are measured in turn in the same run.
Machines differ: compare the ratios. Nothing was measured on a Raspberry Pi or on an SD card.

"""


class Measure(NamedTuple):
    """A function that returns rows. `taps` is its second argument, 0 if it has none."""

    run: Callable[..., list[Row]]
    taps: int = 0

    @property
    def arguments(self) -> tuple[int, ...]:
        return (self.taps,) if self.taps else ()


MEASURES = {
    "tap": Measure(tap_beside_its_floors, 2_000),
    "large-file": Measure(tap_in_a_large_file, 2_000),
    "busy-thread": Measure(tap_beside_a_busy_thread, 2_000),
    "obvious-script": Measure(tap_beside_the_obvious_script, 1_000),
    "block-device": Measure(block_device),
    "start": Measure(start_memory_and_idling),
    "backlog": Measure(backlog),
    "chain": Measure(chain),
    "readers": Measure(readers),
    "screen": Measure(screen),
    "books": Measure(books),
    "payments": Measure(payments),
}


def main() -> int:
    given = _parser().parse_args()
    chosen = {name: MEASURES[name] for name in given.only or MEASURES}
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-of-") as text:
        folder = Path(text).resolve()
        if given.against is not None:
            for measure in chosen.values():
                print(compare(measure.run, measure.arguments, given.against.resolve(), folder))
            return 0
        rows: list[Row] = []
        for name, measure in chosen.items():
            (place := folder / name).mkdir()
            rows += measure.run(place, *measure.arguments)
    before = _saved(given.compare) if given.compare else {}
    table = _table(rows, before)
    print(table)
    if given.save is not None:
        given.save.write_bytes(msgspec.json.encode(rows))
    if given.write:
        DOCUMENT.write_text(HEAD + table + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/reference/performance.md")
    parser.add_argument("--save", type=Path, default=None, help="save the figures in this file")
    parser.add_argument(
        "--compare", type=Path, default=None, help="print the ratios of a saved run beside these"
    )
    parser.add_argument(
        "--only", action="append", choices=MEASURES, default=None, help="run only this measure"
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR", default=None, help="run another tree's bench in turn"
    )
    return parser


def _saved(path: Path) -> dict[tuple[str, str], Row]:
    rows = msgspec.json.decode(path.read_bytes(), type=list[Row])
    return {_key(row): row for row in rows}


def _key(row: Row) -> tuple[str, str]:
    """Return what names a row: one measure may stand beside several floors."""
    return row.what, row.floor.partition(":")[0]


def _table(rows: list[Row], before: dict[tuple[str, str], Row]) -> str:
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    head = ["measure", "value", "baseline", "ratio", "p99 ratio", "goal"]
    head += ["before"] if before else []
    lines = [f"{machine}, {datetime.now(UTC):%Y-%m-%d}", "", _line(head), "|---" * len(head) + "|"]
    for row in rows:
        ratios = [_number(row.ratio), _number(row.p99_ratio)]
        cells = [row.what, row.value, row.floor, *ratios, row.goal]
        if before:
            cells.append(_number(before[_key(row)].ratio) if _key(row) in before else "")
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


if __name__ == "__main__":
    sys.exit(main())
