"""Runs all tests as two processes side by side: `python -m tests.halves [OPTION OF PYTEST ...]`.

One half mostly waits for brokers, readers and services, the other one computes: together they keep
two cores busy. The first half's output comes when the second one has ended. Ends with 0 only if
both passed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WAITING = ("tests/system", "tests/readers")


def main(options: list[str]) -> int:
    """Run both halves; return the exit code."""
    pytest = [sys.executable, "-m", "pytest", *options]
    computing = [f"--ignore={folder}" for folder in WAITING]
    with tempfile.TemporaryFile() as output:
        # no shell: it would let the tests of Ctrl-C ignore that signal
        waiting = subprocess.Popen(
            [*pytest, *WAITING], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            code = subprocess.call([*pytest, *computing], cwd=ROOT)
            waiting_code = waiting.wait()
        finally:
            waiting.kill()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    return code or waiting_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
