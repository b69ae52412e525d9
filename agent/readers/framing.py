"""From a stream of bytes to frames. Pure: bytes and monotonic milliseconds in, frames and faults out.

Promises: whatever comes, nothing is raised; a bad stretch costs no byte of a good frame behind it (a good line, or a frame
without delimiters, needs a pause before it: nothing else says where it begins); memory stays within one frame and what came
last. A checksum alone proves little (the XOR of an RDM6300 is right for all zeros), so the profile's refusals follow.
"""

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import xor
from typing import Protocol

from agent.readers.faults import Fault


@dataclass(frozen=True, slots=True)
class Frame:
    """`payload` is what a profile's places count in; `raw` is what came over the wire, ending with the byte that completed it.

    `end` is how many bytes had been fed by then.
    """

    payload: bytes
    raw: bytes
    end: int = field(default=0, compare=False)


Found = Frame | Fault | None
Look = tuple[int, Found]  # how many bytes are settled, and what they were


class Shape(Protocol):
    """How frames of one kind look."""

    @property
    def needs_pause(self) -> bool:
        """Whether, once lost, only a pause says where the next frame begins."""

    def look(self, held: bytes) -> Look | None:
        """Return what the first bytes are, None while they may yet become a frame. `held` is never empty."""


class Framer:
    """Frames of one shape. A pause between bytes longer than `gap_ms_max` drops what stands.

    `unasked`: frames come by themselves, so that this may begin in the middle of one.
    """

    def __init__(self, shape: Shape, *, gap_ms_max: int, now_ms: int, unasked: bool) -> None:
        self._shape = shape
        self._gap_ms_max = gap_ms_max
        self._held = bytearray()
        self._fed = 0
        self._last_ms = now_ms
        self._lost = unasked and shape.needs_pause

    def feed(self, received: bytes, now_ms: int) -> list[Frame | Fault]:
        """Return the frames that these bytes complete, and a fault for each frame that is damaged."""
        if not received:
            return []
        if now_ms - self._last_ms > self._gap_ms_max:
            self._held.clear()
            self._lost = False
        self._last_ms = now_ms
        self._fed += len(received)
        found: list[Frame | Fault] = []
        if self._lost:
            return found
        self._held += received
        while self._held and (look := self._shape.look(bytes(self._held))) is not None:
            settled, what = look
            if not isinstance(what, Frame) and self._shape.needs_pause:
                self._lost = True
                settled = len(self._held)
            del self._held[:settled]
            if isinstance(what, Frame):
                found.append(replace(what, end=self._fed - len(self._held)))
            elif what is not None:
                found.append(what)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Xor8:
    """XOR over frame bytes [over]; the sum stands at [at]. With `hexadecimal` both are ASCII hex. Places may count from the end."""

    over: tuple[int, int]
    at: tuple[int, int]
    hexadecimal: bool

    def right(self, frame: bytes) -> bytes | None:
        """Return the bytes that belong at [at], None for a frame that is no hex where it should be."""
        covered = _span(frame, self.over)
        if not self.hexadecimal:
            return xor_of(covered)
        try:
            return xor_of(bytes.fromhex(covered.decode("ascii"))).hex().upper().encode("ascii")
        except ValueError:
            return None

    def holds(self, frame: bytes) -> bool:
        stated = _span(frame, self.at)
        return (stated.upper() if self.hexadecimal else stated) == self.right(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited:
    """Frames of one length between a start byte and end bytes (RDM6300, ID-12LA)."""

    start: bytes
    end: bytes
    length: int
    checksum: Xor8
    needs_pause = False

    def look(self, held: bytes) -> Look | None:
        begin = held.find(self.start)
        if begin != 0:
            return (begin if begin > 0 else len(held)), None
        if len(held) < self.length:
            return None
        frame = held[: self.length]
        if frame.endswith(self.end):
            if self.checksum.holds(frame):
                return self.length, Frame(frame, frame)
            if self.start not in frame[1:]:
                return self.length, Fault.CHECKSUM
        return (
            1,
            None,
        )  # a start byte that began nothing: look for the next one inside what came after


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Frames of one length and nothing around them (EM-18): only a pause says where one begins."""

    length: int
    checksum: Xor8
    needs_pause = True

    def look(self, held: bytes) -> Look | None:
        if len(held) < self.length:
            return None
        frame = held[: self.length]
        return self.length, Frame(frame, frame) if self.checksum.holds(frame) else Fault.CHECKSUM


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Text up to CR, LF or both; empty lines are nothing. With `hexadecimal` the payload is what the digits stand for."""

    length_max: int
    hexadecimal: bool
    needs_pause = True

    def look(self, held: bytes) -> Look | None:
        ends = [at for at in (held.find(b"\r"), held.find(b"\n")) if at >= 0]
        if not ends:
            return (len(held), Fault.FORM) if len(held) > self.length_max else None
        end = min(ends)
        line = held[:end]
        if end > self.length_max:
            return end + 1, Fault.FORM
        if not line:
            return 1, Frame(b"", held[:1])
        if not self.hexadecimal:
            return end + 1, Frame(line, held[: end + 1])
        try:
            return end + 1, Frame(bytes.fromhex(line.decode("ascii")), held[: end + 1])
        except ValueError:
            return end + 1, Fault.CHECKSUM


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefixed:
    """Start bytes, a little-endian length at [length_at], checksum, and perhaps an end byte (7941E, both Ehuoyan dialects).

    A frame has as many bytes as its length says, plus `length_adds`. `stuffing` is a byte that, behind the start, is sent with a
    00 after it which the length does not count; places count without it.
    """

    start: bytes
    length_at: tuple[int, int]
    length_adds: int
    length_max: int
    end: bytes
    checksum: Xor8
    stuffing: bytes
    needs_pause = False

    def look(self, held: bytes) -> Look | None:
        begin = held.find(self.start)
        if begin != 0:
            rest = next(
                (n for n in range(len(self.start) - 1, 0, -1) if held.endswith(self.start[:n])), 0
            )
            return (begin, None) if begin > 0 else _drop(len(held) - rest)
        plain, taken = self._plain(held, self.length_at[1])
        if len(plain) < self.length_at[1]:
            return None
        total = int.from_bytes(_span(plain, self.length_at), "little") + self.length_adds
        if not self.length_at[1] < total <= self.length_max:
            return 1, None
        plain, taken = self._plain(held, total)
        if len(plain) < total:
            return None
        if plain.endswith(self.end) and self.checksum.holds(plain):
            return taken, Frame(plain, held[:taken])
        return 1, Fault.CHECKSUM if plain.endswith(self.end) else None

    def _plain(self, held: bytes, count: int) -> tuple[bytes, int]:
        """Return the first bytes without stuffing, and how many on the wire they took."""
        if not self.stuffing:
            return held[:count], min(count, len(held))
        plain, at = bytearray(), 0
        while len(plain) < count and at < len(held):
            plain.append(held[at])
            stuffed = at >= len(self.start) and held[at : at + 1] == self.stuffing
            if stuffed and at + 1 >= len(held):
                if len(plain) == count:
                    return bytes(plain), at + 1  # the last one: a 00 after it falls away as noise
                return bytes(plain[:-1]), at  # whether a 00 follows is not known yet
            at += 2 if stuffed and held[at + 1] == 0 else 1
        return bytes(plain), at


ACK = b""  # the payload of a PN53x acknowledgement


@dataclass(frozen=True, slots=True)
class Pn53x:
    """NXP's frames (UM0701-02, 6.2): the payload is what follows TFI D5; an acknowledgement has none."""

    needs_pause = False

    def look(self, held: bytes) -> Look | None:
        begin = held.find(b"\x00\xff")
        if begin < 0:
            return _drop(len(held) - held.endswith(b"\x00"))
        body = held[begin + 2 :]
        if len(body) < 2:
            return None
        length, length_check = body[0], body[1]
        if (length, length_check) == (0x00, 0xFF):
            return begin + 4, Frame(ACK, held[: begin + 4])
        if (length, length_check) == (0xFF, 0x00):
            return begin + 4, Fault.DEVICE  # NAK
        if length == 0 or (length + length_check) & 0xFF:
            return begin + 1, Fault.CHECKSUM
        if len(body) < 2 + length + 1:
            return None
        data, taken = body[2 : 2 + length], begin + 2 + 2 + length + 1
        if (sum(data) + body[2 + length]) & 0xFF:
            return begin + 1, Fault.CHECKSUM
        if data == b"\x7f":
            return taken, Fault.DEVICE  # error frame: the chip did not understand
        return taken, Frame(data[1:], held[:taken]) if data[0] == 0xD5 else None


def pn53x_command(payload: bytes) -> bytes:
    """Return the frame that carries a command to a PN53x."""
    data = b"\xd4" + payload
    return (
        b"\x00\x00\xff"
        + bytes([len(data), -len(data) & 0xFF])
        + data
        + bytes([-sum(data) & 0xFF, 0])
    )


def reseal(shape: Shape, raw: bytes) -> bytes:
    """Return a frame in which bytes were exchanged, with its checksum made right again."""
    if isinstance(shape, Pn53x):
        start = raw.index(b"\x00\xff") + 2
        data = raw[start + 2 : start + 2 + raw[start]]
        return (
            raw[: start + 2 + len(data)] + bytes([-sum(data) & 0xFF]) + raw[start + 3 + len(data) :]
        )
    if isinstance(shape, Delimited | Counted | Prefixed):
        right = shape.checksum.right(raw)
        if right is not None:
            first, last = places(len(raw), shape.checksum.at)
            return raw[:first] + right + raw[last:]
    return raw


def xor_of(covered: bytes) -> bytes:
    """Return the one byte that is the XOR of all."""
    return bytes([reduce(xor, covered, 0)])


def places(length: int, span: tuple[int, int]) -> tuple[int, int]:
    """Return first and end of a span in a frame of `length` bytes: below zero counts from its end, an end of 0 is its end."""
    first, last, _ = slice(span[0], span[1] or length).indices(length)
    return first, last


def _span(frame: bytes, span: tuple[int, int]) -> bytes:
    """Return frame bytes [span]; an end of 0 is the frame's end."""
    first, last = places(len(frame), span)
    return frame[first:last]


def _drop(count: int) -> Look | None:
    return (count, None) if count > 0 else None
