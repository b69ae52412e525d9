"""What became of the agent in the last boots of the machine, by systemd's journal."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.ops.clock import boot_id
from agent.terminal.doctor.finding import Finding, hidden, ok, warning
from agent.terminal.doctor.unit import RESTARTS_MAX, UNIT

CHECK = "machine.boots"
BOOTS_MAX = 5
"""A school week of a machine that is switched off every evening."""
LINES = 20_000
"""A week of a large school: a line for each tap."""
JOURNALCTL_S = 20.0
_COMMAND = [
    "journalctl",
    f"--unit={UNIT}",
    f"--lines={LINES}",
    "--output=json",
    "--output-fields=MESSAGE,_BOOT_ID,_PID",
    "--quiet",
]
_SYSTEMD = "1"  # its process number
_ENDED = (": Deactivated successfully", ": Failed with result")


@dataclass(slots=True)
class Boot:
    """One boot of the machine. `runs`: the newest line is one of a running agent."""

    runs: bool = False
    restarts: int = 0
    watchdog: int = 0

    def take(self, process: str, message: str) -> None:
        """Count a line of the journal: the agent's, or systemd's about it."""
        if process != _SYSTEMD:
            self.runs = True
        elif any(words in message for words in _ENDED):
            self.runs = False
        elif ": Scheduled restart job" in message:
            self.restarts += 1
        elif ": Watchdog timeout" in message:
            self.watchdog += 1


def look_at_boots() -> Iterator[Finding]:
    """Yield the findings about the last boots."""
    if shutil.which("journalctl") is None:
        yield hidden(CHECK, "systemd keeps no journal on this machine")
        return
    try:
        done = subprocess.run(
            _COMMAND, capture_output=True, text=True, timeout=JOURNALCTL_S, check=False
        )
        boots = read(done.stdout.splitlines())
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        yield hidden(CHECK, f"journalctl does not answer: {error}")
        return
    yield from judge(boots, boot_id().replace("-", ""))


def read(lines: Iterable[str]) -> dict[str, Boot]:
    """Return the boots by id, the oldest first, from what journalctl printed. Pure."""
    boots: dict[str, Boot] = {}
    for line in lines:
        record = json.loads(line)
        boot = boots.setdefault(str(record.get("_BOOT_ID")), Boot())
        boot.take(str(record.get("_PID")), str(record.get("MESSAGE")))
    return boots


def judge(boots: dict[str, Boot], present: str) -> Iterator[Finding]:
    """Yield the findings about boots. `present` is the id of the boot that goes on. Pure."""
    if not boots:
        yield hidden(
            CHECK, "nothing of the agent is in the lines of journalctl that this user may read"
        )
        return
    newest = dict(list(boots.items())[-BOOTS_MAX:])
    counted = f"of the last {len(newest)} boots" if len(newest) > 1 else "in this boot"
    cuts = sum(boot.runs for name, boot in newest.items() if name != present)
    watchdog = sum(boot.watchdog for boot in newest.values())
    restarts = sum(boot.restarts for boot in newest.values())
    if cuts:
        mend = "sudo poweroff before the plug is pulled; a power supply that holds"
        yield warning(CHECK, f"{cuts} {counted} ended by a power cut, while the agent ran", mend)
    if watchdog:
        seen = f"the agent hung {watchdog} times {counted}, and the watchdog ended it"
        yield warning(CHECK, seen, "sudo canteen-agent bundle  # journalctl names the line")
    elif restarts > RESTARTS_MAX:
        seen = f"the agent was started again {restarts} times {counted}"
        yield warning(CHECK, seen, "sudo journalctl -u canteen-agent -p warning --no-pager")
    if not cuts and not watchdog and restarts <= RESTARTS_MAX:
        yield ok(CHECK, f"no power cut, no hang and {restarts} restarts {counted}")
