"""What a reader tells the main loop, and what it is told to show."""

from dataclasses import dataclass
from enum import StrEnum

from agent.domain.card import CardId


class Signal(StrEnum):
    """What the child and the staff see. Paid, exempt and on credit are one and the same: the data-protection authority
    forbids telling who owes and who eats free."""

    SERVED = "served"
    ALREADY_SERVED = "already_served"
    REFUSED = "refused"
    WAIT = "wait"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPresented:
    """`tap` counts the reader's taps: a signal names the one it answers, so that no child sees another's."""

    reader: str
    card: CardId
    tap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUnreadable:
    """Something was presented that identifies nobody. `fault` is a word of `UidFault` or `Fault`, `sentence` is for the staff."""

    reader: str
    fault: str
    sentence: str
    tap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderUp:
    """`at` is where it is: its PC/SC name or its path."""

    reader: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderDown:
    reader: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFailed:
    """The light did not come: the meal is recorded all the same."""

    reader: str
    reason: str


ReaderEvent = CardPresented | CardUnreadable | ReaderUp | ReaderDown | SignalFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Let a reader show a signal for one of its taps. Only ever after the commit that makes it true."""

    reader: str
    tap: int
    signal: Signal
