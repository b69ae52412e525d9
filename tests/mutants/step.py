"""One command of a mutant, in a process of its own that has loaded the libraries already.

Loading pytest, hypothesis and SQLAlchemy takes longer than most tests of a module. A server loads
them once, and each step is a fork of it. The project's own modules are loaded in the fork.
"""

import gc
import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

TIMEOUT_S = 300  # for each step of a mutant; pytest ends each test earlier
LIBRARIES = [
    "cryptography.x509",
    "hypothesis.strategies",
    "msgspec",
    "paho.mqtt.client",
    "pytest",
    "pytest_timeout",
    "sqlalchemy",
    "starlette.applications",
]
_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(LIBRARIES)


def passes(words: Sequence[str], copy: Path) -> bool:
    """Run `python -m` with these words in a copy of the project. A time-out counts as failed."""
    process = _FORKS.Process(target=_run, args=(words, copy))
    process.start()
    process.join(TIMEOUT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode == 0


def _run(words: Sequence[str], copy: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("agent", "tests")]:
        del sys.modules[name]
    gc.freeze()  # pytest collects garbage at its end: not in the libraries
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = False
    with open(os.devnull, "r+b") as nothing:
        for descriptor in (0, 1, 2):
            os.dup2(nothing.fileno(), descriptor)
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
