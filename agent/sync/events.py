"""What a link tells its owner, and what it is told to do. Values only, so that a loop without a broker can use them too."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message. `receipt` is given back to the link once its effect is on the disk; to anybody else it means nothing."""

    topic: str
    payload: bytes
    receipt: object


LinkEvent = LinkUp | LinkDown | Arrived


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


LinkEffect = Publish | Acknowledge | DropLink
