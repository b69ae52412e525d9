"""Reads the machine's clocks and its boot id."""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from agent.domain.clock import Reading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# adjtimex(2): the clock is not synchronised
_TIME_ERROR = 5
# struct timex has 208 bytes on 64-bit Linux; all zero, so modes = 0: read only
_TIMEX_BYTES = 256

_libc = ctypes.CDLL(None)


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def read_clock(boot: str) -> Reading:
    """Return wall time, milliseconds since boot (suspend included), and the kernel's sync state."""
    state = _libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return Reading(
        wall=datetime.now(UTC),
        mono_ms=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
        boot=boot,
        synced=0 <= state < _TIME_ERROR,
    )
