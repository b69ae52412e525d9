"""The simulator in CI: fixed seeds, all earlier failures, reproducible runs, planted bugs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, detect, last_seeds, planted, simulate
from tests.simulation.planted_bug import ROOT, Bug, Change
from tests.simulation.run import attempt, explore, parse, report, shrink
from tests.simulation.script import script

FAILURES = sorted((Path(__file__).parent / "failures").glob("*.txt"))
FIXED_SEEDS = 150
SEEDS_AT_ONCE = 5  # some seconds: a busy machine must not reach the time-out of a test
QUICK_BUGS = [bug for bug in BUGS if bug.quick]


@pytest.mark.parametrize("first", range(1, FIXED_SEEDS + 1, SEEDS_AT_ONCE))
def test_the_fixed_seeds_break_no_invariant(first: int) -> None:
    """These runs never change, so a failure comes from the change under test.

    `make sim` tries fresh seeds.
    """
    explored = explore(first, seeds=SEEDS_AT_ONCE, steps=600, seconds=None)
    if explored.failed is not None:
        pytest.fail(report(*shrink(*explored.failed, seconds=30)))
    assert explored.seeds == SEEDS_AT_ONCE


@pytest.mark.parametrize("file", FAILURES, ids=lambda file: file.stem)
def test_an_earlier_failure_does_not_return(file: Path) -> None:
    failure = attempt(parse(str(file)))
    assert failure is None, failure.trace


def test_one_run_publishes_the_same_bytes_in_every_process() -> None:
    """The two processes order sets and dicts differently."""
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
    assert "nothing failed" in printed[0] and "SHA-256 of all messages: " in printed[0]
    assert printed[0] == printed[1]


def test_a_longer_script_of_a_seed_begins_like_a_shorter_one() -> None:
    town, steps = script(5, 300)
    assert script(5, 100) == (town, steps[:100])


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_still_matches_the_program(bug: Bug) -> None:
    assert bug.texts()


def test_a_failure_is_shrunk_and_its_name_replays_it() -> None:
    name = "the first own entry after h is left out of the balance"
    bug = next(bug for bug in BUGS if bug.name == name)
    with planted(bug) as folder:
        failed = simulate(folder, "--first", "1", "--seeds", "50", "--steps", "300")
        run = failed.stdout.strip().rpartition("RUN=")[2]
        again = simulate(folder, "--replay", run)
    sentence = failed.stdout.splitlines()[3].strip()
    assert failed.returncode == again.returncode == 1
    assert sentence in again.stdout
    assert len(parse(run).steps) < 30
    assert attempt(parse(run)) is None  # without the bug


@pytest.mark.parametrize("bug", QUICK_BUGS, ids=lambda bug: bug.name)
def test_the_simulator_finds_a_planted_bug(bug: Bug) -> None:
    """Only the quick ones; `make sim-bite` tries all."""
    assert detect(bug).seed is not None


def test_a_bug_that_its_last_seed_does_not_find_is_searched_from_the_first_seed_on() -> None:
    """The seed that is kept is an order, never a finding."""
    bug = next(bug for bug in BUGS if bug.name == "serving all never ends")
    assert detect(bug, last_seed=1).seed == 2


def test_a_change_that_is_no_bug_is_found_by_no_seed() -> None:
    line = Change("agent/domain/tap.py", '"""The outcome of', '""" The outcome of')
    assert detect(Bug("a space", line, runs=1), last_seed=2).seed is None


def test_a_seed_is_kept_for_bugs_of_the_table_alone() -> None:
    assert set(last_seeds()) <= {bug.name for bug in BUGS}


def test_a_simulator_that_is_too_slow_is_a_row_of_the_table() -> None:
    """One slow bug does not cost the rows of the others."""
    detection = detect(QUICK_BUGS[0], timeout_s=0.01)
    assert detection.seed is None
    assert detection.sentence == "nothing failed in 0.01 s"
