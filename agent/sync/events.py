"""What a link reports to its owner, and what the owner asks of it.

Values only, usable without a broker.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message arrived.

    Its owner gives `receipt` back in `Acknowledge`; its content is the link's own.
    """

    topic: str
    payload: bytes
    receipt: object


LinkEvent = LinkUp | LinkDown | Arrived


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
