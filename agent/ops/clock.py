"""The machine's clocks, read."""

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

from agent.domain.clock import Reading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # struct timex is 208 bytes on 64-bit Linux; modes = 0 reads only

_libc = ctypes.CDLL(None)


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def read_clock(boot: str) -> Reading:
    """Return wall time, milliseconds since boot (suspend included), and whether the kernel says it is synchronised."""
    state = _libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return Reading(
        wall=datetime.now(UTC),
        mono_ms=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
        boot=boot,
        synced=0 <= state < _TIME_ERROR,
    )
