"""What the central reports of its link: reasons at growing intervals, incidents with a count."""

from datetime import timedelta

import pytest

from agent.central.link_health import LinkHealth
from agent.sync.brake import REMIND_FIRST_MS
from agent.sync.events import Denied, LinkDown, LinkUp, Taken
from tests.parts.foreign_terminal import ForeignTerminal

TOPIC = "canteen/v1/borgofiorito/t/t-1/changes"


@pytest.fixture
def health(foreign: ForeignTerminal) -> LinkHealth:
    return LinkHealth(foreign.central.books)


def rows(foreign: ForeignTerminal) -> list[tuple[object, ...]]:
    return foreign.central.books.rows("SELECT kind, detail FROM incident")


def test_a_lost_broker_is_logged_at_growing_intervals_with_the_present_reason(
    foreign: ForeignTerminal, health: LinkHealth, caplog: pytest.LogCaptureFixture
) -> None:
    clock = foreign.central.clock
    for n in range(100):
        health.note(LinkDown("no route" if n else "cut"), clock.instant)
        clock.pass_ms(REMIND_FIRST_MS // 20)
    lines = [line for line in caplog.messages if "lost" in line]
    assert [line.split(": ")[1] for line in lines] == [
        "cut. Trying again.",
        "no route. Trying again.",  # a new reason
        "no route. Trying again.",
        "no route. Trying again.",
    ]


def test_a_clock_that_is_set_back_does_not_silence_the_log(
    foreign: ForeignTerminal, health: LinkHealth, caplog: pytest.LogCaptureFixture
) -> None:
    clock = foreign.central.clock
    health.note(LinkDown("a"), clock.instant)
    clock.now -= timedelta(days=3650)
    health.note(LinkDown("a"), clock.instant)
    assert len([line for line in caplog.messages if "lost: a" in line]) == 2


def test_a_takeover_is_one_incident_with_a_count(
    foreign: ForeignTerminal, health: LinkHealth
) -> None:
    for _ in range(30):
        health.note(LinkDown("another client connected", is_takeover=True), "2026-11-23T11:00:00Z")
    ((kind, detail),) = rows(foreign)
    assert kind == "identity_in_use"
    assert detail == "another client connected (30 times, last 2026-11-23T11:00:00Z)"


def test_a_denied_topic_is_an_incident_and_its_end_is_logged(
    foreign: ForeignTerminal, health: LinkHealth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    at = foreign.central.clock.instant
    health.note(LinkUp(), at)
    health.note(Denied(TOPIC, "not authorised (135)"), at)
    health.note(Taken(TOPIC), at)
    assert rows(foreign) == [("denied", f"topic {TOPIC}: not authorised (135)")]
    assert f"The broker takes messages on {TOPIC} again." in caplog.text


def test_an_incident_is_logged_though_the_file_is_full(
    foreign: ForeignTerminal, health: LinkHealth, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.central.books.sql.execute("PRAGMA query_only = ON")
    health.note(Denied(TOPIC, "not authorised (135)"), foreign.central.clock.instant)
    assert "Incident denied" in caplog.text


def test_a_flood_of_messages_set_aside_is_logged_at_growing_intervals(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    clock = foreign.central.clock
    for _ in range(100):
        foreign.central.exchange.receive(f"{TOPIC[:-7]}hello", b"{}", clock.instant)
        clock.pass_ms(REMIND_FIRST_MS // 20)
    assert len([line for line in caplog.messages if "set aside" in line]) == 3
