"""Runs of the simulator: try many seeds, shrink a failure, replay one run.

A run is named `seed:steps`, or `seed:steps:kept` after shrinking. `kept` are the numbers of the
steps that remain, as in `17:1000:4,90-93`. One name gives the same bytes each time, until script.py
draws scripts in another way. So a failure that was fixed is kept as a file of its steps, in
tests/simulation/failures/.
"""

import argparse
import secrets
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.simulation.script import Step, Town, script, text_of, town_of
from tests.simulation.simulation import Simulation

STEPS = 600
SHRINK_S = 60.0
Make = Callable[[Path, Town], Simulation]


@dataclass(frozen=True, slots=True)
class Run:
    """A town and numbered steps. `name` identifies the run in `--replay`."""

    name: str
    town: Town
    steps: tuple[tuple[int, Step], ...]

    def keeping(self, steps: Sequence[tuple[int, Step]]) -> "Run":
        """Return this run with some of its steps."""
        base = ":".join(self.name.split(":")[:2])
        return Run(f"{base}:{_ranges([number for number, _ in steps])}", self.town, tuple(steps))


@dataclass(frozen=True, slots=True)
class Failure:
    """What broke.

    `after` is the number of the step that failed, None if the final rest failed. Two failures with
    the same `kind` count as the same failure when a run is shrunk.
    """

    after: int | None
    sentence: str
    kind: str
    trace: str


class Explored(NamedTuple):
    """How many seeds and steps passed, and the run that failed, if one did."""

    seeds: int
    steps: int
    failed: tuple[Run, Failure] | None


def run_of_seed(seed: int, steps: int) -> Run:
    town, chosen = script(seed, steps)
    return Run(f"{seed}:{steps}", town, tuple(enumerate(chosen)))


def parse(name: str) -> Run:
    """Return a run from its name or from a file of failures/. Raise `ValueError`."""
    if name.endswith(".txt"):
        text = Path(name).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        steps = (Step.parse(line) for line in lines[1:])
        return Run(name, town_of(lines[0]), tuple(enumerate(steps)))
    parts = name.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(
            f"{name!r} is no run; write seed:steps, as in 17:1000, "
            "or name a file of tests/simulation/failures/"
        )
    run = run_of_seed(int(parts[0]), int(parts[1]))
    if len(parts) == 2:
        return run
    spans = [span.partition("-") for span in parts[2].split(",") if span]
    kept = [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]
    return run.keeping([run.steps[n] for n in kept])


def write(run: Run, sentence: str) -> str:
    """Return a run as the text of a file of failures/, which names every step."""
    steps = [str(step) for _, step in run.steps]
    return "\n".join([f"# {sentence}", f"# {run.name}", text_of(run.town), *steps]) + "\n"


def attempt(run: Run, make: Make = Simulation) -> Failure | None:
    """Do a run. Return its failure, or None."""
    return watch(run, make=make)[0]


def watch(
    run: Run,
    before_step: Callable[[int, Step], object] | None = None,
    *,
    make: Make = Simulation,
) -> tuple[Failure | None, str]:
    """Do a run. Return its failure, or None, and SHA-256 over every message published.

    `before_step` is called with each step and its number. `make` returns the town at work.
    """
    folder = Path(tempfile.mkdtemp(prefix="canteen-sim-"))
    simulation: Simulation | None = None
    after: int | None = None
    try:
        simulation = make(folder, run.town)
        for number, step in run.steps:
            after = number
            if before_step is not None:
                before_step(number, step)
            simulation.do(step)
        after = None
        simulation.run([])
        return None, simulation.engine.messages.hexdigest()
    except Exception as error:  # noqa: BLE001  # whatever the code under test raises is a finding
        return _failure(error, after), simulation.engine.messages.hexdigest() if simulation else ""
    finally:
        if simulation is not None:
            simulation.close()
        shutil.rmtree(folder, ignore_errors=True)


def _failure(error: Exception, after: int | None) -> Failure:
    """Return what an exception tells; its kind names the invariant that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    invariants = (frame for frame in reversed(frames) if "invariants" in frame.filename)
    where = next(invariants, frames[-1])
    name = type(error).__name__
    trace = "".join(traceback.format_exception(error))
    return Failure(after, f"{name}: {error}", f"{name} {where.name}", trace)


def shrink(
    run: Run, failure: Failure, seconds: float = SHRINK_S, *, make: Make = Simulation
) -> tuple[Run, Failure]:
    """Remove as many steps as possible while the run still fails in the same place.

    The method is delta debugging (Zeller 1999).
    """
    deadline = time.monotonic() + seconds
    kept = [pair for pair in run.steps if failure.after is None or pair[0] <= failure.after]
    size = max(1, len(kept) // 2)
    while size >= 1 and time.monotonic() < deadline:
        start, shorter = 0, False
        while start < len(kept) and time.monotonic() < deadline:
            fewer = kept[:start] + kept[start + size :]
            again = attempt(run.keeping(fewer), make)
            if again is not None and again.kind == failure.kind:
                kept, failure, shorter = fewer, again, True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2
    return run.keeping(kept), failure


def explore(
    first: int, seeds: int, steps: int, seconds: float | None, make: Make = Simulation
) -> Explored:
    """Run seeds in order until one fails, all passed, or `seconds` are over."""
    begun, done = time.monotonic(), 0
    for seed in range(first, first + seeds):
        run = run_of_seed(seed, steps)
        failure = attempt(run, make)
        if failure is not None:
            return Explored(done, done * steps, (run, failure))
        done += 1
        if seconds is not None and time.monotonic() - begun >= seconds:
            break
    return Explored(done, done * steps, None)


def report(run: Run, failure: Failure, settings: str = "") -> str:
    """Return the sentence, the steps, and the command that replays the run, with its settings."""
    lines = [f"FAILED {':'.join(run.name.split(':')[:2])}", f"  {failure.sentence}", "  steps:"]
    lines += [f"    {number:5d}  {step}" for number, step in run.steps]
    lines.append(f"  replay it: make sim-replay RUN={run.name}{settings}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if not given.postgres:
        return _main(given, Simulation)
    # imported here: only PostgreSQL needs its driver
    from tests.parts.postgres import Postgres
    from tests.simulation.postgres import TownSimulation

    with Postgres() as server:
        return _main(given, partial(TownSimulation, server))


def _main(given: argparse.Namespace, make: Make) -> int:
    if given.replay is not None:
        failure, messages = watch(
            given.replay, lambda number, step: print(f"{number:5d}  {step}"), make=make
        )
        print(f"SHA-256 of all messages: {messages}")
        print(failure.trace if failure else "nothing failed")
        return 1 if failure else 0
    first = secrets.randbelow(2**32) if given.first is None else given.first
    print(f"seeds from {first}, {given.steps} steps each")
    begun = time.monotonic()
    explored = explore(first, given.seeds, given.steps, given.seconds, make)
    passed_s = time.monotonic() - begun
    speed = explored.steps / passed_s
    cpu_s = time.process_time()
    print(
        f"{explored.seeds} seeds, {explored.steps} steps in {passed_s:.0f} s,"
        f" {speed:.0f} steps a second, {cpu_s:.1f} s of processor time"
    )
    if explored.failed is None:
        return 0
    run, failure = explored.failed
    if not given.no_shrink:
        run, failure = shrink(run, failure, make=make)
    if given.keep is not None:
        given.keep.write_text(write(run, failure.sentence), encoding="utf-8")
    print(report(run, failure, " POSTGRES=1" if given.postgres else ""))
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds; default 100")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"per seed; default {STEPS}")
    parser.add_argument("--first", type=int, default=None, help="the first seed; default random")
    parser.add_argument("--seconds", type=float, default=None, help="stop after so long")
    parser.add_argument(
        "--replay", metavar="RUN", type=parse, default=None, help="do one run and print its steps"
    )
    parser.add_argument(
        "--postgres", action="store_true", help="the central on a PostgreSQL server, which fails"
    )
    parser.add_argument("--no-shrink", action="store_true", help="print a failure as it was found")
    parser.add_argument(
        "--keep", metavar="FILE", type=Path, default=None, help="write a shrunk failure there"
    )
    return parser


def _ranges(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
