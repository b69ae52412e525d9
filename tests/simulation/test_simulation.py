"""The simulator in CI: a fixed set of seeds, every old failure, the same run twice, and proof that it bites."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, Bug, bite, planted, simulate
from tests.simulation.run import attempt, explore, parse, report, shrink
from tests.simulation.script import script

FAILURES = sorted((Path(__file__).parent / "failures").glob("*.txt"))
FIXED_SEEDS = 150
ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_first_seeds_find_nothing() -> None:
    """Always the same runs, so that a change is judged by them alone; fresh ones are for `make sim`."""
    done, _, found = explore(1, seeds=FIXED_SEEDS, steps=600, seconds=None)
    if found is not None:
        pytest.fail(report(*shrink(*found, seconds=30)))
    assert done == FIXED_SEEDS


@pytest.mark.parametrize("file", FAILURES, ids=lambda file: file.stem)
def test_an_old_failure_does_not_come_back(file: Path) -> None:
    failure = attempt(parse(str(file)))
    assert failure is None, failure.trace


def test_the_same_name_is_the_same_run_byte_for_byte() -> None:
    """In two processes whose sets and dicts are ordered differently."""
    command = [sys.executable, "-m", "tests.simulation", "--replay", "7:400"]
    printed = [
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for salt in ("1", "2")
    ]
    assert "nothing failed" in printed[0] and "every message: " in printed[0]
    assert printed[0] == printed[1]


def test_a_seed_with_more_steps_begins_alike() -> None:
    town, steps = script(5, 300)
    assert script(5, 100) == (town, steps[:100])


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_planted_bug_still_has_its_place(bug: Bug) -> None:
    assert bug.texts()


def test_a_failure_is_made_short_and_its_name_does_it_again() -> None:
    bug = next(bug for bug in BUGS if bug.name == "own entries after h are left out of the balance")
    with planted(bug) as folder:
        found = simulate(folder, "--first", "1", "--seeds", "50", "--steps", "300")
        name = found.stdout.strip().rpartition("RUN=")[2]
        again = simulate(folder, "--replay", name)
    sentence = found.stdout.splitlines()[3].strip()
    assert found.returncode == again.returncode == 1
    assert sentence in again.stdout
    assert len(parse(name).steps) < 30
    assert attempt(parse(name)) is None  # without the bug


@pytest.mark.parametrize("bug", BUGS[:8], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """The first of the list; all of them: make sim-bite."""
    assert bite(bug).seeds is not None
