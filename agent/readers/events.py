"""Events from a reader to the main loop, and the signals that the main loop sends back."""

from dataclasses import dataclass
from enum import StrEnum

from agent.domain.card import CardId


class Signal(StrEnum):
    """What a reader shows to the child and the staff.

    Paid, exempt and on credit are all `SERVED`: the data-protection authority forbids showing who
    owes money and who eats free.
    """

    SERVED = "served"
    ALREADY_SERVED = "already_served"
    REFUSED = "refused"
    WAIT = "wait"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPresented:
    """A card was tapped.

    `tap` counts the reader's taps. A signal names the tap it answers, so that no child sees the
    signal of another.
    """

    reader: str
    card: CardId
    tap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUnreadable:
    """Something was tapped that identifies nobody.

    `fault` is a value of `UidFault` or `Fault`; `sentence` explains it to the staff.
    """

    reader: str
    fault: str
    sentence: str
    tap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderUp:
    """A reader can be read. `location` is its PC/SC name or its device path.

    `warning` is one sentence about what disturbs it, empty when nothing does. It is sent again when
    that changes.
    """

    reader: str
    location: str
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderDown:
    """A reader cannot be read. `reason` is one sentence for the technician."""

    reader: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFailed:
    """A reader did not show a signal. The meal is recorded nevertheless."""

    reader: str
    reason: str


ReaderEvent = CardPresented | CardUnreadable | ReaderUp | ReaderDown | SignalFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Let a reader show a signal for one of its taps. Sent only after the commit of that tap."""

    reader: str
    tap: int
    signal: Signal
