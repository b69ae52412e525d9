"""What a link reports to its owner, and what the owner asks of it.

Values only, usable without a broker.
"""

from dataclasses import dataclass, field

from agent.sync.limits import Limits


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed, to a broker with these limits."""

    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection ended, or an attempt failed: each attempt reports its own reason.

    `is_takeover`: another client connected with this identity.
    """

    reason: str
    is_takeover: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """The broker does not take what is published on a topic, or could not."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The broker takes again what is published on a topic that was denied."""

    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message arrived.

    Its owner gives `receipt` back in `Acknowledge`; its content is the link's own.
    """

    topic: str
    payload: bytes
    receipt: object


LinkState = LinkUp | LinkDown | Denied | Taken
LinkEvent = LinkState | Arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Send a message with QoS 1."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Acknowledge a message to the broker. Only after its effect is on the disk."""

    receipt: object


@dataclass(frozen=True, slots=True)
class DropLink:
    """Close the connection and make another."""


LinkEffect = Publish | Acknowledge | DropLink
