"""The demonstration ends with all equal, and leaves no process behind, also after Ctrl-C."""

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
    folder = re.search(r"\S+canteen-lunch-\S+", lunch.output())
    assert folder is not None
    return folder[0]


def left_behind(folder: str) -> list[str]:
    """Return the command lines of processes that name a folder."""
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if folder.encode() in words:
            commands.append(words.decode(errors="replace").replace("\0", " "))
    return commands


@pytest.mark.timeout(240)
def test_a_lunch_ends_with_all_equal(lunch: Process) -> None:
    folder = folder_of(lunch)
    assert lunch.child.wait(200) == 0, lunch.output()
    output = lunch.output()
    assert output.rstrip().endswith("all equal")
    assert "kill -9" in output and "the broker stops" in output
    greens, meals = map(int, re.findall(r"PC/SC reader: (\d+), meals\s+recorded: (\d+)", output)[0])
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
