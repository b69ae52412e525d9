"""Mutate modules and count which mutants the tests notice: python -m tests.mutants [ROOM ...].

Each mutant is written into a copy of the project. Its module's own tests run first, then those of
its room, some seeds of the simulator, and the stories: it survives if all pass. A time-out counts
as noticed.
"""

import argparse
import itertools
import os
import random
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.accepted import ACCEPTED
from tests.mutants.mutant import Mutant, mutants_of
from tests.mutants.rooms import ROOMS, SIMULATED_SEEDS, STORIES, Room
from tests.mutants.step import passes
from tests.simulation.planted_bug import ROOT

_TIMES_S = itertools.count(1)
NOT_COPIED = (".venv*", ".git", ".make", "__pycache__", "node_modules", ".*_cache")


def main() -> int:
    """Print survivors and the table of rooms. Return 1 if a room missed its goal."""
    given = _parser().parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    rooms = {name: ROOMS[name] for name in given.rooms or ROOMS}
    rows = []
    with tempfile.TemporaryDirectory(prefix="canteen-mutants-") as folder:
        copies = _copies(Path(folder), given.workers)
        for name, room in rooms.items():
            _require_passing(room, copies)
            chosen = _chosen(room, given.sample, seed)
            rows.append((name, room.goal, _try_all(room, chosen, copies)))
    print("\n| room | mutants | killed | accepted | survived | killed of the others, % | goal |")
    print("|---|---|---|---|---|---|---|")
    missed = 0
    for name, goal, counts in rows:
        others = max(1, counts.total() - counts["accepted"])
        share = 100 * counts["killed"] / others
        missed += share < goal
        cells = (counts.total(), counts["killed"], counts["accepted"], counts["survived"])
        print(f"| {name} | {' | '.join(map(str, cells))} | {share:.1f} | {goal} |")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="default: all")
    parser.add_argument("--sample", type=int, default=None, help="try so many of each room")
    parser.add_argument("--seed", type=int, default=None, help="of the sample; default random")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time; default 2")
    return parser


def _copies(folder: Path, workers: int) -> SimpleQueue[Path]:
    """Return copies of the project, one for each worker."""
    copies: SimpleQueue[Path] = SimpleQueue()
    for number in range(workers):
        copy = folder / str(number)
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        copies.put(copy)
    return copies


def _chosen(room: Room, sample: int | None, seed: int) -> list[Mutant]:
    files = sorted(
        path.relative_to(ROOT).as_posix() for glob in room.modules for path in ROOT.glob(glob)
    )
    every = [mutant for file in files for mutant in mutants_of(file)]
    if sample is None or sample >= len(every):
        return every
    return random.Random(seed).sample(every, sample)


def _require_passing(room: Room, copies: SimpleQueue[Path]) -> None:
    """Raise `RuntimeError` if a step fails without a mutant: then it would notice everything."""
    files = (path for glob in room.modules for path in ROOT.glob(glob))
    every = (_steps(room, file.relative_to(ROOT).as_posix()) for file in files)
    copy = copies.get()
    for words in {tuple(words) for steps in every for words in steps}:
        if not passes(words, copy):
            raise RuntimeError(f"without a mutant this fails: {' '.join(words)}")
    copies.put(copy)


def _try_all(room: Room, chosen: Sequence[Mutant], copies: SimpleQueue[Path]) -> Counter[str]:
    """Print each survivor; return how many were killed, accepted, or survived."""

    def try_mutant(mutant: Mutant) -> str:
        copy = copies.get()
        try:
            return _fate(room, mutant, copy)
        finally:
            copies.put(copy)

    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(max_workers=copies.qsize()) as workers:
        for mutant, fate in zip(chosen, workers.map(try_mutant, chosen), strict=True):
            counts[fate] += 1
            if fate == "survived":
                print(mutant, flush=True)
    return counts


def _fate(room: Room, mutant: Mutant, copy: Path) -> str:
    if (mutant.file, mutant.was, mutant.becomes) in {entry[:3] for entry in ACCEPTED}:
        return "accepted"
    path = copy / mutant.file
    original = path.read_text(encoding="utf-8")
    _write(path, mutant.text)
    try:
        passed = all(passes(words, copy) for words in _steps(room, mutant.file))
    finally:
        _write(path, original)
    return "survived" if passed else "killed"


def _write(path: Path, text: str) -> None:
    """Write a module with a time of its own.

    Python takes a compiled module for current if time and size of its source are the same.
    """
    path.write_text(text, encoding="utf-8")
    os.utime(path, times=(next(_TIMES_S),) * 2)


def _steps(room: Room, file: str) -> Iterator[list[str]]:
    """Yield the commands that a mutant must pass to survive, the quickest first."""
    # pytest cannot rewrite the assertions of libraries that are loaded already. The profile `ci` of
    # hypothesis has no deadlines, which a busy machine misses, and takes the same examples always.
    pytest = ["pytest", "-x", "-q", "-p", "no:randomly", "--assert=plain"]
    pytest += ["--hypothesis-profile=ci"]
    parts = Path(file).relative_to("agent")
    own = sorted(ROOT.glob(f"tests/{parts.parent}/test_{parts.stem}*.py"))
    if own:
        yield [*pytest, *(path.relative_to(ROOT).as_posix() for path in own)]
    yield [*pytest, *room.tests]
    if room.is_simulated:
        yield ["tests.simulation", "--first", "1", "--seeds", str(SIMULATED_SEEDS), "--no-shrink"]
        yield [*pytest, *STORIES]


if __name__ == "__main__":
    sys.exit(main())
