"""Plants each fault of the table in this machine, mends it, and looks with the doctor each time.

    python3 -m tests.debian13.planted     as root, in a booted Debian 13 that serves

The line that the doctor prints is executed as it is, where the table has no other.
"""

import json
import subprocess
import sys
import time

from tests.debian13.faults import BOOTED, Planted

COMMAND_S = 60.0
MENDED_S = 20.0
"""After a restart the agent answers within seconds; then the doctor sees it."""


def main() -> int:
    """Return 0 if each fault was named, and not named any more once it was mended."""
    wrong = 0
    for fault in BOOTED:
        _sh(fault.plant)
        line = _mending_line(fault)
        if line is None:
            print(f"WRONG: {fault.how}: {fault.check} does not say: {fault.seen}", flush=True)
            wrong += 1
        _sh(fault.mend or line or "true")
        is_mended = _is_mended(fault)
        _sh(fault.after or "true")
        if not is_mended:
            print(f"WRONG: {fault.how}: {fault.check} is not mended by: {line}", flush=True)
            wrong += 1
        elif line is not None:
            by = "by hand" if fault.mend else f"by the doctor's line: {line}"
            print(f"ok: {fault.how}: {fault.check}; mended {by}", flush=True)
    print(f"{len(BOOTED)} faults planted, {wrong} wrong")
    return 1 if wrong else 0


def _mending_line(fault: Planted) -> str | None:
    """Return the mending line of a fault, None if the doctor does not name it in time."""
    until_s = time.monotonic() + MENDED_S
    while time.monotonic() < until_s:
        for finding in _findings():
            if _names(fault, finding):
                return finding["mend"]
    return None


def _is_mended(fault: Planted) -> bool:
    until_s = time.monotonic() + MENDED_S
    while time.monotonic() < until_s:
        if not any(_names(fault, finding) for finding in _findings()):
            return True
    return False


def _names(fault: Planted, finding: dict[str, str]) -> bool:
    is_wrong = finding["level"] in ("fault", "warning")
    return is_wrong and finding["id"] == fault.check and fault.seen in finding["seen"]


def _findings() -> list[dict[str, str]]:
    command = ["canteen-agent", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    findings: list[dict[str, str]] = json.loads(done.stdout)
    return findings


def _sh(line: str) -> None:
    subprocess.run(
        ["sh", "-c", line],
        cwd="/root",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=COMMAND_S,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
