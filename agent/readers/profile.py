"""A firmware profile: what a reader model does, as facts and bytes in one TOML file.

This module defines the keys. A profile contains no algorithm: framings, checksums, encodings and
quirks are code with closed names. `profile_rules.py` checks a profile and runs its self-tests when
it is loaded; a file without self-tests does not load.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from agent.readers.apdu import parse_hex
from agent.readers.events import Signal
from agent.readers.framing import (
    STALL_MS_MAX,
    Framed,
    FrameFormat,
    Framer,
    Line,
    Pn53x,
    Span,
    Xor8,
)
from agent.readers.profile_kinds import (
    Event,
    Frames,
    Framing,
    FramingChecksum,
    Lines,
    Milliseconds,
    Offset,
    Once,
    Pn53xFrames,
    Poll,
    Repeat,
    Request,
    Sends,
)

SCHEMA = 2
TECHNOLOGIES = {
    "iso14443a": "a",
    "iso14443b": "b",
    "em4100": "em",
    "felica": "f",
    "iso15693": "v",
    "printed-code": "q",
}

Technology = Literal["iso14443a", "iso14443b", "em4100", "felica", "iso15693", "printed-code"]
FaultWord = Literal[
    "none", "checksum", "status", "device", "rejected-uid", "many", "lossy", "form", "technology",
    "length", "random", "random-b", "random-f", "truncated", "blank", "order",
]  # fmt: skip
_Set = TypeVar("_Set")


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """`[device]`: the reader model. `notes` say what the technician must set by hand."""

    vendor: str
    model: str
    tech: Annotated[list[Technology], Meta(min_length=1)]
    sources: Annotated[list[str], Meta(min_length=1)]
    notes: list[str] = []


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """`[match]`: how to recognise the model. `interface` is the USB class that distinguishes the
    transports of a device."""

    pcsc_name: str | UnsetType = UNSET
    usb: list[Annotated[str, Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]] = []
    interface: Literal["ccid", "cdc", "hid"] | UnsetType = UNSET


class Serial(Struct, frozen=True, forbid_unknown_fields=True):
    """`[serial]`: `dtr` is false for a board that restarts when DTR rises; `open_delay_ms` is how
    long it takes to start."""

    baud: Annotated[int, Meta(ge=300, le=1_000_000)]
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    dtr: bool = True
    open_delay_ms: Milliseconds | UnsetType = UNSET


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Commands to send one after the other, and the pattern that begins each answer.

    Without `expect` no answer is awaited. `via` (PC/SC): apdu needs a card, escape does not. `raw`
    (serial): send the bytes as they are, without the framing.
    """

    send: str | Sends
    expect: str | UnsetType = UNSET
    via: Literal["apdu", "escape"] | UnsetType = UNSET
    raw: bool = False

    @property
    def sends(self) -> list[str]:
        return [self.send] if isinstance(self.send, str) else self.send


class Uid(Struct, frozen=True, forbid_unknown_fields=True):
    """`[uid]`: where the UID stands and how it is encoded.

    It stands at `slice`, or from `start` on with the length at [length_at], or it is everything.
    `encoding`: raw; ascii-hex; ascii-dec (a decimal number of `width` bytes); text (a printed code,
    which must match `pattern`). `type_at`: the byte that names the technology, by `types`. `bcc`:
    the byte behind the UID must be its XOR (ISO 14443-3); otherwise it is the beginning of a longer
    UID. `lossy`: a pattern of texts that drop a part of the number, and so identify nobody.
    `reject`: UIDs, as lower-case hex, that are no card. `clonable`: such cards are easily copied.
    """

    encoding: Literal["raw", "ascii-hex", "ascii-dec", "text"]
    lengths: Annotated[list[int], Meta(min_length=1)]
    byte_order: Literal["wire", "reversed"] = "wire"
    send: str | UnsetType = UNSET
    status: str = "9000"
    slice: Span | UnsetType = UNSET
    length_at: Offset | UnsetType = UNSET
    start: Offset | UnsetType = UNSET
    width: Annotated[int, Meta(ge=1, le=10)] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    type_at: Offset | UnsetType = UNSET
    types: dict[str, Technology] = {}
    reject: list[str] = []
    bcc: bool = False
    lossy: str | UnsetType = UNSET
    clonable: bool = False


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """`[feedback]`: what the reader can show. `again` falls back to `deny`."""

    ok: Step | UnsetType = UNSET
    again: Step | UnsetType = UNSET
    deny: Step | UnsetType = UNSET
    busy: Step | UnsetType = UNSET

    def named(self) -> list[tuple[str, Step]]:
        """Return the steps that are set, each with its key."""
        steps = {"ok": self.ok, "again": self.again, "deny": self.deny, "busy": self.busy}
        return [(name, step) for name, step in steps.items() if step is not UNSET]

    def steps(self) -> list[Step]:
        return [step for _, step in self.named()]


class Keepalive(Struct, frozen=True, forbid_unknown_fields=True):
    """`[keepalive]`: sent when no answer came for `idle_ms`.

    After `max_failures` without an answer, the port is opened again.
    """

    send: str
    expect: str
    idle_ms: Milliseconds
    max_failures: Annotated[int, Meta(ge=1, le=10)] = 2


class Quirk(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[quirk]]`: a known problem around the reader, which `canteen-agent readers` checks.

    `kernel-module`: the module `value` takes the reader away from pcscd. `firmware-refused`:
    libccid refuses USB releases below `value`. `driver-since`: the first libccid that knows the
    reader. `modem-manager`: ModemManager may take it for a modem.
    """

    id: Literal["kernel-module", "firmware-refused", "driver-since", "modem-manager"]
    source: str
    value: str | UnsetType = UNSET


class Selftest(Struct, frozen=True, forbid_unknown_fields=True):
    """`[[selftest]]`: bytes from the reader, and the UID or the fault that they must give.

    Keyboards: the bytes of the characters. `atr` (PC/SC) is the card's, where it names the
    technology. `printed` are the numbers that are printed on that card.
    """

    name: str
    rx: str
    uid: str | UnsetType = UNSET
    atr: str | UnsetType = UNSET
    tech: Technology | UnsetType = UNSET
    printed: dict[str, str] = {}
    error: FaultWord | UnsetType = UNSET


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A whole profile.

    `support` says what was tried: untested; fixtures (bytes from documents); bench (a reader on a
    desk); field (a school).
    """

    schema: int
    id: str
    revision: Annotated[int, Meta(ge=1)]
    support: Literal["untested", "fixtures", "bench", "field"]
    transport: Literal["pcsc", "serial", "keyboard"]
    device: Model
    poll: Poll
    uid: Uid
    selftest: list[Selftest] = []
    match: Match = Match()
    serial: Serial | UnsetType = UNSET
    framing: Framing | UnsetType = UNSET
    init: list[Step] = []
    feedback: Feedback = Feedback()
    keepalive: Keepalive | UnsetType = UNSET
    quirk: list[Quirk] = []
    digest: str = ""

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """Return the technologies as card ids begin with them: `a`, `em`, …"""
        return tuple(TECHNOLOGIES[tech] for tech in self.device.tech)

    def step_for(self, signal: Signal) -> Step | None:
        """Return what to send for a signal, or None where the reader cannot show it."""
        match signal:
            case Signal.SERVED:
                chain = [self.feedback.ok]
            case Signal.ALREADY_SERVED:
                chain = [self.feedback.again, self.feedback.deny]
            case Signal.WAIT:
                chain = [self.feedback.busy]
            case Signal.REFUSED | Signal.OUT_OF_ORDER:
                chain = [self.feedback.deny]
        return next((step for step in chain if step is not UNSET), None)

    @property
    def sends_by_itself(self) -> bool:
        """Return whether the reader sends frames without being asked."""
        return isinstance(self.poll, Once | Repeat)

    @property
    def card_pattern(self) -> str | None:
        """Return what begins a frame with a card, None where any frame has one."""
        match self.poll:
            case Event():
                return None
            case Request(expect=patterns):
                return patterns[-1]
            case Once() | Repeat() as poll:
                return None if poll.expect is UNSET else poll.expect

    @property
    def several_patterns(self) -> list[str]:
        """Return what begins a frame that reports several cards."""
        return [] if isinstance(self.poll, Event) else self.poll.many

    def frame_format(self) -> FrameFormat:
        """Return how the frames of a serial or keyboard reader look."""
        match self.framing:
            case Frames() as frames:
                return Framed(
                    length_max=frames.length,
                    start=parse_hex(frames.start),
                    end=parse_hex(frames.end),
                    length_min=None if frames.length_min is UNSET else frames.length_min,
                    length_at=None if frames.length_at is UNSET else frames.length_at,
                    length_adds=frames.length_adds,
                    checksum=None if frames.checksum is UNSET else _checksum(frames.checksum),
                    stuffing=parse_hex(frames.stuffing),
                )
            case Lines() as lines:
                return Line(length_max=lines.length, hexadecimal=lines.text == "ascii-hex")
            case Pn53xFrames():
                return Pn53x()
            case _:
                raise ValueError("a PC/SC reader has no frames")

    def framer(self, now_ms: int) -> Framer:
        """Return a new framer for the reader's stream."""
        framing = self.framing
        return Framer(
            self.frame_format(),
            gap_ms_max=framing.max_gap_ms if isinstance(framing, Frames) else STALL_MS_MAX,
            now_ms=now_ms,
            unsolicited=self.sends_by_itself,
        )


def given(value: _Set | UnsetType) -> _Set:
    """Return the value of a key that `profile_rules` requires."""
    assert value is not UNSET and not isinstance(value, UnsetType)
    return value


def profiles_dir() -> Path:
    """Return the folder of the profiles: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "firmware-profiles"
    return inside if inside.is_dir() else package.parent / "firmware-profiles"


def digest_of(text: bytes) -> str:
    """Return what names a profile's content in logs and traces: 8 hex digits of its SHA-256."""
    return hashlib.sha256(text).hexdigest()[:8]


def _checksum(checksum: FramingChecksum) -> Xor8:
    hexadecimal = checksum.encoding == "ascii-hex"
    return Xor8(over=checksum.over, at=checksum.at, hexadecimal=hexadecimal)
