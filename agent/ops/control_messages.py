"""The terminal's local interface: what a screen asks for and sees, as JSON lines on a Unix socket.

No message has cents, a balance or a category, but the answer to `credit`. So paid, exempt and on
credit cannot be distinguished (the authority's rule). docs/reference/control.md is printed from
these types.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Struct, field

from agent.domain.canteen import Id
from agent.domain.clock import Day
from agent.domain.ledger import TRAYS_MAX, Epoch, Seq
from agent.errors import AgentError
from agent.spelling import did_you_mean


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

    `classes` and `dishes` count pupils; `others` are staff, guests and unknown cards. `name` is the
    service's name, None where the central sent none.
    """

    day: str | None
    service: str | None
    name: str | None = None
    total: int
    others: int
    classes: dict[str, int]
    dishes: dict[str, int]


class FaultCode(StrEnum):
    """What is broken. A page has a sentence of its own for each."""

    READER = "reader"
    CLOCK = "clock"
    DISK = "disk"
    FILE = "file"
    MIRROR = "mirror"
    NOT_BOOKED = "not_booked"
    LINK = "link"
    WIPED = "wiped"
    CERTIFICATE = "certificate"


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

    `out_of_order` is why nobody is served; it is also a fault of code `file`. `data_age_min` is the
    time since the central answered, in whole minutes; None: not known. `day` is None while nobody
    knows which day it is. `needs_staff_card`: corrections, meals by hand, closing and credit need a
    staff card; `unlocked_until` is how long the newest one counts, None while it is locked.
    """

    at: str
    clock: str
    day: str | None = None
    pending: int = 0
    data_age_min: int | None = None
    serve_all_until: str | None = None
    out_of_order: str | None = None
    needs_staff_card: bool = False
    unlocked_until: str | None = None
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


class Watch(Struct, frozen=True, forbid_unknown_fields=True, tag="watch", tag_field="do"):
    """A snapshot, then news until the program hangs up."""


class Status(Struct, frozen=True, forbid_unknown_fields=True, tag="status", tag_field="do"):
    """What the terminal is doing (docs/reference/metrics.md)."""


class Storno(Struct, frozen=True, forbid_unknown_fields=True, tag="storno", tag_field="do"):
    """Undo the meal `seq` of an epoch, None for the present one.

    A meal is always named: after a lost answer the newest meal may be another child's.
    """

    seq: Seq
    epoch: Epoch | None = None


class Meal(Struct, frozen=True, forbid_unknown_fields=True, tag="meal", tag_field="do"):
    """A meal of an account without its card; of a past `day`, perhaps with its `service`."""

    account: Id
    day: Day | None = None
    service: Id | None = None


class Closing(Struct, frozen=True, forbid_unknown_fields=True, tag="closing", tag_field="do"):
    """The end of the present service, with the trays that the staff counted."""

    trays: Annotated[int, Meta(ge=0, le=TRAYS_MAX)]


class SetDay(Struct, frozen=True, forbid_unknown_fields=True, tag="day", tag_field="do"):
    """Which day it is, as the staff say. It counts until a time is confirmed."""

    day: Day


class Classes(Struct, frozen=True, forbid_unknown_fields=True, tag="classes", tag_field="do"):
    """How many accounts each class has, under `classes`."""


class OfClass(Struct, frozen=True, forbid_unknown_fields=True, tag="class", tag_field="do"):
    """Who of a class has eaten, under `eaters`: today, or on a day."""

    group: str = field(name="class")
    day: Day | None = None


class Search(Struct, frozen=True, forbid_unknown_fields=True, tag="search", tag_field="do"):
    """Accounts by a part of a name, class or id, or by a number printed on a card: 20 at most."""

    text: str


class LookAtCredit(Struct, frozen=True, forbid_unknown_fields=True, tag="credit", tag_field="do"):
    """One child's credit."""

    account: Id


Ask = Watch | Status | Storno | Meal | Closing | SetDay | Classes | OfClass | Search | LookAtCredit
_ASKS: dict[str, type[Ask]] = {str(ask.__struct_config__.tag): ask for ask in get_args(Ask)}


def word_of(ask: Ask) -> str:
    """Return the word of a request: `storno`."""
    return str(ask.__struct_config__.tag)


def parse_ask(do: str, arguments: Mapping[str, object]) -> Ask:
    """Return a request. Raise `AgentError` with a sentence for one that this terminal cannot do."""
    shape = _ASKS.get(do)
    if shape is None:
        raise AgentError(f"this agent does not know the request {do!r}{did_you_mean(do, _ASKS)}")
    members = {member.encode_name: member for member in msgspec.structs.fields(shape)}
    for name in arguments:
        if name not in members:
            meant = did_you_mean(name, members)
            raise AgentError(f"request {do!r}: unknown argument {name!r}{meant}")
    for name, member in members.items():
        if member.required and name not in arguments:
            raise AgentError(f"request {do!r}: argument {name!r} is missing")
    try:
        return msgspec.convert(dict(arguments), shape)
    except msgspec.ValidationError as error:
        raise AgentError(f"request {do!r}: {error}") from None
