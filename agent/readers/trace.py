"""What went over a reader's wire, with times: kept, made harmless, written, and played again through the same code.

A trace is a text file a person can read and write: `ms mark bytes` a line, `#` for remarks. Marks: `open`, `>` sent, `<` received,
`card` with its ATR, `mute`, `gone`, `show` a signal, and `=` what came of it. It holds no card of anybody: UIDs are
exchanged for others of their kind, checksums made right again, and what is no whole frame is struck out.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from msgspec import UNSET

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.apdu import begins, parse_hex, technology_of_atr
from agent.readers.dialogue import Dialogue
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.framing import Frame, Line, Prefixed, reseal, xor_of
from agent.readers.identity import Seen, card_of_answer, part_at
from agent.readers.presence import LateTaps, presence_of
from agent.readers.profile import Profile, given

NOTES_MAX = 100_000  # an hour of a reader that is asked seven times a second
HEAD = "# canteen reader trace 1"
MARKS = ("open", ">", "<", "card", "mute", "gone", "show", "=")
_SPECIAL = (
    0x08,
    0x88,
    0xE0,
)  # a first byte that says what the number is (random, cut, ISO 15693) stays
_STRUCK = ord("Z")


@dataclass(frozen=True, slots=True)
class Note:
    """`ms` since the beginning. `data` of a `show` or `=` is its word."""

    ms: int
    mark: str
    data: bytes = b""


@dataclass(slots=True)
class Trace:
    """`profile` is a profile's id, `remarks` what stands behind # at the head."""

    profile: str
    notes: list[Note] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class TraceRecorder:
    """Keeps what a reader's line tells, up to `NOTES_MAX` things."""

    def __init__(self, profile: Profile) -> None:
        self.trace = Trace(
            profile.id, remarks=[f"revision {profile.revision}, sha256 {profile.digest}"]
        )
        self._begun_ms: int | None = None

    def note(self, now_ms: int, mark: str, data: bytes) -> None:
        if self._begun_ms is None:
            self._begun_ms = now_ms
        if len(self.trace.notes) < NOTES_MAX:
            self.trace.notes.append(Note(now_ms - self._begun_ms, mark, data))


def parse_trace(text: str, where: str) -> Trace:
    """Return the trace in a text. Raise `ReaderError` with file, line and what to write."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != HEAD:
        raise ReaderError(f"{where}: line 1: is no trace; it begins with {HEAD!r}")
    trace = Trace("")
    for number, line in enumerate(lines[1:], start=2):
        words = line.split(maxsplit=2)
        if not words:
            continue
        if words[0] == "#":
            remark = line.strip("# ")
            if remark.startswith("profile "):
                trace.profile = remark.removeprefix("profile ")
            else:
                trace.remarks.append(remark)
            continue
        ms, mark, rest = (
            words[0],
            words[1] if len(words) > 1 else "",
            words[2] if len(words) > 2 else "",
        )
        try:
            if (
                not re.fullmatch(r"[0-9]{1,12}", ms)
                or mark not in MARKS
                or (mark == "show" and rest not in list(Signal))
            ):
                raise ValueError
            data = rest.encode("ascii") if mark in ("show", "=") else parse_hex(rest)
        except ValueError:
            raise ReaderError(
                f"{where}: line {number}: write milliseconds, one of {' '.join(MARKS)}, and hex pairs"
            ) from None
        trace.notes.append(Note(int(ms), mark, data))
    if not trace.profile:
        raise ReaderError(f"{where}: has no line '# profile ID'")
    return trace


def read_trace(path: Path) -> Trace:
    """Return the trace in a file. Raise `ReaderError`."""
    try:
        return parse_trace(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ReaderError(f"{path}: cannot be read: {error}") from error


def write_trace(trace: Trace) -> str:
    """Return a trace's text."""
    lines = [HEAD, f"# profile {trace.profile}", *(f"# {remark}" for remark in trace.remarks)]
    for note in trace.notes:
        data = (
            note.data.decode("ascii") if note.mark in ("show", "=") else note.data.hex(" ").upper()
        )
        lines.append(f"{note.ms} {note.mark} {data}".rstrip())
    return "\n".join(lines) + "\n"


def replay(profile: Profile, trace: Trace) -> Iterator[Note]:
    """Yield a `=` note for every tap that a trace brings about: a card id, or a fault's word. Raise `ReaderError` at the first bytes
    that we would not send today."""
    presence = presence_of("trace", profile, LateTaps(nullcontext()))
    seeing = (
        _pcsc_seen(profile, trace) if profile.transport == "pcsc" else _serial_seen(profile, trace)
    )
    for ms, seen in seeing:
        if presence.is_tap(seen, ms):
            yield Note(ms, "=", _word(seen))


def _word(seen: Seen) -> bytes:
    text = seen.text if isinstance(seen, CardId) else str(getattr(seen, "value", "none"))
    return text.encode("ascii")


def _pcsc_seen(profile: Profile, trace: Trace) -> Iterator[tuple[int, Seen]]:
    uid = parse_hex(given(profile.uid.send))
    start_up = [parse_hex(send) for step in profile.init for send in step.sends]
    atr, asked, due = b"", b"", list[bytes]()
    for note in trace.notes:
        match note.mark:
            case "card":
                atr, due = note.data, []
            case "mute":
                yield note.ms, Fault.MUTE
            case "show":
                step = profile.step_for(Signal(note.data.decode("ascii")))
                due = [] if step is None else [parse_hex(send) for send in step.sends]
            case ">":
                asked = note.data
                if due and asked == due[0]:
                    due.pop(0)
                elif asked != uid and asked not in start_up:
                    _other_bytes(note, due[0] if due else b"")
            case "<" if asked == uid and len(note.data) >= 2:
                yield note.ms, card_of_answer(profile, note.data, atr)


def _serial_seen(profile: Profile, trace: Trace) -> Iterator[tuple[int, Seen]]:
    dialogue, given_up = Dialogue(profile, 0), False
    for note in trace.notes:
        if note.mark == "open":
            dialogue, given_up = Dialogue(profile, note.ms), False
        if given_up:
            continue
        sent, seen = b"", list[Seen]()
        try:
            if note.mark == "show":
                dialogue.show(Signal(note.data.decode("ascii")))
            elif note.mark == ">":
                sent = dialogue.send(note.ms)
            elif note.mark == "<":
                seen = dialogue.receive(note.data, note.ms)
        except ReaderError:  # in life the port is opened anew
            given_up = True
            continue
        if note.mark == ">" and sent != note.data:
            _other_bytes(note, sent)
        for one in seen:
            yield note.ms, one


def _other_bytes(note: Note, sent: bytes) -> NoReturn:
    raise ReaderError(
        f"at {note.ms} ms: sends {sent.hex(' ') or 'nothing'}, the trace has {note.data.hex(' ')}"
    )


def scrubbed(profile: Profile, trace: Trace, key: bytes) -> Trace:
    """Return a trace in which no number of a card is left. `key` makes one card the same other card throughout."""
    disguise = _Disguise(profile, key)
    notes = (
        disguise.answers(trace.notes)
        if profile.transport == "pcsc"
        else disguise.stream(trace.notes)
    )
    clean = Trace(
        profile.id,
        notes,
        [*trace.remarks, "UIDs are exchanged, what is no whole frame is struck out"],
    )
    return Trace(
        clean.profile,
        sorted([*clean.notes, *replay(profile, clean)], key=lambda note: note.ms),
        clean.remarks,
    )


class _Disguise:
    def __init__(self, profile: Profile, key: bytes) -> None:
        self._profile = profile
        self._shape = None if profile.transport == "pcsc" else profile.shape()
        self._key = key

    def answers(self, notes: list[Note]) -> list[Note]:
        asked, clean = b"", list[Note]()
        for note in notes:
            data = note.data
            if note.mark == ">":
                asked = note.data
            elif note.mark == "<" and asked == parse_hex(given(self._profile.uid.send)):
                data = self._other(data[:-2]) + data[-2:] if len(data) >= 2 else data
            elif note.mark == "card" and technology_of_atr(data) is None:
                data = data[:1] + bytes(
                    len(data[1:])
                )  # what a card with a processor tells of itself may be its number
            if note.mark != "=":
                clean.append(Note(note.ms, note.mark, data))
        return clean

    def stream(self, notes: list[Note]) -> list[Note]:
        """Exchange numbers in the frames of a stream, wherever the pieces it came in were cut."""
        stream = b"".join(note.data for note in notes if note.mark == "<")
        control, framer, frames = self._control(), self._profile.framer(0), list[Frame]()
        for note in notes:
            if note.mark == "<":
                frames += [
                    found for found in framer.feed(note.data, note.ms) if isinstance(found, Frame)
                ]
        clean, at_of, done = (
            bytearray(),
            [0] * (len(stream) + 1),
            0,
        )  # at_of: where a byte of the stream stands now
        for frame in [*frames, Frame(b"", b"", len(stream))]:
            begin = frame.end - len(frame.raw)
            for at in range(done, begin):
                at_of[at] = len(clean)
                clean.append(stream[at] if stream[at] in control else _STRUCK)
            other = self._frame(frame) if frame.raw else b""
            for n in range(len(frame.raw)):
                at_of[begin + n] = len(clean) + min(n, len(other))
            clean += other
            done = frame.end
        at_of[len(stream)] = len(clean)
        kept, at = list[Note](), 0
        for note in notes:
            if note.mark == "<":
                kept.append(
                    Note(note.ms, "<", bytes(clean[at_of[at] : at_of[at + len(note.data)]]))
                )
                at += len(note.data)
            elif note.mark != "=":
                kept.append(note)
        return kept

    def _frame(self, frame: Frame) -> bytes:
        poll, payload = self._profile.poll, bytearray(frame.payload)
        if poll.expect and not begins(poll.expect[-1], frame.payload):
            return frame.raw  # says nothing of a card
        span = part_at(self._profile, frame.payload)
        if (
            poll.count_at is not UNSET
            and len(payload) > poll.count_at
            and payload[poll.count_at] > 1
        ):
            payload[poll.count_at + 1 :] = bytes(len(payload) - poll.count_at - 1)
        elif span is not None:
            begin, end = span
            payload[begin:end] = other = self._other(frame.payload[begin:end])
            if self._profile.uid.length_at is not UNSET:
                payload[end:] = bytes(
                    len(payload) - end
                )  # what a card with a processor tells of itself
            if (
                self._profile.uid.bcc
            ):  # what follows in the card's first block is its maker's, and its own
                payload[end:-1] = xor_of(other) + bytes(max(0, len(payload) - end - 2))
        is_hex = isinstance(self._shape, Line) and self._shape.hexadecimal
        old, new = (
            (frame.payload.hex().upper().encode(), payload.hex().upper().encode())
            if is_hex
            else (frame.payload, bytes(payload))
        )
        raw = frame.raw.upper() if is_hex else frame.raw
        assert self._shape is not None
        if isinstance(self._shape, Prefixed) and self._shape.stuffing:
            begin = len(self._shape.start)
            stuffed = self._shape.stuffing + b"\0"
            return reseal(
                self._shape, new[:begin] + new[begin:].replace(self._shape.stuffing, stuffed)
            )
        return reseal(self._shape, raw.replace(old, new, 1))

    def _other(self, part: bytes) -> bytes:
        """Return another number that looks as this one does, always the same for the same one."""
        if len(set(part)) <= 1:
            return part  # empty, all zeros, all ones: nobody's
        encoding = self._profile.uid.encoding
        if encoding == "raw":
            return self._bytes(part)
        if encoding == "ascii-hex":
            try:
                return (
                    self._bytes(bytes.fromhex(part.decode("ascii"))).hex().upper().encode("ascii")
                )
            except ValueError:
                return self._letters(part)
        width = self._profile.uid.width
        if (
            encoding == "ascii-dec"
            and width is not UNSET
            and part.isdigit()
            and int(part) < 256**width
        ):
            order = -1 if self._profile.uid.byte_order == "reversed" else 1
            other = self._bytes(int(part).to_bytes(width, "big")[::order])[::order]
            number = f"{int.from_bytes(other, 'big'):0{len(part)}}"
            if len(number) == len(part):
                return number.encode("ascii")
        return self._letters(part)

    def _bytes(self, number: bytes) -> bytes:
        other = bytearray(byte if byte != 0xAA else 0xAB for byte in self._digest(number))
        other[0] = number[0] if number[0] in _SPECIAL else 0x04
        return bytes(other)

    def _letters(self, text: bytes) -> bytes:
        digest = self._digest(text)
        return bytes(
            48 + random % 10
            if 48 <= byte <= 57
            else 65 + random % 26
            if 65 <= byte & 0xDF <= 90
            else byte
            for byte, random in zip(text, digest, strict=True)
        )

    def _digest(self, number: bytes) -> bytes:
        return hashlib.shake_256(self._key + number).digest(len(number))

    def _control(self) -> set[int]:
        framing = given(self._profile.framing)
        texts = [text for text in (framing.start, framing.end) if text is not UNSET]
        return {byte for text in texts for byte in parse_hex(text)} | {0x00, 0xFF, 0x0D, 0x0A}
