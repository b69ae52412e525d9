"""The demonstration itself: it ends with all equal, twice in a row, and leaves nothing behind, also after ^C."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.process import ROOT, Process, wait_for


@pytest.fixture
def lunch(tmp_path: Path) -> Iterator[Process]:
    with Process(
        [sys.executable, "-m", "demo.lunch"],
        tmp_path / "lunch.log",
        environment={"PYTHONPATH": str(ROOT)},
    ) as process:
        yield process


def folder_of(lunch: Process) -> str:
    wait_for(lambda: "canteen-lunch-" in lunch.output(), "the lunch's folder")
    found = re.search(r"\S+canteen-lunch-\S+", lunch.output())
    assert found is not None
    return found[0]


def left_behind(folder: str) -> list[str]:
    """Return the command lines of processes that have to do with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if folder.encode() in words:
            found.append(words.decode(errors="replace").replace("\0", " "))
    return found


@pytest.mark.timeout(240)
def test_a_lunch_ends_with_all_equal(lunch: Process) -> None:
    folder = folder_of(lunch)
    assert lunch.child.wait(200) == 0, lunch.output()
    said = lunch.output()
    assert said.rstrip().endswith("all equal")
    assert "kill -9" in said and "the broker stops" in said
    greens, meals = map(
        int, re.findall(r"PC/SC reader: (\d+), meals\s+recorded behind them: (\d+)", said)[0]
    )
    assert greens == meals == 19
    assert left_behind(folder) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", ["lunch begins", "the broker stops"])
def test_after_ctrl_c_nothing_is_left(lunch: Process, moment: str) -> None:
    folder = folder_of(lunch)
    wait_for(lambda: moment in lunch.output(), moment, 60)
    assert left_behind(folder) != []
    lunch.signal(signal.SIGINT)
    assert lunch.child.wait(60) == 130
    assert left_behind(folder) == []
