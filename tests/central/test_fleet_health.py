"""What the central reports of its terminals: a line down, a line back, an incident at lunch."""

import json
from datetime import timedelta

import pytest

from agent.central.fleet_health import (
    JUMP_MS,
    LOOK_EVERY_MS,
    SETTLE_MS,
    SILENT_AT_SERVING_MS,
)
from agent.central.office.terminals import retire_terminal
from agent.central.terminal_faults import SILENT_MS
from agent.sync.brake import REMIND_FIRST_MS
from agent.sync.events import Arrived, LinkDown, LinkEvent, LinkUp
from tests.parts.foreign_terminal import NAME, ForeignTerminal
from tests.parts.wire import TOWN, Clock

OFFLINE = {"online": False}
UNPLUGGED = {"id": "reader", "subject": "counter", "words": "down: unplugged"}


class Watched:
    """A foreign terminal at a central whose turns a test takes, with the central's lines."""

    def __init__(self, foreign: ForeignTerminal, log: pytest.LogCaptureFixture) -> None:
        log.set_level("INFO")
        self.foreign = foreign
        self.log = log
        self.turn(LinkUp())

    @property
    def clock(self) -> Clock:
        return self.foreign.central.clock

    def turn(self, event: LinkEvent | None = None) -> None:
        list(self.foreign.central.exchange.turn(event, self.clock.instant))

    def state(self, **state: object) -> None:
        payload = json.dumps(state).encode()
        topic = f"canteen/v1/{TOWN}/t/{NAME}/state"
        self.turn(Arrived(topic=topic, payload=payload, receipt=1))

    def pass_ms(self, milliseconds: int) -> None:
        """Let time pass, with a turn of the loop at each look."""
        for _ in range(milliseconds // LOOK_EVERY_MS):
            self.clock.pass_ms(LOOK_EVERY_MS)
            self.turn()
        self.clock.pass_ms(milliseconds % LOOK_EVERY_MS)
        self.turn()

    def lines(self) -> list[str]:
        """Return the lines about the terminal since the last call."""
        start = f"Terminal {NAME} at primaria: "
        lines = [line for line in self.log.messages if line.startswith(start)]
        self.log.clear()
        return [line.removeprefix(start) for line in lines]

    def incidents(self) -> list[str]:
        rows = self.foreign.central.books.rows(
            "SELECT detail FROM incident WHERE kind = 'silent_at_serving'"
            " AND terminal = ? ORDER BY n",
            (NAME,),
        )
        return [str(detail) for (detail,) in rows]


@pytest.fixture
def watched(foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture) -> Watched:
    watched = Watched(foreign, caplog)
    watched.pass_ms(SETTLE_MS)
    watched.lines()
    return watched


def test_a_lost_terminal_has_a_line_down_and_a_line_back_with_the_duration(
    watched: Watched,
) -> None:
    watched.state(**OFFLINE)
    watched.state(**OFFLINE)
    (down,) = watched.lines()
    assert down == "silent: offline: the broker has lost it; look at its power and its network."
    watched.clock.pass_ms(45_000)
    watched.state(online=True)
    assert watched.lines() == ["online again after 45 s."]
    watched.state(online=True)
    assert watched.lines() == []


def test_a_silence_that_lasts_is_repeated_at_growing_intervals(watched: Watched) -> None:
    watched.state(**OFFLINE)
    watched.pass_ms(20 * REMIND_FIRST_MS)
    ages = [line.partition(" for ")[2].partition(":")[0] for line in watched.lines()]
    assert ages == ["", "1 min", "3 min", "7 min", "15 min"]


def test_a_terminal_that_sends_nothing_is_silent_though_the_broker_has_it(
    watched: Watched,
) -> None:
    watched.state(online=True)
    watched.pass_ms(SILENT_MS - LOOK_EVERY_MS)
    assert watched.lines() == []
    watched.pass_ms(LOOK_EVERY_MS)
    (line,) = watched.lines()
    assert line.startswith("silent: it sends nothing though it is connected")
    watched.state(online=True)
    assert watched.lines() == ["online again after 11 min."]


def test_a_fault_that_a_terminal_names_has_a_line_and_its_end_a_line(watched: Watched) -> None:
    watched.state(online=True, faults=[UNPLUGGED])
    watched.state(online=True, faults=[UNPLUGGED])
    assert watched.lines() == ["reader counter: down: unplugged."]
    watched.pass_ms(120_000)
    watched.state(online=True)
    assert watched.lines()[-1] == "reader counter is well again after 2 min."


def test_both_lines_have_terminal_and_fault_as_fields_of_systemds_journal(
    watched: Watched,
) -> None:
    watched.log.clear()
    watched.state(online=True, faults=[UNPLUGGED])
    watched.state(online=True)
    fields = [record.fields for record in watched.log.records if hasattr(record, "fields")]
    assert fields == 2 * [{"terminal": NAME, "fault": "reader counter"}]


def test_a_reason_that_only_counts_on_is_no_new_line_and_another_reason_is(
    watched: Watched,
) -> None:
    for words in ("7 entries wait", "8 entries wait", "the broker denies"):
        watched.state(online=True, faults=[{"id": "not_booked", "words": words}])
    assert watched.lines() == [
        "not_booked: 7 entries wait.",
        "not_booked for 0 s: the broker denies.",
    ]


def test_a_lost_terminal_keeps_what_it_sent_before(watched: Watched) -> None:
    watched.state(online=True, pending=7, software="1.2", faults=[UNPLUGGED])
    watched.lines()
    watched.state(**OFFLINE)
    kept = watched.foreign.central.value("SELECT state FROM terminal WHERE id = ?", NAME)
    assert json.loads(str(kept)) == {
        "online": False, "pending": 7, "software": "1.2", "faults": [UNPLUGGED],
    }  # fmt: skip
    assert [line.partition(":")[0] for line in watched.lines()] == ["silent"]


def test_a_terminal_that_is_silent_while_its_school_eats_is_an_incident_once(
    watched: Watched,
) -> None:
    watched.state(**OFFLINE)
    since = watched.clock.instant
    watched.pass_ms(SILENT_AT_SERVING_MS - LOOK_EVERY_MS)
    assert watched.incidents() == []  # it may only start again
    watched.pass_ms(LOOK_EVERY_MS)
    (detail,) = watched.incidents()
    assert f"{NAME} at primaria is silent since {since}, and lunch is served" in detail
    watched.pass_ms(600_000)
    assert watched.incidents() == [detail]


def test_the_next_days_lunch_is_another_incident(watched: Watched) -> None:
    watched.state(**OFFLINE)
    watched.pass_ms(SILENT_AT_SERVING_MS)
    watched.clock.now += timedelta(days=1)
    watched.pass_ms(SETTLE_MS + LOOK_EVERY_MS)
    assert len(watched.incidents()) == 2


def test_silence_outside_serving_hours_is_no_incident(watched: Watched) -> None:
    watched.clock.now += timedelta(hours=4)
    watched.pass_ms(SETTLE_MS)
    watched.state(**OFFLINE)
    watched.pass_ms(2 * SILENT_AT_SERVING_MS)
    assert watched.lines() != []
    assert watched.incidents() == []


def test_no_terminal_is_silent_while_the_central_itself_is_cut_off(watched: Watched) -> None:
    watched.turn(LinkDown("cut"))
    watched.pass_ms(2 * SILENT_MS)
    watched.turn(LinkUp())
    watched.pass_ms(SILENT_MS - LOOK_EVERY_MS)
    assert watched.lines() == []


def test_a_clock_that_jumps_makes_no_terminal_silent(watched: Watched) -> None:
    watched.clock.now += timedelta(hours=2, milliseconds=JUMP_MS)
    watched.turn()
    watched.pass_ms(SILENT_MS - LOOK_EVERY_MS)
    assert watched.lines() == []


def test_after_a_restart_the_silence_counts_from_the_last_hello(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(foreign, caplog)
    watched.state(**OFFLINE)
    watched.clock.pass_ms(3_600_000)
    foreign.central.restart()
    watched.turn(LinkUp())
    watched.lines()
    watched.pass_ms(SETTLE_MS)
    assert [line.partition(":")[0] for line in watched.lines()] == ["silent"]
    watched.state(online=True)
    assert watched.lines() == ["online again after 1 h 0 min."]


def test_a_last_will_in_front_of_a_state_is_no_silence_when_the_central_starts(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker hands both over: the terminal was away, and is back."""
    watched = Watched(foreign, caplog)
    watched.clock.pass_ms(3_600_000)
    foreign.central.restart()
    watched.turn(LinkUp())
    watched.lines()
    watched.state(**OFFLINE)
    watched.state(online=True)
    watched.pass_ms(SETTLE_MS)
    assert watched.lines() == []
    assert foreign.central.books.rows("SELECT 1 FROM incident") == []


def test_a_retired_terminal_is_not_missed(watched: Watched) -> None:
    retire_terminal(watched.foreign.central.books, NAME)
    watched.state(**OFFLINE)
    watched.pass_ms(2 * SILENT_AT_SERVING_MS)
    assert watched.lines() == [] and watched.incidents() == []
