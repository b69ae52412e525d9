"""Planted bugs and how soon the simulator finds each: `python -m tests.simulation.bugs [WORD ...]`.

`make sim-bite` runs it. The table is printed, never typed. The bugs are in bugs_in_*.py: counter,
payments, terminal, central.

Each run begins with the seed that found the bug the last time, then takes the seeds from the first
one on. `last_seeds.json` keeps these seeds. It says where to look first, never that a bug is found.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.simulation.bugs_in_central import CENTRAL_BUGS
from tests.simulation.bugs_in_counter import COUNTER_BUGS
from tests.simulation.bugs_in_payments import PAYMENT_BUGS
from tests.simulation.bugs_in_terminal import TERMINAL_BUGS
from tests.simulation.planted_bug import ROOT, Bug

BUGS = (*COUNTER_BUGS, *PAYMENT_BUGS, *TERMINAL_BUGS, *CENTRAL_BUGS)
STEPS = 600
FIRST_SEED = 1
LAST_SEEDS = Path(__file__).with_name("last_seeds.json")
TIMEOUT_S = 1200
CPU_S_MAX = 2 * 6 * 60
"""For all bugs: six minutes on two cores that do nothing else."""
SENTENCE_MAX = 90  # characters of an invariant's sentence that the table shows
# What Python raises when a change is no valid program. Such a bug proves nothing.
BROKEN_PROGRAM = ("NameError", "ImportError", "SyntaxError", "AttributeError")


@dataclass(frozen=True, slots=True)
class Detection:
    """`seed` failed; None if none did. `sentence` is the invariant's.

    `cpu_s` is the processor time: other work on the machine does not change it much.
    """

    bug: Bug
    seed: int | None
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


def detect(bug: Bug, last_seed: int | None = None, timeout_s: float = TIMEOUT_S) -> Detection:
    """Run the simulator on a planted bug until a seed fails, all passed, or the time is over.

    `last_seed` is tried before the others.
    """
    spans = [(FIRST_SEED, bug.runs)]
    if last_seed is not None:
        spans.insert(0, (last_seed, 1))
    cpu_s = 0.0
    try:
        with planted(bug) as folder:
            for first, seeds in spans:
                detection = _search(bug, folder, (first, seeds), timeout_s)
                cpu_s += detection.cpu_s
                if detection.seed is not None:
                    break
    except subprocess.TimeoutExpired:
        return Detection(bug, None, f"nothing failed in {timeout_s} s", timeout_s)
    return replace(detection, cpu_s=cpu_s)


def _search(bug: Bug, folder: Path, span: tuple[int, int], timeout_s: float) -> Detection:
    """Run the simulator on the program in a folder, with so many seeds from a first one on."""
    first, seeds = span
    runs = ("--first", str(first), "--seeds", str(seeds), "--steps", str(STEPS))
    done = simulate(folder, *runs, "--no-shrink", timeout_s=timeout_s)
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        return Detection(bug, None, "", _cpu_s(lines[1]))
    failed = [number for number, line in enumerate(lines) if line.startswith("FAILED")]
    if not failed:
        raise RuntimeError(f"{bug.name}: the simulator did not run:\n{done.stdout}{done.stderr}")
    sentence = lines[failed[0] + 1].strip()
    if sentence.startswith(BROKEN_PROGRAM):
        raise RuntimeError(f"{bug.name}: the change is no valid program: {sentence}")
    return Detection(bug, first + int(lines[1].split()[0]), sentence, _cpu_s(lines[1]))


def _cpu_s(line: str) -> float:
    """Return the processor time of the line that the simulator prints at its end."""
    return float(line.rpartition(", ")[2].split()[0])


def last_seeds() -> dict[str, int]:
    """Return by bug the seed that found it the last time."""
    seeds: dict[str, int] = json.loads(LAST_SEEDS.read_text(encoding="utf-8"))
    return seeds


def keep(detections: Sequence[Detection]) -> None:
    """Keep the seeds that found bugs. A bug that is gone, or was missed, has none any more."""
    known = last_seeds() | {detection.bug.name: detection.seed for detection in detections}
    kept = {bug.name: known[bug.name] for bug in BUGS if known.get(bug.name) is not None}
    LAST_SEEDS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Print the table, of all bugs or of those whose name contains every word that is given.

    Return 1 if the simulator missed one, or needed more than `CPU_S_MAX` for all.
    """
    chosen = [bug for bug in BUGS if all(word in bug.name for word in sys.argv[1:])]
    seeds = last_seeds()
    print(f"{len(chosen)} bugs, each with its last seed, then seeds from {FIRST_SEED}\n")
    print("| planted bug | seed that found it | seeds at most | CPU s | by |")
    print("|---|---|---|---|---|")
    detections = []
    with ThreadPoolExecutor(max_workers=2) as workers:
        for detection in workers.map(lambda bug: detect(bug, seeds.get(bug.name)), chosen):
            detections.append(detection)
            print(_row(detection), flush=True)
    keep(detections)
    cpu_s = sum(detection.cpu_s for detection in detections)
    print(f"\n{cpu_s:.0f} s of processor time; at most {CPU_S_MAX} s are allowed")
    missed = any(detection.seed is None for detection in detections)
    return 1 if missed or cpu_s > CPU_S_MAX else 0


def _row(detection: Detection) -> str:
    cells = (
        detection.bug.name,
        "NOT FOUND" if detection.seed is None else str(detection.seed),
        str(detection.bug.runs),
        f"{detection.cpu_s:.1f}",
        detection.sentence[:SENTENCE_MAX],
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
