"""`canteen-central` without a package that a central needs; test_install.py has the whole extra."""

import subprocess
import sys

import pytest

from tests.parts.process import ROOT


def start_without(module: str) -> subprocess.CompletedProcess[str]:
    """Start the program in a process that cannot import a module."""
    code = (
        f"import sys; sys.modules[{module!r}] = None;"
        " from agent.central.program import main; main()"
    )
    command = [sys.executable, "-c", code, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("module", ["sqlalchemy"])
def test_a_missing_package_is_a_sentence_that_names_the_extra(module: str) -> None:
    done = start_without(module)
    assert (done.returncode, done.stdout) == (78, "")
    (line,) = done.stderr.splitlines()
    assert f"the Python module {module} is not installed" in line
    assert "pip install 'canteen-agent[central]'" in line


def test_a_missing_module_of_the_program_itself_is_a_bug_with_its_traceback() -> None:
    done = start_without("agent.central.booking")
    assert done.returncode == 3 and "Traceback" in done.stderr
