"""A firmware profile: what a reader model does, stated as facts and bytes in one TOML file.

The keys, and what follows from them. A profile states no algorithm: framings, checksums, encodings and quirks are code
under closed names. `profile_rules` checks a profile when it is loaded, its self-tests included: a file without proof does
not load.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from agent.readers.apdu import parse_hex
from agent.readers.events import Signal
from agent.readers.framing import Counted, Delimited, Framer, Line, Pn53x, Prefixed, Shape, Xor8

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
Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
Place = Annotated[int, Meta(ge=0, le=255)]
Sends = Annotated[list[str], Meta(min_length=1)]
Span = tuple[int, int]
_Set = TypeVar("_Set")


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """`[device]`: `notes` are for the technician: what must be set on the reader by hand."""

    vendor: str
    model: str
    tech: Annotated[list[Technology], Meta(min_length=1)]
    sources: Annotated[list[str], Meta(min_length=1)]
    notes: list[str] = []


class Match(Struct, frozen=True, forbid_unknown_fields=True):
    """What is plugged in when it is this model. `interface` is the USB class that tells one device's transports apart."""

    pcsc_name: str | UnsetType = UNSET
    usb: list[Annotated[str, Meta(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]] = []
    interface: Literal["ccid", "cdc", "hid"] | UnsetType = UNSET


class Serial(Struct, frozen=True, forbid_unknown_fields=True):
    """`dtr` false for a converter that resets its board when DTR rises; `open_delay_ms` until it has started again."""

    baud: Annotated[int, Meta(ge=300, le=1_000_000)]
    dtr: bool = True
    open_delay_ms: Milliseconds | UnsetType = UNSET


class FramingChecksum(Struct, frozen=True, forbid_unknown_fields=True):
    """`over` and `at` are places in the frame, [first, end); below zero they count from its end, an end of 0 is its end."""

    algo: Literal["xor8"]
    encoding: Literal["ascii-hex", "raw"]
    over: Span
    at: Span


class Framing(Struct, frozen=True, forbid_unknown_fields=True):
    """`delimited`: start, end, length, checksum. `counted`: length, checksum. `prefixed`: start, length_at, length_adds, length,
    checksum, perhaps end and stuffing. `line`: length; `text` hex where the digits stand for bytes. `pn53x`: nothing.
    `length` is the whole frame's, and the most where frames differ."""

    kind: Literal["delimited", "counted", "prefixed", "line", "pn53x"]
    start: str | UnsetType = UNSET
    end: str | UnsetType = UNSET
    length: Annotated[int, Meta(ge=1, le=512)] | UnsetType = UNSET
    length_at: Span | UnsetType = UNSET
    length_adds: Annotated[int, Meta(ge=0, le=16)] | UnsetType = UNSET
    text: Literal["plain", "ascii-hex"] | UnsetType = UNSET
    stuffing: str | UnsetType = UNSET
    checksum: FramingChecksum | UnsetType = UNSET
    max_gap_ms: Milliseconds = 50


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes to send, several commands one after the other, and the answer to each; without `expect` none is awaited.

    `via` (PC/SC): apdu needs a card, escape works without one. `raw` (serial): sent as it is, without the framing.
    """

    send: str | Sends
    expect: str | UnsetType = UNSET
    via: Literal["apdu", "escape"] | UnsetType = UNSET
    raw: bool = False

    @property
    def sends(self) -> list[str]:
        return [self.send] if isinstance(self.send, str) else self.send


class Poll(Struct, frozen=True, forbid_unknown_fields=True):
    """How cards are seen. `event`: PC/SC tells. `push`: frames come. `request`: each of `send` is asked in turn, every `interval_ms`.

    `expect` begins an answer that goes on (the last one: with a card), `none` one that says there is no card; where both
    fit, `expect` counts. The number of cards stands at [count_at]; more than one are refused.
    """

    mode: Literal["event", "push", "request"]
    send: list[str] = []
    expect: list[str] = []
    none: list[str] = []
    interval_ms: Milliseconds | UnsetType = UNSET
    timeout_ms: Milliseconds = 500
    count_at: Place | UnsetType = UNSET


class Uid(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the UID stands and how. `slice` are places; else as many bytes as [length_at] says, from `start`.

    `encoding`: raw; ascii-hex; ascii-dec (a decimal number of `width` bytes); text (a printed code, which must fit `pattern`).
    `type_at` is a byte that says what it is, by `types`. `bcc`: the byte behind it must be its XOR (ISO 14443-3), else it
    is only the beginning of a longer one. `lossy` is a pattern of texts that drop a part of the number and so identify nobody.
    """

    encoding: Literal["raw", "ascii-hex", "ascii-dec", "text"]
    lengths: Annotated[list[int], Meta(min_length=1)]
    byte_order: Literal["wire", "reversed"] = "wire"
    send: str | UnsetType = UNSET
    status: str = "9000"
    slice: Span | UnsetType = UNSET
    length_at: Place | UnsetType = UNSET
    start: Place | UnsetType = UNSET
    width: Annotated[int, Meta(ge=1, le=10)] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    type_at: Place | UnsetType = UNSET
    types: dict[str, Technology] = {}
    reject: list[str] = []
    bcc: bool = False
    lossy: str | UnsetType = UNSET
    clonable: bool = False


class PresenceRule(Struct, frozen=True, forbid_unknown_fields=True):
    """`level`: the reader knows when the card has gone, or is asked often enough. `repeat`: it repeats while the card is near. `once`."""

    mode: Literal["level", "repeat", "once"]
    debounce_ms: Milliseconds
    repeat_ms: Milliseconds | UnsetType = UNSET
    gone_after_ms: Milliseconds | UnsetType = UNSET


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """What the reader can show. A signal without a step of its own shows as the next more general one."""

    ok: Step | UnsetType = UNSET
    again: Step | UnsetType = UNSET
    deny: Step | UnsetType = UNSET
    busy: Step | UnsetType = UNSET

    def named(self) -> list[tuple[str, Step]]:
        """Return the steps there are, by their keys."""
        steps = {"ok": self.ok, "again": self.again, "deny": self.deny, "busy": self.busy}
        return [(name, step) for name, step in steps.items() if step is not UNSET]

    def steps(self) -> list[Step]:
        return [step for _, step in self.named()]


class Keepalive(Struct, frozen=True, forbid_unknown_fields=True):
    """Asked when nothing came for `idle_ms`; after `max_failures` without the answer the port is opened anew."""

    send: str
    expect: str
    idle_ms: Milliseconds
    max_failures: Annotated[int, Meta(ge=1, le=10)] = 2


class Quirk(Struct, frozen=True, forbid_unknown_fields=True):
    """A fact about the world around the reader, for `canteen-agent readers`; `value` is what the id needs.

    `kernel-module`: this module grabs the reader from pcscd. `firmware-refused`: libccid refuses USB releases below this.
    `driver-since`: the first libccid that knows the reader. `modem-manager`: it may be taken for a modem.
    """

    id: Literal["kernel-module", "firmware-refused", "driver-since", "modem-manager"]
    source: str
    value: str | UnsetType = UNSET


class Selftest(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes as they come from the reader (keyboards: the characters' bytes), and the UID or the fault they must give.

    `atr` (PC/SC) is the card's, where its technology shows there; `printed` are numbers that must stand on that card.
    """

    name: str
    rx: str
    uid: str | UnsetType = UNSET
    atr: str | UnsetType = UNSET
    tech: Technology | UnsetType = UNSET
    printed: dict[str, str] = {}
    error: (
        Literal[
            "none", "checksum", "status", "device", "rejected-uid", "many", "lossy", "form", "technology",
            "length", "random", "truncated", "blank", "order",
        ]
        | UnsetType
    ) = UNSET  # fmt: skip


class Profile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """`support` is honest: untested; fixtures (bytes from documents); bench (a reader on a desk); field (a school)."""

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
        """Return how the card ids begin that this reader gives: `a`, `em`, …"""
        return tuple(TECHNOLOGIES[tech] for tech in self.device.tech)

    def step_for(self, signal: Signal) -> Step | None:
        """Return what to send for a signal, None where the reader cannot show it."""
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

    def shape(self) -> Shape:
        """Return how the frames of a serial or keyboard reader look. The rules have seen to it that everything is there."""
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
        return Framer(
            self.shape(),
            gap_ms_max=given(self.framing).max_gap_ms,
            now_ms=now_ms,
            unasked=self.poll.mode == "push",
        )


def given(value: _Set | UnsetType) -> _Set:
    """Return a value that the rules have made sure of."""
    assert value is not UNSET and not isinstance(value, UnsetType)
    return value


def profiles_dir() -> Path:
    """Return where the profiles are: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "firmware-profiles"
    return inside if inside.is_dir() else package.parent / "firmware-profiles"


def digest_of(text: bytes) -> str:
    """Return what names a profile's very content in logs and traces: eight hex digits of its SHA-256."""
    return hashlib.sha256(text).hexdigest()[:8]


def _checksum(framing: Framing) -> Xor8:
    sum_ = given(framing.checksum)
    return Xor8(over=sum_.over, at=sum_.at, hexadecimal=sum_.encoding == "ascii-hex")
