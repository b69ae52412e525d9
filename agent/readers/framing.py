"""From a stream of bytes to frames. Pure: bytes and monotonic ms in, frames and faults out.

Promises: no input raises an exception. Noise costs no byte of a good frame behind it; only lines
and frames without start bytes need a pause first, because nothing else marks their beginning.
Memory is bounded by one frame and the newest chunk. A checksum alone proves little (the XOR of an
RDM6300 is right for all zeros), so the profile's own refusals follow.
"""

from binascii import unhexlify
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import xor
from typing import NamedTuple, Protocol

from agent.readers.faults import Fault

# A pause up to which a frame may go on. An FTDI converter holds bytes back for up to 255 ms (its
# latency timer), and a busy USB hub or processor for 80 ms.
STALL_MS_MAX = 300
# A pause behind bytes that are no frame, after which a frame begins.
QUIET_MS = 100

Span = tuple[int, int]
"""First and end of a part of a frame. Below zero counts from the frame's end; an end of 0 is it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame. The offsets of a profile count in `payload`.

    `raw` are the bytes on the wire, up to the byte that completed the frame. `end` is how many
    bytes the framer had received by then. The representation hides the bytes: they hold a UID.
    """

    payload: bytes = field(repr=False)
    raw: bytes = field(repr=False)
    end: int = field(default=0, compare=False)


class Parsed(NamedTuple):
    """The result of looking at buffered bytes: drop `taken` of them; they were `result`."""

    taken: int
    result: Frame | Fault | None


class FrameFormat(Protocol):
    """How frames of one kind look."""

    @property
    def needs_pause(self) -> bool:
        """Whether only a pause marks the beginning of a frame after an error."""

    def parse(self, buffer: bytes) -> Parsed | None:
        """Return what the first bytes are, or None while they may still become a frame.

        `buffer` is never empty.
        """


class Framer:
    """Cuts a stream into frames of one format. A pause longer than `gap_ms_max` drops the buffer.

    Where that is shorter than `STALL_MS_MAX`, the bytes on both sides of a pause are tried
    together as well. `unsolicited`: the reader sends by itself, so the first bytes may be the
    middle of a frame.
    """

    def __init__(
        self, frame_format: FrameFormat, *, gap_ms_max: int, now_ms: int, unsolicited: bool
    ) -> None:
        self._format = frame_format
        self._gap_ms_max = gap_ms_max
        self._buffer = bytearray()
        self._stalled = b""
        self._received = 0
        self._last_ms = now_ms
        self._waits_for_pause = unsolicited and frame_format.needs_pause

    def feed(self, received: bytes, now_ms: int) -> list[Frame | Fault]:
        """Return the frames that these bytes complete, and a fault for each damaged frame."""
        if not received:
            return []
        self._pause(now_ms - self._last_ms)
        self._last_ms = now_ms
        self._received += len(received)
        results: list[Frame | Fault] = []
        if self._waits_for_pause:
            return results
        self._buffer += received
        while self._buffer and (parsed := self._format.parse(bytes(self._buffer))) is not None:
            taken, result = parsed
            if not isinstance(result, Frame) and self._format.needs_pause:
                self._waits_for_pause = True
                taken = len(self._buffer)
            del self._buffer[:taken]
            if isinstance(result, Frame):
                results.append(replace(result, end=self._received - len(self._buffer)))
            elif result is not None:
                results.append(result)
        if results:
            self._stalled = b""
        elif self._stalled and self._buffer:
            results += self._joined()
        return results

    def forget(self) -> None:
        """Drop a partial frame: what comes now is the beginning of another one."""
        self._buffer.clear()
        self._stalled, self._waits_for_pause = b"", False

    def _pause(self, pause_ms: int) -> None:
        """Note a pause before the newest bytes."""
        gap_ms = min(QUIET_MS, self._gap_ms_max) if self._waits_for_pause else self._gap_ms_max
        if pause_ms > gap_ms:
            stalled = self._stalled + self._buffer
            self.forget()
            self._stalled = stalled if pause_ms <= STALL_MS_MAX else b""

    def _joined(self) -> list[Frame | Fault]:
        """Return the frame that a stall has cut in two."""
        parsed = self._format.parse(self._stalled + self._buffer)
        if parsed is None:
            return []
        self._stalled = b""
        if not isinstance(parsed.result, Frame) or len(parsed.result.raw) < parsed.taken:
            return []
        self._buffer.clear()
        return [replace(parsed.result, end=self._received)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Xor8:
    """The XOR of the bytes [over] is the byte at [at]. With `hexadecimal` both are ASCII hex."""

    over: Span
    at: Span
    hexadecimal: bool

    def computed(self, frame: bytes) -> bytes | None:
        """Return the bytes that belong at [at], or None where the frame is not hex as it should."""
        covered = _part(frame, self.over)
        if not self.hexadecimal:
            return xor_of(covered)
        try:
            return xor_of(unhexlify(covered)).hex().upper().encode("ascii")
        except ValueError:
            return None

    def holds(self, frame: bytes) -> bool:
        """Return whether the frame's checksum is right."""
        stated = _part(frame, self.at)
        return (stated.upper() if self.hexadecimal else stated) == self.computed(frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """Frames with start bytes, end bytes, a length and a checksum; each but the length may lack.

    A frame has `length_max` bytes. Where it states its length, the little-endian number at
    [length_at] plus `length_adds` counts instead. With `length_min` it ends with the first `end`
    from there on. `stuffing` is a byte that is sent with a 00 after it, anywhere behind the start;
    neither the length nor the offsets count that 00.
    """

    length_max: int
    start: bytes = b""
    end: bytes = b""
    length_min: int | None = None
    length_at: Span | None = None
    length_adds: int = 0
    checksum: Xor8 | None = None
    stuffing: bytes = b""

    @property
    def needs_pause(self) -> bool:
        return not self.start

    def parse(self, buffer: bytes) -> Parsed | None:
        begin = buffer.find(self.start)
        if begin != 0:
            return Parsed(begin, None) if begin > 0 else _drop(len(buffer) - self._started(buffer))
        total = self._total(buffer)
        if total is None:
            return None
        plain, taken = self._unstuffed(buffer, total)
        if len(plain) < total:
            return None
        again = buffer.find(self.start, 1, total) if self.start and self.length_min else -1
        if total == 0 or again > 0 or not plain.endswith(self.end):
            # This start byte began no frame. The next one may stand among the bytes behind it.
            return Parsed(max(again, 1), None)
        if self.checksum is not None and not self.checksum.holds(plain):
            return Parsed(1, Fault.CHECKSUM)
        return Parsed(taken, Frame(plain, buffer[:taken]))

    def _total(self, buffer: bytes) -> int | None:
        """Return how long the frame is, 0 when none begins here, None while that is not known."""
        if self.length_min is not None:
            at = buffer.find(self.end, max(len(self.start), self.length_min - len(self.end)))
            if 0 <= at <= self.length_max - len(self.end):
                return at + len(self.end)
            return None if at < 0 and len(buffer) < self.length_max else 0
        if self.length_at is None:
            return self.length_max
        head, _ = self._unstuffed(buffer, self.length_at[1])
        if len(head) < self.length_at[1]:
            return None
        total = int.from_bytes(_part(head, self.length_at), "little") + self.length_adds
        return total if self.length_at[1] < total <= self.length_max else 0

    def _started(self, buffer: bytes) -> int:
        """Return how many bytes at the end may be the beginning of the start bytes."""
        counts = range(len(self.start) - 1, 0, -1)
        return next((n for n in counts if buffer.endswith(self.start[:n])), 0)

    def _unstuffed(self, buffer: bytes, count: int) -> tuple[bytes, int]:
        """Return the first `count` bytes without stuffing, and how many they are on the wire."""
        if not self.stuffing:
            return buffer[:count], min(count, len(buffer))
        plain, at = bytearray(), 0
        while len(plain) < count and at < len(buffer):
            plain.append(buffer[at])
            is_stuffed = at >= len(self.start) and buffer[at : at + 1] == self.stuffing
            if is_stuffed and at + 1 >= len(buffer):
                if len(plain) == count:
                    return bytes(plain), at + 1  # a 00 that follows is dropped as noise
                return bytes(plain[:-1]), at  # whether a 00 follows is not known yet
            at += 2 if is_stuffed and buffer[at + 1] == 0 else 1
        return bytes(plain), at


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Text up to CR, LF or both. An empty line is an empty frame.

    With `hexadecimal` the payload is the bytes that the hex digits stand for.
    """

    length_max: int
    hexadecimal: bool
    needs_pause = True

    def parse(self, buffer: bytes) -> Parsed | None:
        ends = [at for at in (buffer.find(b"\r"), buffer.find(b"\n")) if at >= 0]
        if not ends:
            is_too_long = len(buffer) > self.length_max
            return Parsed(len(buffer), Fault.FORM) if is_too_long else None
        end = min(ends)
        line = buffer[:end]
        if end > self.length_max:
            return Parsed(end + 1, Fault.FORM)
        if not line:
            return Parsed(1, Frame(b"", buffer[:1]))
        if not self.hexadecimal:
            return Parsed(end + 1, Frame(line, buffer[: end + 1]))
        try:
            return Parsed(end + 1, Frame(unhexlify(line), buffer[: end + 1]))
        except ValueError:
            return Parsed(end + 1, Fault.CHECKSUM)


ACK = b""
"""The payload of a PN53x acknowledgement."""


@dataclass(frozen=True, slots=True)
class Pn53x:
    """NXP's frames (UM0701-02, 6.2). The payload is what follows TFI D5; an ACK has none."""

    needs_pause = False

    def parse(self, buffer: bytes) -> Parsed | None:
        begin = buffer.find(b"\x00\xff")
        if begin < 0:
            return _drop(len(buffer) - buffer.endswith(b"\x00"))
        body = buffer[begin + 2 :]
        if len(body) < 2:
            return None
        length, length_check = body[0], body[1]
        if (length, length_check) == (0x00, 0xFF):
            return Parsed(begin + 4, Frame(ACK, buffer[: begin + 4]))
        if (length, length_check) == (0xFF, 0x00):
            return Parsed(begin + 4, Fault.DEVICE)  # NAK
        if length == 0 or (length + length_check) & 0xFF:
            return Parsed(begin + 1, Fault.CHECKSUM)
        if len(body) < 2 + length + 1:
            return None
        data, taken = body[2 : 2 + length], begin + 2 + 2 + length + 1
        if (sum(data) + body[2 + length]) & 0xFF:
            return Parsed(begin + 1, Fault.CHECKSUM)
        if data == b"\x7f":
            return Parsed(taken, Fault.DEVICE)  # error frame: the chip rejected the command
        return Parsed(taken, Frame(data[1:], buffer[:taken]) if data[0] == 0xD5 else None)


def pn53x_command(payload: bytes) -> bytes:
    """Return the frame that carries a command to a PN53x."""
    data = b"\xd4" + payload
    head = bytes([len(data), -len(data) & 0xFF])
    return b"\x00\x00\xff" + head + data + bytes([-sum(data) & 0xFF, 0])


def reseal(frame_format: FrameFormat, raw: bytes) -> bytes:
    """Return a frame whose bytes were replaced, with its checksum computed again."""
    if isinstance(frame_format, Pn53x):
        start = raw.index(b"\x00\xff") + 2
        end = start + 2 + raw[start]
        return raw[:end] + bytes([-sum(raw[start + 2 : end]) & 0xFF]) + raw[end + 1 :]
    if isinstance(frame_format, Framed) and frame_format.checksum is not None:
        checksum = frame_format.checksum.computed(raw)
        if checksum is not None:
            first, end = resolve_span(len(raw), frame_format.checksum.at)
            return raw[:first] + checksum + raw[end:]
    return raw


def xor_of(covered: bytes) -> bytes:
    """Return the XOR of all bytes, as one byte."""
    return bytes([reduce(xor, covered, 0)])


def resolve_span(length: int, span: Span) -> Span:
    """Return a span of a frame of `length` bytes with both ends counted from its beginning."""
    first, end, _ = slice(span[0], span[1] or length).indices(length)
    return first, end


def _part(frame: bytes, span: Span) -> bytes:
    first, end = resolve_span(len(frame), span)
    return frame[first:end]


def _drop(count: int) -> Parsed | None:
    return Parsed(count, None) if count > 0 else None
