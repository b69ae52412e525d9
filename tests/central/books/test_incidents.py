"""Incidents, and the bounds on messages that are set aside."""

import pytest

from agent.central.books import incidents
from agent.central.books.file import Books
from agent.central.books.incidents import (
    SET_ASIDE_PAYLOAD_BYTES_MAX,
    SET_ASIDE_ROWS_MAX,
    TOPIC_LENGTH_MAX,
    Incident,
    UnusableMessage,
)
from tests.central.conftest import AT


def test_an_incident_is_kept_with_its_terminal_and_epoch(books: Books) -> None:
    incidents.add(books, Incident(AT, "hole", "entries 2 to 5 are lost", "t-1", "1-aa"))
    rows = books.rows("SELECT at, kind, detail, terminal, epoch FROM incident")
    assert rows == [(AT, "hole", "entries 2 to 5 are lost", "t-1", "1-aa")]


@pytest.mark.parametrize("size", [SET_ASIDE_PAYLOAD_BYTES_MAX, SET_ASIDE_PAYLOAD_BYTES_MAX + 1])
def test_a_large_message_is_kept_in_part_with_its_size(books: Books, size: int) -> None:
    message = UnusableMessage(AT, "t" * 1_000, b"x" * size, "too large")
    incidents.set_aside(books, message)
    (row,) = books.rows("SELECT length(topic), bytes, length(payload) FROM set_aside")
    assert row == (TOPIC_LENGTH_MAX, size, SET_ASIDE_PAYLOAD_BYTES_MAX)


def test_only_the_newest_messages_are_kept(books: Books) -> None:
    with books.transaction():
        for n in range(SET_ASIDE_ROWS_MAX + 3):
            incidents.set_aside(books, UnusableMessage(AT, f"topic {n}", b"", "unusable"))
    (row,) = books.rows("SELECT count(*), min(topic) FROM set_aside WHERE n <= 5")
    assert row == (2, "topic 3")
    assert books.rows("SELECT count(*) FROM set_aside") == [(SET_ASIDE_ROWS_MAX,)]
