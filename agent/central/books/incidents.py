"""Incidents, and messages that could not be used."""

from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant

SET_ASIDE_ROWS_MAX = 10_000
"""The newest messages that are kept."""
SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536
"""The part of a payload that is kept: enough to see what it was. A flood fills 640 MiB at most."""
TOPIC_LENGTH_MAX = 256


class Incident(NamedTuple):
    """Something that a person should know. `epoch` is the epoch of the terminal it concerns."""

    at: Instant
    kind: str
    detail: str
    terminal: str | None = None
    epoch: str | None = None


class UnusableMessage(NamedTuple):
    """A message that the central could not use, and why."""

    at: Instant
    topic: str
    payload: bytes
    reason: str


def add(books: Books, incident: Incident) -> None:
    """Add an incident."""
    books.sql.execute(
        "INSERT INTO incident (at, kind, detail, terminal, epoch) VALUES (?, ?, ?, ?, ?)", incident
    )


def set_aside(books: Books, message: UnusableMessage) -> None:
    """Keep an unusable message: the beginning of its payload, and of all messages the newest."""
    books.sql.execute(
        "INSERT INTO set_aside (at, topic, bytes, payload, reason) VALUES (?, ?, ?, ?, ?)",
        (
            message.at,
            message.topic[:TOPIC_LENGTH_MAX],
            len(message.payload),
            message.payload[:SET_ASIDE_PAYLOAD_BYTES_MAX],
            message.reason,
        ),
    )
    books.sql.execute(
        "DELETE FROM set_aside WHERE n <= (SELECT max(n) FROM set_aside) - ?",
        (SET_ASIDE_ROWS_MAX,),
    )
