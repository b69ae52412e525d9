"""Record a workload: compile recorder.c and run workload.py under it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.crash.central import PLANTED as CENTRAL_PLANTED
from tests.parts.process import ROOT, require

TERMINAL = "tests.crash.workload"
SOURCE = Path(__file__).with_name("recorder.c")
WITHOUT_DIRECTORY_SYNC = "no directory sync"
# Planted faults: name -> the word that makes workload.py plant it. The last one is the recorder's.
PLANTED = {
    "synchronous = NORMAL": "normal",
    "records and position in two transactions": "split",
    "psow = 1, when a card damages the block it rewrites": "psow",
    WITHOUT_DIRECTORY_SYNC: "",
}


def compile_recorder(folder: Path) -> Path:
    """Return the library for LD_PRELOAD. It is compiled once per folder."""
    library = folder / "recorder.so"
    if not library.exists():
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(
            [require("gcc"), *flags, "-o", library, SOURCE, "-ldl"], check=True, timeout=60
        )
    return library


def record_code(folder: Path, code: str) -> Path:
    """Run Python code in `folder`/disk, which it knows as `disk`, and return the recording."""
    text = f"from pathlib import Path\ndisk = Path({str(folder / 'disk')!r})\n{code}"
    return _run(folder, ["-c", text])


def record(folder: Path, planted: str = "", workload: str = TERMINAL) -> Path:
    """Run a workload in `folder`/disk and return the recording.

    `planted` is a key of `PLANTED`, or of the workload's own, or empty for the unchanged program.
    """
    word = {**PLANTED, **CENTRAL_PLANTED}.get(planted, "")
    words = ["-m", workload, str(folder / "disk"), word]
    return _run(folder, words, without_directory_sync=planted == WITHOUT_DIRECTORY_SYNC)


def _run(folder: Path, words: list[str], *, without_directory_sync: bool = False) -> Path:
    """Run Python under the recorder."""
    library, disk, log = compile_recorder(folder), folder / "disk", folder / "recording"
    disk.mkdir()
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "CRASH_FOLDER": str(disk),
        "CRASH_LOG": str(log),
        "PYTHONPATH": str(ROOT),
    }
    if without_directory_sync:
        environment["CRASH_NO_DIRECTORY_SYNC"] = "1"
    subprocess.run([sys.executable, *words], check=True, timeout=60, env=environment)
    return log
