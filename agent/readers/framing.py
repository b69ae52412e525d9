"""From a stream of bytes to frames. Pure: bytes and monotonic milliseconds in, frames and faults out.

Promises: whatever comes, nothing is raised; a bad stretch costs no byte of a good frame behind it; memory stays within
one frame. A checksum alone proves little (the XOR of an RDM6300 is right for all zeros), so the profile's
refusals follow.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor


class Fault(StrEnum):
    """Why a stretch of bytes is no frame, or a frame no identity."""

    CHECKSUM = "checksum"
    STATUS = "status"
    REJECTED = "rejected-uid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """`xor8` over the bytes that the ASCII hex in frame bytes [over] stands for; the sum stands as ASCII hex at [at]."""

    over: tuple[int, int]
    at: tuple[int, int]

    def holds(self, frame: bytes) -> bool:
        try:
            covered = bytes.fromhex(frame[slice(*self.over)].decode("ascii"))
            stated = bytes.fromhex(frame[slice(*self.at)].decode("ascii"))
        except ValueError:
            return False
        return stated == bytes([reduce(xor, covered, 0)])


class DelimitedFramer:
    """Frames of one length between a start and an end byte. A gap between bytes longer than `gap_ms_max` drops what stands."""

    def __init__(self, *, start: int, end: int, length: int, checksum: Checksum, gap_ms_max: int) -> None:
        self._start, self._end, self._length = start, end, length
        self._checksum = checksum
        self._gap_ms_max = gap_ms_max
        self._held = bytearray()
        self._last_ms = 0

    def feed(self, received: bytes, now_ms: int) -> list[bytes | Fault]:
        """Return the frames that these bytes complete, and a fault for each frame whose checksum is wrong."""
        if self._held and now_ms - self._last_ms > self._gap_ms_max:
            self._held.clear()
        self._last_ms = now_ms
        found: list[bytes | Fault] = []
        for byte in received:
            self._held.append(byte)
            self._settle(found)
        return found

    def _settle(self, found: list[bytes | Fault]) -> None:
        """Drop what cannot begin a frame; take a frame when one stands complete."""
        while self._held:
            begin = self._held.find(self._start)
            if begin != 0:
                del self._held[: begin if begin > 0 else len(self._held)]
                continue
            if len(self._held) < self._length:
                return
            frame = bytes(self._held)
            if frame[-1] == self._end and self._checksum.holds(frame):
                found.append(frame)
                self._held.clear()
                return
            if frame[-1] == self._end and self._start not in frame[1:]:
                found.append(Fault.CHECKSUM)
                self._held.clear()
                return
            del self._held[0]  # a start byte that began nothing: look for the next one inside what came after
