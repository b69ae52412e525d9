"""Plants each fault of the table in this machine, mends it, and looks with the doctor each time.

    python3 -m tests.debian13.planted [WORDS]     as root, in a booted Debian 13 that serves

The line that the doctor prints is executed as it is, where the table has no other. What a line
names in capitals is there: FILE in this folder, a new CODE of the central, and the SITE.
With WORDS only the faults are planted whose description contains them.
"""

import json
import os
import subprocess
import sys
import time

from tests.debian13.fault import Planted
from tests.debian13.faults import BOOTED

COMMAND_S = 240.0
NAMED_S = 120.0
"""Nothing booked is a fault after a minute; the others are seen within seconds."""
MENDED_S = 60.0
"""After a restart the agent answers within seconds, and is linked within its back-off."""
CODE = "canteen-central --db /var/lib/canteen-central/central.db enrol new t-1"


def main(words: str) -> int:
    """Return 0 if each fault was named, and its check saw nothing any more once it was mended."""
    planted = [fault for fault in BOOTED if words in fault.how]
    wrong = 0
    for fault in planted:
        began_s = time.monotonic()
        _sh(fault.plant)
        line = _mending_line(fault)
        if line is None:
            print(f"WRONG: {fault.how}: {fault.check} does not say: {fault.seen}", flush=True)
            print(_of_check(fault), flush=True)
        _sh(fault.hand or "true")
        printed = "" if fault.mend else _sh(_given(line or "true"))
        _sh(fault.mend or "true")
        is_mended = _is_mended(fault)
        if not is_mended:
            print(f"WRONG: {fault.how}: {fault.check} is not mended by: {line}\n{printed}")
            print(_of_check(fault), flush=True)
        _sh(fault.after or "true")
        wrong += line is None or not is_mended
        if line is not None and is_mended:
            by = "by hand" if fault.mend else "by a hand, then: " if fault.hand else "by: "
            took_s = time.monotonic() - began_s
            by += "" if fault.mend else line
            print(f"ok: {fault.how}: {fault.check}, in {took_s:.0f} s; {by}", flush=True)
    print(f"{len(planted)} faults planted, {wrong} wrong")
    return 1 if wrong or not planted else 0


def _mending_line(fault: Planted) -> str | None:
    """Return the mending line of a fault, None if the doctor does not name it in time."""
    until_s = time.monotonic() + NAMED_S
    while time.monotonic() < until_s:
        for finding in _of_check(fault):
            if fault.seen in finding["seen"]:
                return finding["mend"]
    return None


def _is_mended(fault: Planted) -> bool:
    """Return whether nothing of this check is wrong any more, soon enough."""
    until_s = time.monotonic() + MENDED_S
    while time.monotonic() < until_s:
        if not _of_check(fault):
            return True
    return False


def _of_check(fault: Planted) -> list[dict[str, str]]:
    """Return what the doctor says is wrong of a fault's check."""
    # By its path: one of the faults is that the program may not be executed.
    command = [sys.executable, "/usr/bin/canteen-agent", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    findings: list[dict[str, str]] = json.loads(done.stdout)
    wrong = ("fault", "warning")
    return [look for look in findings if look["id"] == fault.check and look["level"] in wrong]


def _given(line: str) -> str:
    """Return a line with what the technician brings."""
    if "CODE" in line:
        line = line.replace("CODE", _sh(CODE).partition("canteen-agent enrol ")[2].strip())
    return line.replace("SITE", "primaria")


def _sh(line: str) -> str:
    """Execute a line as a technician would, and return what it printed."""
    done = subprocess.run(
        ["sh", "-c", line],
        cwd="/root",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=COMMAND_S,
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
