"""The demonstration ends with equal balances and leaves no process behind, also after Ctrl-C."""

import os
import re
import signal
import subprocess
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
    assert "a mother pays 20.00" in output and "parked now: 0" in output
    assert "kill -9" in output and "the broker stops" in output
    counts = re.findall(r"PC/SC reader: (\d+), meals\s+recorded: (\d+)", output)[0]
    assert [int(count) for count in counts] == [19, 19]
    assert left_behind(folder) == []
    pictures = {path.stem for path in Path(folder, "pictures").glob("*.png")}
    assert pictures == {
        "served", "already-served", "unknown-card", "offline", "out-of-order", "closing",
        "payer-notice", "payer-paid",
    }  # fmt: skip
    assert len(re.findall(r"screen of t-[ab]: http://127\.0\.0\.1:\d+/", output)) == 2


def test_a_browser_that_cannot_be_driven_is_an_error_with_the_package(tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    broken.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "demo.lunch"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Chromium cannot be driven: apt-get install chromium" in done.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", ["lunch begins", "the broker stops", "holds t-b's file"])
def test_ctrl_c_leaves_no_process_behind(lunch: Process, moment: str) -> None:
    folder = folder_of(lunch)
    wait_for(lambda: moment in lunch.output(), moment, 60)
    assert left_behind(folder) != []
    lunch.signal(signal.SIGINT)
    assert lunch.child.wait(60) == 130
    assert left_behind(folder) == []
