"""Removes the card numbers from a trace. Pure.

UIDs are replaced by others of the same kind, with right checksums. Everything that may be a number
and is no whole frame is overwritten: half frames, damaged frames, and what a card with a processor
tells about itself. A scrubbed trace still gives the same taps.
"""

import hashlib
from dataclasses import replace

from msgspec import UNSET

from agent.readers.apdu import begins, parse_hex
from agent.readers.atr import without_number
from agent.readers.framing import Frame, Line, Prefixed, reseal, xor_of
from agent.readers.identity import uid_span
from agent.readers.profile import Profile, given
from agent.readers.trace import Trace, TraceLine, replay

REMARK = "card numbers are replaced; bytes outside of whole frames are overwritten with 5A"
# A first byte that tells what a number is (random, cut off, ISO 15693) stays.
_KEPT_FIRST = (0x08, 0x88, 0xE0)
_OVERWRITTEN = ord("Z")
# A replaced number never contains the byte that yhy632 stuffs, so that its length stays the same.
_NOT_USED = 0xAA


def scrubbed(profile: Profile, trace: Trace, key: bytes) -> Trace:
    """Return a trace without any card's number, and with the taps of its replay.

    With one `key`, a card gets the same other number throughout.
    """
    scrubber = _Scrubber(profile, key)
    scrub = scrubber.answers if profile.transport == "pcsc" else scrubber.stream
    lines = scrub([line for line in trace.lines if line.mark != "="])
    clean = Trace(profile.id, lines, [*trace.remarks, REMARK])
    clean.lines = sorted([*lines, *replay(profile, clean)], key=lambda line: line.ms)
    return clean


class _Scrubber:
    def __init__(self, profile: Profile, key: bytes) -> None:
        self._profile = profile
        self._format = None if profile.transport == "pcsc" else profile.frame_format()
        self._key = key

    def answers(self, lines: list[TraceLine]) -> list[TraceLine]:
        """Scrub the lines of a PC/SC reader."""
        uid_command, sent = parse_hex(given(self._profile.uid.send)), b""
        clean = list[TraceLine]()
        for line in lines:
            data = line.data
            if line.mark == ">":
                sent = line.data
            elif line.mark == "<" and sent == uid_command:
                data = self._replaced(data[:-2]) + data[-2:] if len(data) >= 2 else data
            elif line.mark == "card":
                data = without_number(data)
            clean.append(replace(line, data=data))
        return clean

    def stream(self, lines: list[TraceLine]) -> list[TraceLine]:
        """Scrub the lines of a serial or keyboard reader. A chunk may end anywhere in a frame."""
        stream = b"".join(line.data for line in lines if line.mark == "<")
        framer = self._profile.framer(0)
        frames = [
            result
            for line in lines
            if line.mark == "<"
            for result in framer.feed(line.data, line.ms)
            if isinstance(result, Frame)
        ]
        clean, new_offsets = self._clean_stream(stream, frames)
        kept, at = list[TraceLine](), 0
        for line in lines:
            data = line.data
            if line.mark == "<":
                end = at + len(line.data)
                data = clean[new_offsets[at] : new_offsets[end]]
                at = end
            kept.append(replace(line, data=data))
        return kept

    def _clean_stream(self, stream: bytes, frames: list[Frame]) -> tuple[bytes, list[int]]:
        """Return the scrubbed stream, and where each byte of the original stands in it."""
        kept_bytes = self._kept_bytes()
        clean, new_offsets, done = bytearray(), [0] * (len(stream) + 1), 0
        for frame in [*frames, Frame(b"", b"", len(stream))]:
            begin = frame.end - len(frame.raw)
            for at in range(done, begin):
                new_offsets[at] = len(clean)
                clean.append(stream[at] if stream[at] in kept_bytes else _OVERWRITTEN)
            new = self._frame(frame) if frame.raw else b""
            for n in range(len(frame.raw)):
                new_offsets[begin + n] = len(clean) + min(n, len(new))
            clean += new
            done = frame.end
        new_offsets[len(stream)] = len(clean)
        return bytes(clean), new_offsets

    def _frame(self, frame: Frame) -> bytes:
        """Return a frame with its number replaced."""
        poll = self._profile.poll
        if poll.expect and not begins(poll.expect[-1], frame.payload):
            return frame.raw  # not about a card
        payload = self._payload(frame.payload)
        assert self._format is not None
        if isinstance(self._format, Prefixed) and self._format.stuffing:
            begin, stuffing = len(self._format.start), self._format.stuffing
            stuffed = payload[begin:].replace(stuffing, stuffing + b"\0")
            return reseal(self._format, payload[:begin] + stuffed)
        old, raw = frame.payload, frame.raw
        if isinstance(self._format, Line) and self._format.hexadecimal:
            old, payload = old.hex().upper().encode(), payload.hex().upper().encode()
            raw = raw.upper()
        return reseal(self._format, raw.replace(old, payload, 1))

    def _payload(self, payload: bytes) -> bytes:
        poll, uid, new = self._profile.poll, self._profile.uid, bytearray(payload)
        span = uid_span(self._profile, payload)
        if poll.count_at is not UNSET and len(new) > poll.count_at and new[poll.count_at] > 1:
            new[poll.count_at + 1 :] = bytes(len(new) - poll.count_at - 1)
        elif span is not None:
            begin, end = span
            number = self._replaced(payload[begin:end])
            new[begin:end] = number
            if uid.length_at is not UNSET:
                # What a card with a processor tells about itself follows.
                new[end:] = bytes(len(new) - end)
            if uid.bcc:
                # The rest of the card's first block follows: its maker's data, unique to it.
                new[end:-1] = xor_of(number) + bytes(max(0, len(new) - end - 2))
        return bytes(new)

    def _replaced(self, part: bytes) -> bytes:
        """Return another number that looks like this one, the same for every time it occurs."""
        if len(set(part)) <= 1:
            return part  # empty, all zeros, all ones: the number of no card
        uid = self._profile.uid
        if uid.encoding == "raw":
            return self._bytes(part)
        if uid.encoding == "ascii-hex":
            try:
                number = bytes.fromhex(part.decode("ascii"))
            except ValueError:
                return self._letters(part)
            return self._bytes(number).hex().upper().encode("ascii")
        if uid.encoding == "ascii-dec" and part.isdigit():
            return self._decimal(part) or self._letters(part)
        return self._letters(part)

    def _decimal(self, part: bytes) -> bytes | None:
        """Return another decimal number with as many digits, or None where there is none."""
        width = given(self._profile.uid.width)
        if int(part) >= 256**width:
            return None
        order = -1 if self._profile.uid.byte_order == "reversed" else 1
        number = self._bytes(int(part).to_bytes(width, "big")[::order])[::order]
        digits = f"{int.from_bytes(number, 'big'):0{len(part)}}"
        return digits.encode("ascii") if len(digits) == len(part) else None

    def _bytes(self, number: bytes) -> bytes:
        digest = self._digest(number)
        new = bytearray(byte if byte != _NOT_USED else _NOT_USED + 1 for byte in digest)
        new[0] = number[0] if number[0] in _KEPT_FIRST else 0x04
        return bytes(new)

    def _letters(self, text: bytes) -> bytes:
        digest = self._digest(text)
        return bytes(_other_letter(*pair) for pair in zip(text, digest, strict=True))

    def _digest(self, number: bytes) -> bytes:
        return hashlib.shake_256(self._key + number).digest(len(number))

    def _kept_bytes(self) -> set[int]:
        """Return the bytes that stay outside of frames: delimiters, and no digits of a number."""
        framing = given(self._profile.framing)
        texts = [text for text in (framing.start, framing.end) if text is not UNSET]
        return {byte for text in texts for byte in parse_hex(text)} | {0x00, 0xFF, 0x0D, 0x0A}


def _other_letter(byte: int, random: int) -> int:
    """Return another digit for a digit and another capital for a letter; other bytes stay."""
    if 48 <= byte <= 57:
        return 48 + random % 10
    if 65 <= byte & 0xDF <= 90:
        return 65 + random % 26
    return byte
