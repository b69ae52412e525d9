"""Incidents, and messages that could not be used."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from agent.central.books.file import Books
from agent.domain.clock import Instant, format_instant, parse_instant

SET_ASIDE_ROWS_MAX = 10_000
"""The newest messages that are kept."""
SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536
"""The part of a payload that is kept: enough to see what it was. A flood fills 640 MiB at most."""
TOPIC_LENGTH_MAX = 256
SAME_WITHIN_S = 3_600
"""An incident of a kind that repeats within this time is counted in the row that is there."""
_COUNTED = re.compile(r"(.*) \((\d+) times, last [^)]*\)")


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


def count(books: Books) -> int:
    """Return the number of incidents."""
    return int(books.only_row("SELECT count(*) FROM incident")[0])


def old_payloads(books: Books, before: Instant) -> list[int]:
    """Return the messages set aside before a time whose text is still kept."""
    rows = books.rows("SELECT n FROM set_aside WHERE at < ? AND payload <> x''", (before,))
    return [row[0] for row in rows]


def remove_payloads(books: Books, messages: Sequence[int]) -> None:
    """Remove the texts of messages set aside; topic, size and reason stay."""
    books.sql.executemany(
        "UPDATE set_aside SET payload = x'' WHERE n = ?", ((n,) for n in messages)
    )


def is_recent(books: Books, incident: Incident, within_s: int) -> bool:
    """Return whether its terminal has an incident of its kind around its time."""
    return _newest(books, incident, within_s) is not None


def add_or_count(books: Books, incident: Incident) -> bool:
    """Add an incident and return True, or count it in the newest row of its kind and terminal."""
    newest = _newest(books, incident, SAME_WITHIN_S)
    if newest is None:
        add(books, incident)
        return True
    n, detail = newest
    counted = _COUNTED.fullmatch(detail)
    times = int(counted[2]) + 1 if counted else 2
    books.sql.execute(
        "UPDATE incident SET detail = ? WHERE n = ?",
        (f"{incident.detail} ({times} times, last {incident.at})", n),
    )
    return False


def _newest(books: Books, incident: Incident, within_s: int) -> tuple[int, str] | None:
    """Return number and detail of the newest incident of a kind and terminal around a time."""
    at, reach = parse_instant(incident.at), timedelta(seconds=within_s)
    row = books.row(
        "SELECT n, detail FROM incident WHERE kind = ? AND terminal IS ? AND at BETWEEN ? AND ?"
        " ORDER BY n DESC LIMIT 1",
        (
            incident.kind,
            incident.terminal,
            format_instant(at - reach),
            format_instant(at + reach),
        ),
    )
    return (int(row[0]), str(row[1])) if row else None


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
