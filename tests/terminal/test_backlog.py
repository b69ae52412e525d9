"""*Nothing booked since …*: a fault of its own, with its age and the likely reason."""

import json
import logging

import pytest

from agent.store import lists
from agent.sync.brake import REMIND_FIRST_MS
from agent.sync.events import Denied, LinkDown, LinkUp, Publish, Taken
from agent.sync.limits import Limits
from agent.sync.messages import TerminalState, decode
from agent.terminal.backlog import NOTHING_BOOKED_MS, NotBooked
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import Wire, down

ENTRIES = "canteen/v1/borgofiorito/t/t-1/entries"


def lose_entries(topic: str, payload: bytes) -> bool:
    return topic == ENTRIES


def fault(wire: Wire) -> str | None:
    """Return the fault as `status` has it."""
    answer = wire.box.ask("status")["not_booked"]
    return None if answer is None else str(answer)


def wait(wire: Wire, milliseconds: int = NOTHING_BOOKED_MS) -> None:
    """Let time pass in steps, as the main loop does."""
    for _ in range(milliseconds // 1_000):
        wire.pass_time(1_000)


def states(wire: Wire) -> list[TerminalState]:
    return [decode(payload, TerminalState) for topic, payload in wire.log if topic[-6:] == "/state"]


def test_entries_that_wait_for_nothing_booked_ms_are_a_fault_though_the_link_is_up(
    wire: Wire,
) -> None:
    wire.drop = lose_entries
    wire.box.tap(CARD)
    wire.settle()
    at = wire.clock.instant
    wait(wire, NOTHING_BOOKED_MS - 1_000)
    assert fault(wire) is None
    wait(wire, 2_000)
    sentence = fault(wire)
    assert sentence is not None
    assert sentence.startswith(f"nothing booked since {at} (1 min), 1 entries wait: ")
    assert sentence in wire.box.core.summary()
    newest = states(wire)[-1]
    assert newest.not_booked_since == at
    assert newest.not_booked_reason is not None and newest.not_booked_reason in sentence


def test_the_fault_ends_with_the_first_acknowledgement(wire: Wire) -> None:
    wire.drop = lose_entries
    wire.box.tap(CARD)
    wait(wire, 2 * NOTHING_BOOKED_MS)
    assert fault(wire) is not None
    wire.drop = lambda topic, payload: False
    wait(wire, 5 * NOTHING_BOOKED_MS)
    assert fault(wire) is None
    assert states(wire)[-1].not_booked_since is None


def test_a_terminal_without_entries_that_wait_has_no_such_fault(wire: Wire) -> None:
    wire.disconnect()
    wait(wire, 2 * NOTHING_BOOKED_MS)
    assert fault(wire) is None


def test_the_age_counts_from_the_last_acknowledgement(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wait(wire, 5 * NOTHING_BOOKED_MS)
    wire.drop = lose_entries
    wire.box.tap(OTHER_CARD)
    wire.settle()
    at = wire.clock.instant
    wait(wire, NOTHING_BOOKED_MS + 2_000)
    assert str(fault(wire)).startswith(f"nothing booked since {at} (1 min)")


def test_after_a_restart_the_age_counts_from_the_oldest_entry_that_waits(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    at = wire.clock.instant
    wire.clock.pass_ms(3 * 3_600_000)
    wire.box.restart()
    wire.connected.add("t-1")
    wire.box.handle(LinkDown("no route"))
    wait(wire, NOTHING_BOOKED_MS + 2_000)
    assert str(fault(wire)).startswith(f"nothing booked since {at} (3 h 1 min)")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([LinkDown("no route there")], "link down: no route there"),
        (
            [Denied(ENTRIES, "the broker denies to publish 'entries': not authorised (135)")],
            "the broker denies to publish 'entries'",
        ),
        ([Denied(ENTRIES, "x"), Taken(ENTRIES)], "the central answers, but entries"),
        ([LinkUp(Limits(packet_bytes=400))], "is too large for the broker, which takes 3"),
        ([LinkUp(Limits(version=4))], "denies in silence"),
    ],
)
def test_the_reason_is_what_is_known_before_what_is_guessed(
    wire: Wire, events: list[LinkUp | LinkDown | Denied | Taken], reason: str
) -> None:
    wire.box.tap(CARD)
    wire.drop = lose_entries
    for event in events:
        wire.box.handle(event)
    wait(wire, NOTHING_BOOKED_MS + 2_000)
    assert reason in str(fault(wire))


@pytest.mark.parametrize(
    ("online", "reason"),
    [(False, "the central is offline"), (None, "the central does not answer")],
)
def test_a_central_that_is_silent_or_offline_is_the_reason(
    wire: Wire, online: bool | None, reason: str
) -> None:
    if online is not None:
        wire.deliver_down("canteen/v1/borgofiorito/central/state", b'{"online":false}')
    wire.drop = lambda topic, payload: True
    wire.box.tap(CARD)
    wait(wire, NOTHING_BOOKED_MS + 2_000)
    assert reason in str(fault(wire))


def test_the_log_repeats_the_fault_at_growing_intervals_and_names_its_end(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wire.drop = lose_entries
    wire.box.tap(CARD)
    wait(wire, NOTHING_BOOKED_MS + REMIND_FIRST_MS + 2 * REMIND_FIRST_MS + 3_000)
    lines = [line for line in caplog.messages if "nothing booked since" in line]
    assert ["(1 min)" in lines[0], "(2 min)" in lines[1], "(4 min)" in lines[2]] == [True] * 3
    assert len(lines) == 3
    wire.drop = lambda topic, payload: False
    wire.connect()
    wait(wire, 10_000)
    assert "Entries are booked again; 0 wait." in caplog.messages


def test_a_fault_of_hours_is_written_in_hours() -> None:
    late = NotBooked("2026-11-23T11:42:00.000Z", 11_460_000, 57, "link down: no route")
    assert late.sentence() == (
        "nothing booked since 2026-11-23T11:42:00.000Z (3 h 11 min), 57 entries wait:"
        " link down: no route"
    )


def test_the_state_of_a_terminal_at_rest_has_no_such_member(wire: Wire) -> None:
    payloads = [payload for topic, payload in wire.log if topic.endswith("/state")]
    assert payloads and all("not_booked_since" not in json.loads(one) for one in payloads)


def test_the_state_says_what_the_broker_denies(wire: Wire) -> None:
    effects = list(wire.box.core.turn(Denied(ENTRIES, "not authorised (135)"), wire.box.reading()))
    payloads = [effect.payload for effect in effects if isinstance(effect, Publish)]
    assert decode(payloads[0], TerminalState).link_fault == "not authorised (135)"


# C24
def test_answers_that_cannot_be_read_are_named_and_not_taken_for_silence(wire: Wire) -> None:
    """A newcomer's central writes instants without milliseconds."""
    wire.box.tap(CARD)

    def spoil(topic: str, payload: bytes) -> bool:
        if not topic.endswith("/changes"):
            return False
        bad = json.dumps({**json.loads(payload), "at": "2026-11-23T11:05:00Z"}).encode()
        down(wire, bad)
        return True

    wire.drop = spoil
    wait(wire, 2 * NOTHING_BOOKED_MS)
    sentence = fault(wire)
    assert sentence is not None and "the central's messages cannot be used" in sentence
    (incident,) = [row for row in lists.incidents(wire.box.db) if row.kind == "answer"]
    assert "the central's answer is unusable" in incident.detail
    wire.drop = lambda topic, payload: False
    wait(wire, 5 * NOTHING_BOOKED_MS)
    assert fault(wire) is None
