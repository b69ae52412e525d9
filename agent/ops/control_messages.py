"""The terminal's local interface: what a screen asks for and sees, as JSON lines on a Unix socket.

No message has cents, a balance or a category, but the answer to `credit`. So paid, exempt and on
credit cannot be distinguished (the authority's rule). docs/reference/control.md is printed from
these types.
"""

from enum import StrEnum
from typing import Literal

from msgspec import Struct


class Word(StrEnum):
    """The outcome of a tap, as the staff understand it."""

    SERVED = "served"
    ALREADY_SERVED = "already_served"
    UNKNOWN_CARD = "unknown_card"
    BLOCKED = "blocked"
    DO_NOT_SERVE = "do_not_serve"
    NO_SERVICE = "no_service"
    REPEAT = "repeat"
    OUT_OF_ORDER = "out_of_order"


class Tap(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tap, or a meal that the staff entered.

    `epoch` and `seq` name its entry. `label`, `group` and `dish` are those of the child as far as
    the town sends them. `again_at` is when the child was served before. Until `undo_until` the meal
    can be undone here; `undone` tells that it was.
    """

    epoch: str
    seq: int
    at: str
    word: Word
    account: str | None = None
    label: str | None = None
    group: str | None = None
    dish: str | None = None
    by_staff: bool = False
    again_at: str | None = None
    undo_until: str | None = None
    undone: bool = False


class Counters(Struct, frozen=True, kw_only=True):
    """The standing meals of a service and day at this terminal.

    `classes` and `dishes` count pupils; `others` are staff, guests and unknown cards.
    """

    day: str | None
    service: str | None
    total: int
    others: int
    classes: dict[str, int]
    dishes: dict[str, int]


class FaultCode(StrEnum):
    """What is broken. A page has a sentence of its own for each."""

    READER = "reader"
    CLOCK = "clock"
    DISK = "disk"
    NOT_BOOKED = "not_booked"
    LINK = "link"
    WIPED = "wiped"


class FaultLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fault of the terminal. `since` is when it began, as far as is known.

    `subject` is the reader's name, for a reader. `words` say what is wrong and what to do.
    """

    code: FaultCode
    since: str
    words: str
    subject: str | None = None


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the terminal is all right.

    `out_of_order` is why nobody is served. `data_age_s` is the time since the central answered;
    None: not known. `day` is None while nobody knows which day it is.
    """

    at: str
    clock: str
    day: str | None = None
    pending: int = 0
    data_age_s: int | None = None
    serve_all_until: str | None = None
    out_of_order: str | None = None
    faults: list[FaultLine] = []


class Snapshot(Struct, frozen=True, kw_only=True, tag="snapshot", tag_field="kind"):
    """The first line of a watcher. `number` is that of the newest line it contains."""

    number: int
    taps: list[Tap]
    counters: Counters
    condition: Condition


class Tapped(Struct, frozen=True, kw_only=True, tag="tapped", tag_field="kind"):
    """A new tap, or an earlier one that was undone: the same `epoch` and `seq`."""

    number: int
    tap: Tap


class Counted(Struct, frozen=True, kw_only=True, tag="counted", tag_field="kind"):
    """New counters."""

    number: int
    counters: Counters


class Changed(Struct, frozen=True, kw_only=True, tag="changed", tag_field="kind"):
    """A new condition of the terminal."""

    number: int
    condition: Condition


News = Snapshot | Tapped | Counted | Changed


class Eater(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account in a list: who of a class has eaten, or what a search matched."""

    account: str
    label: str | None = None
    group: str | None = None
    dish: str | None = None
    eaten: bool = False


class Credit(Struct, frozen=True, kw_only=True):
    """One child's credit, only on request."""

    account: str
    cents: int
    last_credit_cents: int | None = None
    last_credit_at: str | None = None
    last_credit_channel: str | None = None


Do = Literal[
    "watch", "status", "storno", "meal", "closing", "day", "classes", "class", "search", "credit"
]
