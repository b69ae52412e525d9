"""What a link tells its owner. Values only, so that a loop without a broker can make them too."""

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
