"""The tables of a profile that come in kinds: `[framing]` by `kind`, `[poll]` by `mode`.

Each kind has its own keys; a key of another kind is an error.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent.readers.framing import STALL_MS_MAX, Span

# A card that is back within this time was never away. Shorter than it takes to hand a card on.
# Longer than a glitch of the field: pcscd looks every 0.4 s, so it takes a second to see one.
SAME_PRESENCE_MS = 2_000

# A card that was there too briefly has its light after this time at the latest, within a second.
BRIEF_MS_MAX = 800

Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
Offset = Annotated[int, Meta(ge=0, le=255)]
Sends = Annotated[list[str], Meta(min_length=1)]


class FramingChecksum(Struct, frozen=True, forbid_unknown_fields=True):
    """`over` and `at` are spans in the frame, [first, end).

    Below zero they count from the frame's end; an end of 0 is the frame's end.
    """

    algo: Literal["xor8"]
    encoding: Literal["ascii-hex", "raw"]
    over: Span
    at: Span


class Frames(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="frame"):
    """`[framing]`, kind `frame`: bytes between `start` and `end`, each of which may lack.

    `length` is that of the whole frame, the greatest one where frames differ. They differ in two
    ways. A frame states its length at [length_at], to which `length_adds` is added. Or it has
    `length_min` bytes at least and ends with the first `end` behind them. Without `start`, only a
    pause longer than `max_gap_ms` begins a frame. `stuffing`: a byte that is sent with a 00 after
    it. `commands_differ`: what is sent to the reader is no such frame.
    """

    length: Annotated[int, Meta(ge=1, le=512)]
    start: str = ""
    end: str = ""
    length_min: Annotated[int, Meta(ge=1, le=512)] | UnsetType = UNSET
    length_at: Span | UnsetType = UNSET
    length_adds: Annotated[int, Meta(ge=0, le=16)] = 0
    stuffing: str = ""
    checksum: FramingChecksum | UnsetType = UNSET
    max_gap_ms: Milliseconds = STALL_MS_MAX
    commands_differ: bool = False


class Lines(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="line"):
    """`[framing]`, kind `line`: text of up to `length` characters, then CR, LF or both.

    `text`: whether hex digits stand for bytes. `commands_differ`: what is sent to the reader is no
    such text; it is for plain texts, since hex digits are made from the bytes of a command.
    """

    length: Annotated[int, Meta(ge=1, le=512)]
    text: Literal["plain", "ascii-hex"] = "plain"
    commands_differ: bool = False


class Pn53xFrames(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pn53x"):
    """`[framing]`, kind `pn53x`: NXP's frames with acknowledgement."""


Framing = Frames | Lines | Pn53xFrames


class Event(Struct, frozen=True, forbid_unknown_fields=True, tag_field="mode", tag="event"):
    """`[poll]`, mode `event`: PC/SC reports cards and their removal."""


class Once(Struct, frozen=True, forbid_unknown_fields=True, tag_field="mode", tag="once"):
    """`[poll]`, mode `once`: the reader sends a frame by itself, one for each card.

    `expect` begins a frame with a card; `many` are beginnings of one that reports several cards.
    """

    expect: str | UnsetType = UNSET
    many: list[str] = []


class Repeat(Struct, frozen=True, forbid_unknown_fields=True, tag_field="mode", tag="repeat"):
    """`[poll]`, mode `repeat`: the reader sends a frame every `repeat_ms` while a card is near.

    After `gone_after_ms` without one the card has gone. A card counts when its frame came twice:
    a damaged frame may have a right checksum. A frame that came once has its light after
    `gone_after_ms`, or `BRIEF_MS_MAX` where that is shorter. `some_send_once`: some units of this
    model send only one frame for a card, so that one must do.
    """

    repeat_ms: Milliseconds
    gone_after_ms: Milliseconds
    some_send_once: bool = False
    expect: str | UnsetType = UNSET
    many: list[str] = []


class Request(Struct, frozen=True, forbid_unknown_fields=True, tag_field="mode", tag="request"):
    """`[poll]`, mode `request`: the commands of `send` are sent in turn, every `interval_ms`.

    `expect` begins an answer after which the next command follows; the last one begins an answer
    with a card. `none` are beginnings of an answer without a card, `many` of one that reports
    several. The first that fits counts: `many`, `expect`, `none`. Or the number of cards is at
    [count_at]. After `gone_after_ms` without a card it has gone.
    """

    send: Sends
    expect: Sends
    interval_ms: Milliseconds
    gone_after_ms: Milliseconds
    none: list[str] = []
    many: list[str] = []
    timeout_ms: Milliseconds = 500
    count_at: Offset | UnsetType = UNSET


Poll = Event | Once | Repeat | Request
