"""Clock, memory, temperature and power of the machine, from what the kernel shows."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from agent.ops.clock import read_clock
from agent.ops.temperature import temperature_c
from agent.terminal.doctor.finding import Finding, fault, hidden, ok, warning

MEMORY_MB_MIN = 50
"""The agent takes 40 MB, the screen 45."""
HOT_C = 80
"""A Raspberry Pi slows down from here on (its documentation, "Frequency management")."""
VCGENCMD_S = 5.0
_LOW_VOLTAGE_NOW, _LOW_VOLTAGE_BEFORE = 0x1, 0x10000  # of `vcgencmd get_throttled`


def look_at_machine(root: Path = Path("/")) -> Iterator[Finding]:
    """Yield the findings about clock, memory, temperature and power."""
    if read_clock("").synced:
        yield ok("clock.synchronised", "a time server sets the clock")
    else:
        seen = "no time server sets the clock: meals carry a time that may be wrong"
        mend = "sudo timedatectl set-ntp true  # and look at the network and its NTP server"
        yield warning("clock.synchronised", seen, mend)
    if list((root / "dev").glob("rtc*")):
        yield ok("clock.rtc", "the machine has a clock of its own")
    else:
        seen = (
            "the machine keeps no time without power: after a power cut it begins with an old time"
        )
        yield warning(
            "clock.rtc", seen, "add a clock with a battery, or see that NTP is reachable at start"
        )
    yield _memory(root)
    yield _temperature(root)
    yield _voltage()


def _memory(root: Path) -> Finding:
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in text.splitlines())
        free_mb = int(lines["MemAvailable"].split()[0]) // 1024
    except (OSError, ValueError, KeyError, IndexError):
        return hidden("machine.memory", "this kernel does not show its memory")
    if free_mb < MEMORY_MB_MIN:
        return fault(
            "machine.memory",
            f"{free_mb} MB of memory are free",
            "ps aux --sort=-rss | head  # end what takes too much",
        )
    return ok("machine.memory", f"{free_mb} MB of memory are free")


def _temperature(root: Path) -> Finding:
    degrees = temperature_c(root)
    if degrees is None:
        return hidden("machine.temperature", "this machine does not show its temperature")
    if degrees >= HOT_C:
        mend = "give it air, or a heat sink; keep it off the hot counter"
        return warning("machine.temperature", f"the processor has {degrees} °C", mend)
    return ok("machine.temperature", f"the processor has {degrees} °C")


def _voltage() -> Finding:
    check = "machine.voltage"
    if (program := shutil.which("vcgencmd")) is None:
        return hidden(check, "no vcgencmd: this is no Raspberry Pi, or its tools are not installed")
    try:
        done = subprocess.run(
            [program, "get_throttled"],
            capture_output=True,
            text=True,
            timeout=VCGENCMD_S,
            check=False,
        )
        bits = int(done.stdout.strip().partition("=")[2], 16)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return hidden(check, "vcgencmd does not say; members of the group video may ask")
    mend = "use the power supply made for this Raspberry Pi, and a short cable"
    if bits & _LOW_VOLTAGE_NOW:
        return fault(check, "the voltage is too low now", mend)
    if bits & _LOW_VOLTAGE_BEFORE:
        return warning(check, "the voltage was too low since the start", mend)
    return ok(check, "the voltage is high enough")
