"""Run one measure of this tree and of another tree in turn, each with its own code."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.measure import Row

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
TIMEOUT_S = 3_600
# Runs in the tree that is measured. Rows go to stdout as JSON.
DRIVER = """
import importlib, pathlib, sys
import msgspec
module, function, folder, *numbers = sys.argv[1:]
measure = getattr(importlib.import_module(module), function)
rows = measure(pathlib.Path(folder), *map(int, numbers))
sys.stdout.buffer.write(b"ROWS " + msgspec.json.encode(rows))
"""


def compare(
    run: Callable[..., list[Row]], arguments: Sequence[int], other: Path, folder: Path
) -> str:
    """Return a table: for each row the median round of this tree and that of the other one.

    `arguments` are numbers of taps; a round does its part of them. A row that only one tree has
    stands alone. `folder` holds the files of all rounds.
    """
    numbers = [str(taps // ROUNDS) for taps in arguments]
    words = (run.__module__, run.__name__)
    ours: list[list[Row]] = []
    theirs: list[list[Row]] = []
    for number in range(ROUNDS):
        for tree, rounds in ((ROOT, ours), (other, theirs)):
            (place := folder / f"{run.__name__}-{number}-{len(rounds)}-{tree.name}").mkdir()
            rounds.append(_rows(tree, [*words, str(place), *numbers]))
    head = f"| measure | floor | {ROOT} | ratio | {other} | ratio |\n{'|---' * 6}|"
    return "\n".join([head, *_lines(_medians(ours), _medians(theirs))])


def _rows(tree: Path, words: Sequence[str]) -> list[Row]:
    """Run the driver in a tree, with the tree's own environment if it has one."""
    python = tree / ".venv" / "bin" / "python"
    command = [str(python) if python.exists() else sys.executable, "-c", DRIVER, *words]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S
    )
    return msgspec.json.decode(done.stdout.rpartition(b"ROWS ")[2], type=list[Row])


def _medians(rounds: list[list[Row]]) -> dict[tuple[str, str], Row]:
    """Return (measure, floor) -> the row of the median round."""
    by_key: dict[tuple[str, str], list[Row]] = {}
    for rows in rounds:
        for row in rows:
            by_key.setdefault((row.what, row.floor.partition(":")[0]), []).append(row)
    return {key: sorted(rows, key=_size)[len(rows) // 2] for key, rows in by_key.items()}


def _size(row: Row) -> float:
    """Return what orders rows: the ratio, or the number with which the value begins."""
    return row.ratio if row.ratio is not None else float(row.value.split()[0].replace(",", ""))


def _lines(ours: dict[tuple[str, str], Row], theirs: dict[tuple[str, str], Row]) -> list[str]:
    lines = []
    for what, floor in [*ours, *(key for key in theirs if key not in ours)]:
        cells = [what, floor]
        for rows in (ours, theirs):
            row = rows.get((what, floor))
            ratio = "" if row is None or row.ratio is None else f"{row.ratio:.2f}"
            cells += ["" if row is None else row.value, ratio]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
