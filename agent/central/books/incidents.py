"""Incidents, and messages that could not be used."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, select, update

from agent.central.books import tables
from agent.central.books.database import Books
from agent.central.books.query import Query, adding, value
from agent.domain.clock import Instant, format_instant, parse_instant

SET_ASIDE_ROWS_MAX = 10_000
"""The newest messages that are kept."""
SET_ASIDE_PAYLOAD_BYTES_MAX = 65_536
"""The part of a payload that is kept: enough to see what it was. A flood fills 640 MiB at most."""
TOPIC_LENGTH_MAX = 256
SAME_WITHIN_S = 3_600
"""An incident of a kind that repeats within this time is counted in the row that is there."""
_COUNTED = re.compile(r"(.*) \((\d+) times, last [^)]*\)")

_I, _S = tables.incident.c, tables.set_aside.c
_COUNT = Query(select(func.count()).select_from(tables.incident))
_NEWEST = Query(
    select(_I.n, _I.detail)
    .where(
        _I.kind == value("kind"),
        _I.terminal.is_not_distinct_from(value("terminal")),
        _I.at >= value("first"),
        _I.at <= value("last"),
    )
    .order_by(_I.n.desc())
    .limit(1)
)
_SET_DETAIL = Query(
    update(tables.incident).where(_I.n == value("of")).values(detail=value("detail"))
)
_OLD_PAYLOADS = Query(
    select(_S.n).where(_S.at < value("before"), func.length(_S.payload) > 0).order_by(_S.n)
)
_SET_PAYLOAD = Query(
    update(tables.set_aside).where(_S.n == value("of")).values(payload=value("payload"))
)
_SET_ASIDE = adding(tables.set_aside, ("at", "topic", "bytes", "payload", "reason"))
_NEWEST_SET_ASIDE = select(func.max(_S.n)).scalar_subquery()
_REMOVE_OLDEST = Query(
    delete(tables.set_aside).where(_S.n <= _NEWEST_SET_ASIDE - SET_ASIDE_ROWS_MAX)
)


class Incident(NamedTuple):
    """Something that a person should know. `epoch` is the epoch of the terminal it concerns."""

    at: Instant
    kind: str
    detail: str
    terminal: str | None = None
    epoch: str | None = None


_ADD = adding(tables.incident, Incident._fields)


class UnusableMessage(NamedTuple):
    """A message that the central could not use, and why."""

    at: Instant
    topic: str
    payload: bytes
    reason: str


def add(books: Books, incident: Incident) -> None:
    """Add an incident."""
    books.run(_ADD, **incident._asdict())


def count(books: Books) -> int:
    """Return the number of incidents."""
    return int(books.only(_COUNT)[0])


def old_payloads(books: Books, before: Instant) -> list[int]:
    """Return the messages set aside before a time whose text is still kept."""
    return [row[0] for row in books.all(_OLD_PAYLOADS, before=before)]


def remove_payloads(books: Books, messages: Sequence[int]) -> None:
    """Remove the texts of messages set aside; topic, size and reason stay."""
    books.run_all(_SET_PAYLOAD, ({"of": n, "payload": b""} for n in messages))


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
    books.run(_SET_DETAIL, of=n, detail=f"{incident.detail} ({times} times, last {incident.at})")
    return False


def _newest(books: Books, incident: Incident, within_s: int) -> tuple[int, str] | None:
    """Return number and detail of the newest incident of a kind and terminal around a time."""
    at, reach = parse_instant(incident.at), timedelta(seconds=within_s)
    row = books.first(
        _NEWEST,
        kind=incident.kind,
        terminal=incident.terminal,
        first=format_instant(at - reach),
        last=format_instant(at + reach),
    )
    return (int(row[0]), str(row[1])) if row else None


def set_aside(books: Books, message: UnusableMessage) -> None:
    """Keep an unusable message: the beginning of its payload, and of all messages the newest."""
    books.run(
        _SET_ASIDE,
        at=message.at,
        topic=message.topic[:TOPIC_LENGTH_MAX],
        bytes=len(message.payload),
        payload=message.payload[:SET_ASIDE_PAYLOAD_BYTES_MAX],
        reason=message.reason,
    )
    books.run(_REMOVE_OLDEST)
