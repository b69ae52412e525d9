"""Incidents that repeat: one row, whose count is written at growing intervals."""

from agent.domain.clock import Moment
from agent.store import lists
from agent.sync.brake import REMIND_FIRST_MS
from agent.sync.events import LinkDown, LinkUp
from agent.terminal.counted import SAME_WITHIN_MS, CountedIncidents
from tests.parts.wire import Wire


def moment(wire: Wire) -> Moment:
    return wire.box.moment()


def details(wire: Wire) -> list[str]:
    return [row.detail for row in lists.incidents(wire.box.db) if row.kind == "k"]


def test_an_incident_that_repeats_is_one_row_with_its_count(wire: Wire) -> None:
    counted = CountedIncidents(wire.box.db)
    for n in range(100):
        counted.add("k", f"detail {n}", moment(wire))
        counted.step(moment(wire))
        wire.clock.pass_ms(100)
    assert details(wire) == ["detail 0"]
    wire.clock.pass_ms(REMIND_FIRST_MS)
    counted.step(moment(wire))
    (detail,) = details(wire)
    assert detail.startswith("detail 99 (100 times, last ")


def test_after_a_rest_it_is_another_incident(wire: Wire) -> None:
    counted = CountedIncidents(wire.box.db)
    counted.add("k", "a", moment(wire))
    wire.clock.pass_ms(SAME_WITHIN_MS)
    counted.add("k", "b", moment(wire))
    assert sorted(details(wire)) == ["a", "b"]


def test_two_kinds_are_counted_apart(wire: Wire) -> None:
    counted = CountedIncidents(wire.box.db)
    counted.add("other", "a", moment(wire))
    counted.add("k", "b", moment(wire))
    assert details(wire) == ["b"]


def test_another_client_with_this_identity_is_one_incident_however_often_it_connects(
    wire: Wire,
) -> None:
    for _ in range(5):
        wire.box.handle(LinkDown("another client connected (142)", is_takeover=True))
        wire.box.handle(LinkUp())
    wire.box.handle(LinkDown("cut"))
    (incident,) = lists.incidents(wire.box.db)
    assert (incident.kind, incident.detail) == (
        "identity_in_use",
        "another client connected (142)",
    )
