"""Traces: the traffic of a reader's wire, with times. Recorded, written, read and replayed.

A trace is a text file that a person can read and write: `ms mark bytes` in each line, and remarks
behind `#`. Marks: `open`, `>` sent, `<` received, `card` with its ATR, `mute`, `gone`, `show` with
a signal, and `=` with the result of a tap. A replay drives the same code as a reader. A trace in a
file was scrubbed first (`scrub.py`): it contains no card's number.
"""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.apdu import parse_hex
from agent.readers.dialogue import Dialogue
from agent.readers.events import Signal
from agent.readers.faults import Fault
from agent.readers.identity import Detection, card_of_answer
from agent.readers.presence import Look, RecentTaps, presence_of
from agent.readers.profile import Profile, given

# Lines in memory: an hour of a reader that is asked seven times a second.
LINES_MAX = 100_000
HEAD = "# canteen reader trace 1"
MARKS = ("open", ">", "<", "card", "mute", "gone", "show", "=")
# 10^12 ms are 31 years. More digits would be a slow conversion of a damaged file.
_MS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class TraceLine:
    """`ms` is the time since the beginning. The data of `show` and `=` is a word.

    The representation hides the data: it may contain a UID.
    """

    ms: int
    mark: str
    data: bytes = field(default=b"", repr=False)

    @property
    def is_word(self) -> bool:
        return self.mark in ("show", "=")


@dataclass(slots=True)
class Trace:
    """`profile` is a profile's id; `remarks` stand behind # at the head."""

    profile: str
    lines: list[TraceLine] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class TraceRecorder:
    """Keeps the traffic of a reader's wire, up to `LINES_MAX` lines."""

    def __init__(self, profile: Profile) -> None:
        remark = f"revision {profile.revision}, sha256 {profile.digest}"
        self.trace = Trace(profile.id, remarks=[remark])
        self._begin_ms: int | None = None

    def add(self, now_ms: int, mark: str, data: bytes) -> None:
        if self._begin_ms is None:
            self._begin_ms = now_ms
        if len(self.trace.lines) < LINES_MAX:
            self.trace.lines.append(TraceLine(now_ms - self._begin_ms, mark, data))


def parse_trace(text: str, where: str) -> Trace:
    """Return the trace in a text. Raise `ReaderError` with file, line and what to write."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != HEAD:
        raise ReaderError(f"{where}: line 1: not a trace; a trace begins with {HEAD!r}")
    trace = Trace("")
    for number, line in enumerate(lines[1:], start=2):
        if line.split(maxsplit=1)[:1] == ["#"]:
            remark = line.strip("# ")
            if remark.startswith("profile "):
                trace.profile = remark.removeprefix("profile ")
            else:
                trace.remarks.append(remark)
        elif line.strip():
            trace.lines.append(_parse_line(line, f"{where}: line {number}"))
    if not trace.profile:
        raise ReaderError(f"{where}: the line '# profile ID' is missing")
    return trace


def _parse_line(line: str, where: str) -> TraceLine:
    ms, mark, rest = [*line.split(maxsplit=2), "", ""][:3]
    is_signal = mark != "show" or rest in list(Signal)
    try:
        if _MS.fullmatch(ms) is None or mark not in MARKS or not is_signal:
            raise ValueError
        data = rest.encode("ascii") if mark in ("show", "=") else parse_hex(rest)
    except ValueError:
        marks = " ".join(MARKS)
        raise ReaderError(f"{where}: write milliseconds, one of {marks}, and hex pairs") from None
    return TraceLine(int(ms), mark, data)


def read_trace(path: Path) -> Trace:
    """Return the trace in a file. Raise `ReaderError`."""
    try:
        return parse_trace(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ReaderError(f"{path}: cannot be read: {error}") from error


def trace_text(trace: Trace) -> str:
    """Return the text of a trace."""
    lines = [HEAD, f"# profile {trace.profile}", *(f"# {remark}" for remark in trace.remarks)]
    for line in trace.lines:
        data = line.data.decode("ascii") if line.is_word else line.data.hex(" ").upper()
        lines.append(f"{line.ms} {line.mark} {data}".rstrip())
    return "\n".join(lines) + "\n"


def replay(profile: Profile, trace: Trace) -> Iterator[TraceLine]:
    """Yield a `=` line for each tap in a trace: a card id, or the word of a fault.

    Raise `ReaderError` at the first bytes in the trace that today's code would not send.
    """
    presence = presence_of("trace", profile, RecentTaps(nullcontext()))
    detections = _pcsc_detections if profile.transport == "pcsc" else _serial_detections
    for ms, detection in detections(profile, trace):
        if presence.look(detection, ms) is Look.TAP:
            yield TraceLine(ms, "=", _word(detection))


class _TimedDetection(NamedTuple):
    ms: int
    detection: Detection


def _word(detection: Detection) -> bytes:
    if isinstance(detection, CardId):
        return detection.text.encode("ascii")
    return str(getattr(detection, "value", "none")).encode("ascii")


def _pcsc_detections(profile: Profile, trace: Trace) -> Iterator[_TimedDetection]:
    uid_command = parse_hex(given(profile.uid.send))
    start_up = [parse_hex(send) for step in profile.init for send in step.sends]
    atr, sent, due = b"", b"", list[bytes]()
    for line in trace.lines:
        match line.mark:
            case "card":
                atr, due = line.data, []
            case "gone":
                yield _TimedDetection(line.ms, None)
            case "mute":
                yield _TimedDetection(line.ms, Fault.MUTE)
            case "show":
                step = profile.step_for(Signal(line.data.decode("ascii")))
                due = [] if step is None else [parse_hex(send) for send in step.sends]
            case ">":
                sent = line.data
                if due and sent == due[0]:
                    due.pop(0)
                elif sent != uid_command and sent not in start_up:
                    _other_bytes(line, due[0] if due else b"")
            case "<" if sent == uid_command and len(line.data) >= 2:
                yield _TimedDetection(line.ms, card_of_answer(profile, line.data, atr))


def _serial_detections(profile: Profile, trace: Trace) -> Iterator[_TimedDetection]:
    dialogue, has_failed = Dialogue(profile, 0), False
    for line in trace.lines:
        yield from _ended_repeats(dialogue, line.ms)
        if line.mark == "open":
            yield from (_TimedDetection(line.ms, detection) for detection in dialogue.end())
            dialogue, has_failed = Dialogue(profile, line.ms), False
        if has_failed:
            continue
        sent, detections = b"", list[Detection]()
        try:
            if line.mark == "show":
                dialogue.show(Signal(line.data.decode("ascii")))
            elif line.mark == ">":
                sent = dialogue.send(line.ms)
            elif line.mark == "<":
                detections = dialogue.receive(line.data, line.ms)
        except ReaderError:  # a running reader opens its port again
            yield from (_TimedDetection(line.ms, detection) for detection in dialogue.end())
            has_failed = True
            continue
        if line.mark == ">" and sent != line.data:
            _other_bytes(line, sent)
        for detection in detections:
            yield _TimedDetection(line.ms, detection)
    yield from _ended_repeats(dialogue, None)


def _ended_repeats(dialogue: Dialogue, until_ms: int | None) -> Iterator[_TimedDetection]:
    """Yield what ended up to a time because a frame did not come again. None: in the end."""
    while (ends_ms := dialogue.repeat_ends_ms) is not None:
        if until_ms is not None and ends_ms >= until_ms:
            return
        for detection in dialogue.receive(b"", ends_ms):
            yield _TimedDetection(ends_ms, detection)


def _other_bytes(line: TraceLine, sent: bytes) -> NoReturn:
    raise ReaderError(
        f"at {line.ms} ms: the code sends {sent.hex(' ') or 'nothing'},"
        f" the trace has {line.data.hex(' ')}"
    )
