"""Removes the card numbers from a trace. Pure.

A trace keeps only the bytes that the profile names: start and end of a frame, its length, the
answers that it expects, status codes. A UID at its place is replaced by another of the same kind,
with a right checksum. Everything else is struck, since any byte may belong to a card's number. A
scrubbed trace still gives the same taps.
"""

import hashlib
from dataclasses import replace

from msgspec import UNSET

from agent.readers.apdu import begins, literal_bytes, matches, parse_hex
from agent.readers.atr import without_number
from agent.readers.framing import (
    Frame,
    Framed,
    Line,
    Pn53x,
    Span,
    reseal,
    resolve_span,
    xor_of,
)
from agent.readers.identity import uid_span
from agent.readers.profile import Profile, given
from agent.readers.profile_kinds import Request
from agent.readers.trace import Trace, TraceLine, replay

REMARK = "card numbers are replaced; bytes that the profile does not name are overwritten"
# First bytes that tell what a number is: random, cut off, ISO 15693, ST25TB, a phone's FeliCa.
_KEPT_FIRST = (b"\x08", b"\x88", b"\xe0", b"\xd0", b"\x01\xfe")
_OVERWRITTEN = ord("Z")
# A byte of a text that is no letter and no digit. No pattern of a profile accepts it.
_OVERWRITTEN_TEXT = ord("?")
# What printed numbers and codes have between their parts.
_TEXT_SEPARATORS = frozenset(b",.-:/ ")
# Answers of two bytes that are a status and no number: ISO 7816-4, PC/SC part 3.
_STATUS_WORDS = frozenset(map(bytes.fromhex, ("6300", "6700", "6800", "6982", "6A81", "6A82")))
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
        self._patterns = answer_patterns(profile)
        self._struck = self._struck_byte()

    def answers(self, lines: list[TraceLine]) -> list[TraceLine]:
        """Scrub the lines of a PC/SC reader."""
        clean, sent = list[TraceLine](), b""
        for line in lines:
            data = line.data
            if line.mark == ">":
                sent = line.data
            elif line.mark == "<":
                data = self._answer(sent, data)
            elif line.mark == "card":
                data = without_number(data)
            clean.append(replace(line, data=data))
        return clean

    def _answer(self, sent: bytes, answer: bytes) -> bytes:
        """Return the answer to an APDU or an escape command."""
        if answer in _STATUS_WORDS:
            return answer
        uid = self._profile.uid
        if sent == parse_hex(given(uid.send)):
            if len(answer) < 2 or not matches(uid.status, answer[-2:]):
                return self._strike(answer)
            return self._replaced(answer[:-2]) + self._strike(answer[-2:], [uid.status])
        steps = [*self._profile.init, *self._profile.feedback.steps()]
        fitting = [step.expect for step in steps if sent in map(parse_hex, step.sends)]
        return self._strike(answer, [pattern for pattern in fitting if pattern is not UNSET])

    def _strike(self, data: bytes, patterns: list[str] | None = None) -> bytes:
        """Return bytes of which only those stay that a fitting pattern names."""
        named = set[int]()
        for pattern in patterns or []:
            if begins(pattern, data):
                named |= literal_bytes(pattern).keys()
        return bytes(byte if at in named else self._struck for at, byte in enumerate(data))

    def stream(self, lines: list[TraceLine]) -> list[TraceLine]:
        """Scrub the lines of a serial or keyboard reader. A chunk may end anywhere in a frame."""
        stream = b"".join(line.data for line in lines if line.mark == "<")
        framer, frames = self._profile.framer(0), list[Frame]()
        for line in lines:
            if line.mark == "<":
                results = framer.feed(line.data, line.ms)
                frames += [result for result in results if isinstance(result, Frame)]
            elif line.mark == ">" and isinstance(self._profile.poll, Request):
                framer.forget()  # as the dialogue does
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
        clean, new_offsets, done = bytearray(), [0] * (len(stream) + 1), 0
        for frame in [*frames, Frame(b"", b"", len(stream))]:
            begin = frame.end - len(frame.raw)
            for at in range(done, begin):
                new_offsets[at] = len(clean)
                clean += self._noise(stream[at : at + 1])
            new = self._frame(frame) if frame.raw else b""
            for n in range(len(frame.raw)):
                new_offsets[begin + n] = len(clean) + min(n, len(new))
            clean += new
            done = frame.end
        new_offsets[len(stream)] = len(clean)
        return bytes(clean), new_offsets

    def _frame(self, frame: Frame) -> bytes:
        """Return a frame with its number replaced, and the rest struck."""
        payload, frame_format = self._payload(frame.payload), self._format
        if isinstance(frame_format, Pn53x):
            begin = frame.raw.index(b"\x00\xff")
            body = frame.raw[begin:]
            if payload:  # 00 FF, length and its check, D5, payload, checksum
                body = reseal(frame_format, body[:5] + payload + body[-1:])
            return self._noise(frame.raw[:begin]) + body
        if isinstance(frame_format, Line):
            text = payload.hex().upper().encode() if frame_format.hexadecimal else payload
            return text + frame.raw[-1:]
        assert frame_format is not None
        sealed = reseal(frame_format, payload)
        if isinstance(frame_format, Framed) and frame_format.stuffing:
            begin, stuffing = len(frame_format.start), frame_format.stuffing
            body = sealed[begin:-1].replace(stuffing, stuffing + b"\0")
            sealed = sealed[:begin] + body + sealed[-1:]
        return sealed

    def _payload(self, payload: bytes) -> bytes:
        poll, uid, pattern = self._profile.poll, self._profile.uid, self._profile.card_pattern
        is_card = pattern is None or begins(pattern, payload)
        new = bytearray(self._strike(payload, self._patterns))
        for first, end in self._framed_spans(len(payload)):
            new[first:end] = payload[first:end]
        if not is_card:
            return bytes(new)
        if isinstance(poll, Request) and poll.count_at is not UNSET and len(new) > poll.count_at:
            new[poll.count_at] = min(payload[poll.count_at], 2)
            if new[poll.count_at] != 1:
                return bytes(new)
        if uid.type_at is not UNSET and payload[uid.type_at : uid.type_at + 1].hex() in uid.types:
            new[uid.type_at] = payload[uid.type_at]
        span = uid_span(self._profile, payload)
        if span is not None:
            if uid.length_at is not UNSET:
                new[uid.length_at] = payload[uid.length_at]
            number = self._replaced(payload[slice(*span)])
            new[slice(*span)] = number
            if uid.bcc and payload[span[1] : span[1] + 1] == xor_of(payload[slice(*span)]):
                new[span[1] : span[1] + 1] = xor_of(number)
        return bytes(new)

    def _framed_spans(self, length: int) -> list[Span]:
        """Return where the framing's own bytes stand in a payload."""
        if not isinstance(self._format, Framed):
            return []
        spans = [(0, len(self._format.start)), (length - len(self._format.end), length)]
        if self._format.length_at is not None:
            spans.append(resolve_span(length, self._format.length_at))
        return spans

    def _noise(self, data: bytes) -> bytes:
        """Return bytes outside of frames: only delimiters stay."""
        kept = set[int]()
        if isinstance(self._format, Framed):
            kept |= set(self._format.start + self._format.end)
        if isinstance(self._format, Line):
            kept |= set(b"\r\n")
        if isinstance(self._format, Pn53x):
            kept |= {0x00, 0xFF}
        return bytes(byte if byte in kept else _OVERWRITTEN for byte in data)

    def _struck_byte(self) -> int:
        """Return a byte that the profile names nowhere: it must not make another answer."""
        uid, frame_format = self._profile.uid, self._format
        checksum = frame_format.checksum if isinstance(frame_format, Framed) else None
        if checksum is not None and checksum.hexadecimal:
            return ord("0")
        named = {byte for pattern in self._patterns for byte in literal_bytes(pattern).values()}
        named |= {byte for text in uid.types for byte in parse_hex(text)} | {_NOT_USED}
        return next(n for n in range(_OVERWRITTEN, 256 + _OVERWRITTEN) if n % 256 not in named)

    def _replaced(self, part: bytes) -> bytes:
        """Return another number that looks like this one, the same for every time it occurs."""
        uid = self._profile.uid
        no_card = (b"\x00", b"\xff") if uid.encoding == "raw" else (b"0", b"F", b"f")
        if any(part == byte * len(part) for byte in no_card):
            return part
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
        new[0] = 0x04
        for first in _KEPT_FIRST:
            if number.startswith(first):
                new[: len(first)] = first
        return bytes(new)

    def _letters(self, text: bytes) -> bytes:
        digest = self._digest(text)
        return bytes(_other_letter(*pair) for pair in zip(text, digest, strict=True))

    def _digest(self, number: bytes) -> bytes:
        return hashlib.shake_256(self._key + number).digest(len(number))


def answer_patterns(profile: Profile) -> list[str]:
    """Return the patterns of all answers that a profile names."""
    steps = [*profile.init, *profile.feedback.steps()]
    patterns = [step.expect for step in steps if step.expect is not UNSET]
    if profile.keepalive is not UNSET:
        patterns.append(profile.keepalive.expect)
    if isinstance(profile.poll, Request):
        patterns += [*profile.poll.expect, *profile.poll.none]
    elif profile.card_pattern is not None:
        patterns.append(profile.card_pattern)
    return [*patterns, *profile.several_patterns]


def _other_letter(byte: int, random: int) -> int:
    """Return another digit for a digit and another letter for a letter; ? for other bytes."""
    if 48 <= byte <= 57:
        return 48 + random % 10
    if 65 <= byte & 0xDF <= 90:
        return (byte & 0x20) + 65 + random % 26
    return byte if byte in _TEXT_SEPARATORS else _OVERWRITTEN_TEXT
