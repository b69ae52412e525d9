"""Runs of the simulator: many seeds, one failure made short, one run replayed.

A run is named `seed:steps` and, when shrunk, `seed:steps:kept`, where `kept` are the numbers of the steps that are done, as in
`17:1000:4,90-93`. The same name is the same run, byte for byte, until the scripts of seeds are drawn in another way; a failure
that was mended is kept as a file of its steps (tests/simulation/failures/).
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

from tests.simulation.script import Step, Town, script, text_of, town_of
from tests.simulation.simulation import Simulation

STEPS = 600
SHRINK_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """A town and numbered steps. `name` is how it is called again."""

    name: str
    town: Town
    steps: tuple[tuple[int, Step], ...]

    def keeping(self, steps: Sequence[tuple[int, Step]]) -> "Run":
        """Return this run with some of its steps."""
        base = ":".join(self.name.split(":")[:2])
        return Run(f"{base}:{_ranges([number for number, _ in steps])}", self.town, tuple(steps))


@dataclass(frozen=True, slots=True)
class Failure:
    """`after` is the number of the step that failed, None when it was the rest at the end. `kind` tells failures apart."""

    after: int | None
    sentence: str
    kind: str
    trace: str


def of_seed(seed: int, steps: int) -> Run:
    town, chosen = script(seed, steps)
    return Run(f"{seed}:{steps}", town, tuple(enumerate(chosen)))


def parse(name: str) -> Run:
    """Return a run from its name or from a file of old failures. Raise `ValueError`."""
    if name.endswith(".txt"):
        lines = [
            line
            for line in Path(name).read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        return Run(
            name, town_of(lines[0]), tuple(enumerate(Step.parse(line) for line in lines[1:]))
        )
    parts = name.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(
            f"{name!r} is no run; write seed:steps, as in 17:1000, or name a file of tests/simulation/failures/"
        )
    run = of_seed(int(parts[0]), int(parts[1]))
    if len(parts) == 2:
        return run
    spans = [span.partition("-") for span in parts[2].split(",") if span]
    return run.keeping(
        [
            run.steps[n]
            for first, _, last in spans
            for n in range(int(first), int(last or first) + 1)
        ]
    )


def write(run: Run, sentence: str) -> str:
    """Return a run as the text of a file of old failures: it stays what it is when the scripts of seeds change."""
    return (
        "\n".join(
            [
                f"# {sentence}",
                f"# {run.name}",
                text_of(run.town),
                *(str(step) for _, step in run.steps),
            ]
        )
        + "\n"
    )


def attempt(run: Run, tell: Callable[[int, Step], object] | None = None) -> Failure | None:
    """Do a run; return what went wrong, None if nothing did."""
    return watch(run, tell)[0]


def watch(
    run: Run, tell: Callable[[int, Step], object] | None = None
) -> tuple[Failure | None, str]:
    """Do a run; return what went wrong and SHA-256 over every message published. `tell` hears each step before it is done."""
    folder = Path(tempfile.mkdtemp(prefix="canteen-sim-"))
    simulation: Simulation | None = None
    after: int | None = None
    try:
        simulation = Simulation(folder, run.town)
        for number, step in run.steps:
            after = number
            if tell is not None:
                tell(number, step)
            simulation.do(step)
        after = None
        simulation.run([])
        return None, simulation.engine.messages.hexdigest()
    except Exception as error:  # whatever the code under test raises is a finding
        frames = traceback.extract_tb(error.__traceback__)
        where = next(
            (frame for frame in reversed(frames) if "invariants" in frame.filename), frames[-1]
        )
        sentence = f"{type(error).__name__}: {error}"
        failure = Failure(
            after,
            sentence,
            f"{type(error).__name__} {where.name}",
            "".join(traceback.format_exception(error)),
        )
        return failure, simulation.engine.messages.hexdigest() if simulation else ""
    finally:
        if simulation is not None:
            simulation.close()
        shutil.rmtree(folder, ignore_errors=True)


def shrink(run: Run, failure: Failure, seconds: float = SHRINK_S) -> tuple[Run, Failure]:
    """Leave out as many steps as possible so that it still fails in the same place (delta debugging, Zeller 1999)."""
    deadline = time.monotonic() + seconds
    kept = [pair for pair in run.steps if failure.after is None or pair[0] <= failure.after]
    size = max(1, len(kept) // 2)
    while size >= 1 and time.monotonic() < deadline:
        start, shorter = 0, False
        while start < len(kept) and time.monotonic() < deadline:
            fewer = kept[:start] + kept[start + size :]
            again = attempt(run.keeping(fewer))
            if again is not None and again.kind == failure.kind:
                kept, failure, shorter = fewer, again, True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2
    return run.keeping(kept), failure


def explore(
    first: int, seeds: int, steps: int, seconds: float | None
) -> tuple[int, int, tuple[Run, Failure] | None]:
    """Run seeds in order until one fails, all are done or the time is over. Return (seeds, steps) done and the failure."""
    begun, done = time.monotonic(), 0
    for seed in range(first, first + seeds):
        run = of_seed(seed, steps)
        failure = attempt(run)
        if failure is not None:
            return done, done * steps, (run, failure)
        done += 1
        if seconds is not None and time.monotonic() - begun >= seconds:
            break
    return done, done * steps, None


def report(run: Run, failure: Failure) -> str:
    """Return what a person needs: the sentence, the steps, and the command that does it again."""
    lines = [f"FAILED {':'.join(run.name.split(':')[:2])}", f"  {failure.sentence}", "  steps:"]
    lines += [f"    {number:5d}  {step}" for number, step in run.steps]
    lines.append(f"  again: make sim-replay RUN={run.name}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument(
        "--first", type=int, default=None, help="the first seed; a fresh one if none is given"
    )
    parser.add_argument("--seconds", type=float, default=None, help="stop after so long")
    parser.add_argument("--replay", metavar="RUN", type=parse, default=None)
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument(
        "--keep", metavar="FILE", type=Path, default=None, help="write a shrunk failure there"
    )
    given = parser.parse_args(arguments)
    if given.replay is not None:
        failure, messages = watch(given.replay, lambda number, step: print(f"{number:5d}  {step}"))
        print(f"every message: {messages}")
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
    if given.keep is not None:
        given.keep.write_text(write(run, failure.sentence), encoding="utf-8")
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
