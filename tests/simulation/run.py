"""Runs of the simulator: many seeds, one failure made short, one run replayed.

A run is named `seed:steps` and, when shrunk, `seed:steps:kept`, where `kept` are the numbers of the steps that are done, as in
`17:1000:4,90-93`. The same name is the same run, byte for byte.
"""

import argparse
import secrets
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.script import Step, script
from tests.simulation.simulation import Simulation

STEPS = 600
SHRINK_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """`kept` None: all steps."""

    seed: int
    steps: int
    kept: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.seed}:{self.steps}" + ("" if self.kept is None else f":{_ranges(self.kept)}")

    def chosen(self) -> list[tuple[int, Step]]:
        steps = list(enumerate(script(self.seed, self.steps)[1]))
        return steps if self.kept is None else [steps[n] for n in self.kept]


@dataclass(frozen=True, slots=True)
class Failure:
    """`after` is the number of the step that failed, None when it was the rest at the end. `kind` tells failures apart."""

    after: int | None
    sentence: str
    kind: str
    trace: str


def parse(name: str) -> Run:
    """Return a run from its name. Raise `ValueError`."""
    parts = name.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"{name!r} is no run; write seed:steps, as in 17:1000")
    kept = None
    if len(parts) == 3:
        kept = tuple(
            n
            for span in parts[2].split(",")
            if span
            for first, _, last in [span.partition("-")]
            for n in range(int(first), int(last or first) + 1)
        )
    return Run(int(parts[0]), int(parts[1]), kept)


def attempt(run: Run, tell: Callable[[int, Step], object] | None = None) -> Failure | None:
    """Do a run; return what went wrong, None if nothing did. `tell` hears each step before it is done."""
    folder = Path(tempfile.mkdtemp(prefix="canteen-sim-", dir=_fast_disk()))
    simulation: Simulation | None = None
    after: int | None = None
    try:
        simulation = Simulation(folder, script(run.seed, 0)[0])
        for number, step in run.chosen():
            after = number
            if tell is not None:
                tell(number, step)
            simulation.do(step)
        after = None
        simulation.run([])
        return None
    except Exception as error:  # noqa: BLE001  # whatever the code under test raises is a finding
        frames = traceback.extract_tb(error.__traceback__)
        where = next((frame for frame in reversed(frames) if "invariants" in frame.filename), frames[-1])
        sentence = f"{type(error).__name__}: {error}"
        return Failure(after, sentence, f"{type(error).__name__} {where.name}", "".join(traceback.format_exception(error)))
    finally:
        if simulation is not None:
            simulation.close()
        shutil.rmtree(folder, ignore_errors=True)


def shrink(run: Run, failure: Failure, seconds: float = SHRINK_S) -> tuple[Run, Failure]:
    """Leave out as many steps as possible so that it still fails in the same place (delta debugging, Zeller 1999)."""
    deadline = time.monotonic() + seconds
    last = run.steps if failure.after is None else failure.after + 1
    kept = [number for number, _ in run.chosen() if number < last]
    size = max(1, len(kept) // 2)
    while size >= 1 and time.monotonic() < deadline:
        start, shorter = 0, False
        while start < len(kept) and time.monotonic() < deadline:
            fewer = kept[:start] + kept[start + size :]
            again = attempt(Run(run.seed, run.steps, tuple(fewer)))
            if again is not None and again.kind == failure.kind:
                kept, failure, shorter = fewer, again, True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2
    return Run(run.seed, run.steps, tuple(kept)), failure


def explore(first: int, seeds: int, steps: int, seconds: float | None) -> tuple[int, int, tuple[Run, Failure] | None]:
    """Run seeds in order until one fails, all are done or the time is over. Return (seeds, steps) done and the failure."""
    begun, done = time.monotonic(), 0
    for seed in range(first, first + seeds):
        run = Run(seed, steps)
        failure = attempt(run)
        if failure is not None:
            return done, done * steps, (run, failure)
        done += 1
        if seconds is not None and time.monotonic() - begun >= seconds:
            break
    return done, done * steps, None


def report(run: Run, failure: Failure) -> str:
    """Return what a person needs: the sentence, the steps, and the command that does it again."""
    lines = [f"FAILED {run.seed}:{run.steps}", f"  {failure.sentence}", "  steps:"]
    lines += [f"    {number:5d}  {step}" for number, step in run.chosen()]
    lines.append(f"  again: make sim-replay RUN={run}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--first", type=int, default=None, help="the first seed; a fresh one if none is given")
    parser.add_argument("--seconds", type=float, default=None, help="stop after so long")
    parser.add_argument("--replay", metavar="RUN", type=parse, default=None)
    parser.add_argument("--no-shrink", action="store_true")
    given = parser.parse_args(arguments)
    if given.replay is not None:
        failure = attempt(given.replay, lambda number, step: print(f"{number:5d}  {step}"))
        print(failure.trace if failure else "nothing failed")
        return 1 if failure else 0
    first = secrets.randbelow(2**32) if given.first is None else given.first
    print(f"seeds from {first}, {given.steps} steps each")
    begun = time.monotonic()
    seeds, steps, found = explore(first, given.seeds, given.steps, given.seconds)
    seconds = time.monotonic() - begun
    print(f"{seeds} seeds, {steps} steps, {steps / seconds:.0f} steps a second")
    if found is None:
        return 0
    run, failure = found
    if not given.no_shrink:
        run, failure = shrink(run, failure)
    print(report(run, failure))
    return 1


def _ranges(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _fast_disk() -> Path | None:
    """Return memory that looks like a disk: what a flush costs is not the question here."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None
