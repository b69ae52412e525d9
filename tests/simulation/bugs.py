"""Planted bugs and how soon the simulator finds each: `python -m tests.simulation.bugs [WORD ...]`.

`make sim-bite` runs it. The table is printed, never typed. The bugs are in bugs_in_*.py: counter,
payments, terminal, central.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.bugs_in_central import CENTRAL_BUGS
from tests.simulation.bugs_in_counter import COUNTER_BUGS
from tests.simulation.bugs_in_payments import PAYMENT_BUGS
from tests.simulation.bugs_in_terminal import TERMINAL_BUGS
from tests.simulation.planted_bug import ROOT, Bug

BUGS = (*COUNTER_BUGS, *PAYMENT_BUGS, *TERMINAL_BUGS, *CENTRAL_BUGS)
STEPS = 600
FIRST_SEED = 1
TIMEOUT_S = 1200
CPU_S_MAX = 2 * 6 * 60
"""For all bugs: six minutes on two cores that do nothing else."""
SENTENCE_MAX = 90  # characters of an invariant's sentence that the table shows
# What Python raises when a change is no valid program. Such a bug proves nothing.
BROKEN_PROGRAM = ("NameError", "ImportError", "SyntaxError", "AttributeError")


@dataclass(frozen=True, slots=True)
class Detection:
    """`seeds` passed before one failed; None if none failed. `sentence` is the invariant's.

    `cpu_s` is the processor time: other work on the machine does not change it much.
    """

    bug: Bug
    seeds: int | None
    sentence: str
    cpu_s: float


@contextmanager
def planted(bug: Bug) -> Iterator[Path]:
    """Yield a folder with a copy of the program that has the bug; `simulate` runs there."""
    with tempfile.TemporaryDirectory(prefix="canteen-bug-") as name:
        folder = Path(name)
        shutil.copytree(
            ROOT / "agent", folder / "agent", ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / "tests").symlink_to(ROOT / "tests")
        for file, text in bug.texts().items():
            (folder / file).write_text(text, encoding="utf-8")
        yield folder


def simulate(
    folder: Path, *words: str, timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run the simulator on the program in a folder."""
    command = [sys.executable, "-m", "tests.simulation", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def detect(bug: Bug, timeout_s: float = TIMEOUT_S) -> Detection:
    """Run the simulator on a planted bug until a seed fails, all passed, or the time is over."""
    runs = ("--first", str(FIRST_SEED), "--seeds", str(bug.runs), "--steps", str(STEPS))
    try:
        with planted(bug) as folder:
            done = simulate(folder, *runs, "--no-shrink", timeout_s=timeout_s)
    except subprocess.TimeoutExpired:
        return Detection(bug, None, f"nothing failed in {timeout_s} s", timeout_s)
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        return Detection(bug, None, "", _cpu_s(lines[1]))
    failed = [number for number, line in enumerate(lines) if line.startswith("FAILED")]
    if not failed:
        raise RuntimeError(f"{bug.name}: the simulator did not run:\n{done.stdout}{done.stderr}")
    sentence = lines[failed[0] + 1].strip()
    if sentence.startswith(BROKEN_PROGRAM):
        raise RuntimeError(f"{bug.name}: the change is no valid program: {sentence}")
    return Detection(bug, int(lines[1].split()[0]), sentence, _cpu_s(lines[1]))


def _cpu_s(line: str) -> float:
    """Return the processor time of the line that the simulator prints at its end."""
    return float(line.rpartition(", ")[2].split()[0])


def main() -> int:
    """Print the table, of all bugs or of those whose name contains every word that is given.

    Return 1 if the simulator missed one, or needed more than `CPU_S_MAX` for all.
    """
    chosen = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    print(f"{len(chosen)} bugs, seeds from {FIRST_SEED}, {STEPS} steps each\n")
    print("| planted bug | found after seeds | of at most | CPU s | by |\n|---|---|---|---|---|")
    missed, cpu_s = 0, 0.0
    with ThreadPoolExecutor(max_workers=2) as workers:
        for detection in workers.map(detect, chosen):
            missed += detection.seeds is None
            cpu_s += detection.cpu_s
            print(_row(detection), flush=True)
    print(f"\n{cpu_s:.0f} s of processor time; at most {CPU_S_MAX} s are allowed")
    return 1 if missed or cpu_s > CPU_S_MAX else 0


def _row(detection: Detection) -> str:
    after = "NOT FOUND" if detection.seeds is None else str(detection.seeds + 1)
    cells = (
        detection.bug.name,
        after,
        str(detection.bug.runs),
        f"{detection.cpu_s:.1f}",
        detection.sentence[:SENTENCE_MAX],
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
