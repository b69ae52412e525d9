"""The demonstration ends with equal balances and leaves no process behind, also after Ctrl-C."""

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
    match = re.search(r"\S+canteen-lunch-\S+", lunch.output())
    assert match is not None
    return match[0]


def left_behind(folder: str) -> list[str]:
    """Return the command lines of running processes that name a folder."""
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
def test_the_demonstration_ends_with_equal_balances(lunch: Process) -> None:
    folder = folder_of(lunch)
    assert lunch.child.wait(200) == 0, lunch.output()
    output = lunch.output()
    assert output.rstrip().endswith("all equal")
    assert "kill -9" in output and "the broker stops" in output
    counts = re.findall(r"PC/SC reader: (\d+), meals\s+recorded: (\d+)", output)[0]
    assert [int(count) for count in counts] == [19, 19]
    assert left_behind(folder) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", ["lunch begins", "the broker stops"])
def test_ctrl_c_leaves_no_process_behind(lunch: Process, moment: str) -> None:
    folder = folder_of(lunch)
    wait_for(lambda: moment in lunch.output(), moment, 60)
    assert left_behind(folder) != []
    lunch.signal(signal.SIGINT)
    assert lunch.child.wait(60) == 130
    assert left_behind(folder) == []
