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
    Counted,
    Delimited,
    FrameFormat,
    Framer,
    Line,
    Pn53x,
    Prefixed,
    Span,
    Xor8,
)

SCHEMA = 1
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
Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
Offset = Annotated[int, Meta(ge=0, le=255)]
Sends = Annotated[list[str], Meta(min_length=1)]
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
    dtr: bool = True
    open_delay_ms: Milliseconds | UnsetType = UNSET


class FramingChecksum(Struct, frozen=True, forbid_unknown_fields=True):
    """`over` and `at` are spans in the frame, [first, end).

    Below zero they count from the frame's end; an end of 0 is the frame's end.
    """

    algo: Literal["xor8"]
    encoding: Literal["ascii-hex", "raw"]
    over: Span
    at: Span


class Framing(Struct, frozen=True, forbid_unknown_fields=True):
    """`[framing]`: the keys of each `kind`.

    `delimited`: start, end, length, checksum. `counted`: length, max_gap_ms, checksum. `prefixed`:
    start, length_at, length_adds, length, checksum, optionally end and stuffing. `line`: length,
    and `text` where hex digits stand for bytes. `pn53x`: none. `length` is that of the whole frame,
    the greatest one where frames differ. A pause longer than `max_gap_ms` begins a frame.
    """

    kind: Literal["delimited", "counted", "prefixed", "line", "pn53x"]
    start: str | UnsetType = UNSET
    end: str | UnsetType = UNSET
    length: Annotated[int, Meta(ge=1, le=512)] | UnsetType = UNSET
    length_at: Span | UnsetType = UNSET
    length_adds: Annotated[int, Meta(ge=0, le=16)] | UnsetType = UNSET
    text: Literal["plain", "ascii-hex"] | UnsetType = UNSET
    stuffing: str | UnsetType = UNSET
    checksum: FramingChecksum | UnsetType = UNSET
    max_gap_ms: Milliseconds | UnsetType = UNSET


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


class Poll(Struct, frozen=True, forbid_unknown_fields=True):
    """`[poll]`: how cards are detected.

    `event`: PC/SC reports them. `push`: the reader sends frames by itself. `request`: the commands
    of `send` are sent in turn, every `interval_ms`. `expect` begins an answer after which the next
    command follows; the last one begins an answer with a card. `none` begins an answer without a
    card. Where both fit, `expect` counts. The number of cards is at [count_at]; more than one are
    refused.
    """

    mode: Literal["event", "push", "request"]
    send: list[str] = []
    expect: list[str] = []
    none: list[str] = []
    interval_ms: Milliseconds | UnsetType = UNSET
    timeout_ms: Milliseconds = 500
    count_at: Offset | UnsetType = UNSET


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


class PresenceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """`[presence]`: how long a card counts as present.

    `level`: the reader reports the removal of a card, or is polled often. `repeat`: it sends the
    number every `repeat_ms` while the card is near. `once`: it sends the number once. A card that
    is back within `debounce_ms`, or within `SAME_PRESENCE_MS`, was never away.
    """

    mode: Literal["level", "repeat", "once"]
    debounce_ms: Milliseconds
    repeat_ms: Milliseconds | UnsetType = UNSET
    gone_after_ms: Milliseconds | UnsetType = UNSET


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
    presence: PresenceRule
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

    def frame_format(self) -> FrameFormat:
        """Return how the frames of a serial or keyboard reader look.

        `profile_rules` has checked that all keys are set.
        """
        framing = given(self.framing)
        match framing.kind:
            case "delimited":
                start, end = parse_hex(given(framing.start)), parse_hex(given(framing.end))
                return Delimited(
                    start=start, end=end, length=given(framing.length), checksum=_checksum(framing)
                )
            case "counted":
                return Counted(length=given(framing.length), checksum=_checksum(framing))
            case "prefixed":
                return Prefixed(
                    start=parse_hex(given(framing.start)),
                    length_at=given(framing.length_at),
                    length_adds=given(framing.length_adds),
                    length_max=given(framing.length),
                    end=b"" if framing.end is UNSET else parse_hex(framing.end),
                    checksum=_checksum(framing),
                    stuffing=b"" if framing.stuffing is UNSET else parse_hex(framing.stuffing),
                )
            case "line":
                return Line(
                    length_max=given(framing.length), hexadecimal=framing.text == "ascii-hex"
                )
            case "pn53x":
                return Pn53x()

    def framer(self, now_ms: int) -> Framer:
        """Return a new framer for the reader's stream."""
        framing = given(self.framing)
        return Framer(
            self.frame_format(),
            gap_ms_max=STALL_MS_MAX if framing.max_gap_ms is UNSET else framing.max_gap_ms,
            now_ms=now_ms,
            unsolicited=self.poll.mode == "push",
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


def _checksum(framing: Framing) -> Xor8:
    checksum = given(framing.checksum)
    hexadecimal = checksum.encoding == "ascii-hex"
    return Xor8(over=checksum.over, at=checksum.at, hexadecimal=hexadecimal)
