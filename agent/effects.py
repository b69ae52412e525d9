"""What the terminal wants done in the world, as values: the loop that does them can be a machine's or a simulator's."""

from dataclasses import dataclass

from agent.readers.events import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Let a reader show a signal for one of its taps. Only ever after the commit that makes it true."""

    reader: str
    tap: int
    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the broker that a message has been dealt with. Only ever after its effect is on the disk."""

    receipt: object


@dataclass(frozen=True, slots=True)
class DropLink:
    """The connection is not believed any more: make another."""


Effect = Show | Publish | Acknowledge | DropLink
