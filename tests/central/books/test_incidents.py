"""Incidents, and the bounds on messages that are set aside."""

import pytest
from sqlalchemy import func, select

from agent.central.books import incidents, tables
from agent.central.books.database import Books
from agent.central.books.incidents import (
    SET_ASIDE_PAYLOAD_BYTES_MAX,
    SET_ASIDE_ROWS_MAX,
    TOPIC_LENGTH_MAX,
    Incident,
    UnusableMessage,
)
from agent.central.books.query import Query
from tests.central.conftest import AT


@pytest.fixture
def books(either: Books) -> Books:
    return either


def test_an_incident_is_kept_with_its_terminal_and_epoch(books: Books) -> None:
    incidents.add(books, Incident(AT, "hole", "entries 2 to 5 are lost", "t-1", "1-aa"))
    rows = books.all(Query(select(tables.incident)))
    assert rows == [(1, AT, "t-1", "1-aa", "hole", "entries 2 to 5 are lost")]


@pytest.mark.parametrize("size", [SET_ASIDE_PAYLOAD_BYTES_MAX, SET_ASIDE_PAYLOAD_BYTES_MAX + 1])
def test_a_large_message_is_kept_in_part_with_its_size(books: Books, size: int) -> None:
    message = UnusableMessage(AT, "t" * 1_000, b"x" * size, "too large")
    incidents.set_aside(books, message)
    kept = tables.set_aside.c
    sizes = select(func.length(kept.topic), kept.bytes, func.length(kept.payload))
    (row,) = books.all(Query(sizes))
    assert row == (TOPIC_LENGTH_MAX, size, SET_ASIDE_PAYLOAD_BYTES_MAX)


def test_only_the_newest_messages_are_kept(books: Books) -> None:
    with books.transaction():
        for n in range(SET_ASIDE_ROWS_MAX + 3):
            incidents.set_aside(books, UnusableMessage(AT, f"topic {n}", b"", "unusable"))
    rows = books.all(Query(select(tables.set_aside.c.topic).order_by(tables.set_aside.c.n)))
    assert len(rows) == SET_ASIDE_ROWS_MAX
    assert rows[:2] == [("topic 3",), ("topic 4",)]


def test_an_incident_that_repeats_is_counted_in_its_row(books: Books) -> None:
    """Also without a terminal; that of another terminal is another row."""
    for terminal in (None, "t-1"):
        incident = Incident(AT, "hole", "lost", terminal)
        added = [incidents.add_or_count(books, incident) for _ in range(3)]
        assert added == [True, False, False]
    details = [row[0] for row in books.all(Query(select(tables.incident.c.detail)))]
    assert details == [f"lost (3 times, last {AT})"] * 2


def test_old_messages_lose_their_text_once(books: Books) -> None:
    incidents.set_aside(books, UnusableMessage(AT, "topic", b"text", "unusable"))
    assert incidents.old_payloads(books, AT) == []
    (message,) = incidents.old_payloads(books, "2099-01-01T00:00:00.000Z")
    incidents.remove_payloads(books, [message])
    assert incidents.old_payloads(books, "2099-01-01T00:00:00.000Z") == []
    assert books.all(Query(select(tables.set_aside.c.bytes))) == [(4,)]
