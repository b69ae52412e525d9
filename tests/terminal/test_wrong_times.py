"""Entries of a wrong time are found, kept, reported once, and sent to the central's dating."""

from datetime import timedelta

import pytest

from agent.domain.clock import ClockTrust
from agent.readers.events import Signal
from agent.store import lists, reads
from agent.sync.session import CONFIRM_EVERY_MS
from agent.terminal.wrong_times import NAMED_SPANS_MAX
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import everything_is_consistent
from tests.parts.wire import TODAY, Wire

DAY = timedelta(days=1)
DAY_MS = 24 * 3_600_000
TEN_YEARS = timedelta(days=3652)


def incidents(wire: Wire) -> list[str]:
    return [row.detail for row in lists.incidents(wire.box.db) if row.kind == "wrong_time"]


def wrong_minute(wire: Wire, error: timedelta, *cards: str) -> None:
    """Let the time server be wrong for a minute, in which cards are tapped."""
    box = wire.box
    box.wall_offset = error
    for card in cards:
        assert box.tap(card) is Signal.SERVED
    wire.pass_time(60_000)
    box.wall_offset = timedelta()
    wire.pass_time(CONFIRM_EVERY_MS)


@pytest.mark.parametrize("error", [2 * DAY, -2 * DAY, TEN_YEARS, -TEN_YEARS])
def test_22_a_time_server_that_was_wrong_for_a_minute(wire: Wire, error: timedelta) -> None:
    """Every child eats on every following day; the entry is dated again and reported."""
    box = wire.box
    wrong_minute(wire, error, CARD)
    assert box.moment().trust is ClockTrust.SYNCED and box.moment().at == wire.clock.instant
    (detail,) = incidents(wire)
    side = "ahead" if error > timedelta() else "behind"
    assert f"{abs(error).days} d 0 h {side} when 1 entries were made: 1" in detail
    assert box.ask("status")["wrong_times"] == 1
    assert box.tap(CARD) is Signal.ALREADY_SERVED  # it is the same meal, whatever the day
    assert wire.central.value("SELECT true_day FROM entry WHERE seq = 1") == TODAY
    for _ in range(4):
        wire.pass_time(DAY_MS)
        for card in (CARD, OTHER_CARD):
            assert box.tap(card) is Signal.SERVED
            assert box.tap(card) is Signal.ALREADY_SERVED
    wire.settle()
    assert wire.central.balance("a-1") == -5 * 366
    assert len(incidents(wire)) == 1
    everything_is_consistent(wire)


def test_entries_of_an_earlier_boot_that_have_not_come_yet_refuse_nobody(wire: Wire) -> None:
    """Also where the central is never in reach again."""
    box = wire.box
    wire.disconnect()
    box.boot, box.wall_offset = "boot-2", 2 * DAY
    box.restart()
    assert box.tap(CARD) is Signal.SERVED
    box.boot, box.wall_offset, wire.clock.mono_ms = "boot-3", timedelta(), 5_000
    box.restart()
    box.core.idle(box.moment())
    assert len(incidents(wire)) == 1 and box.moment().trust is ClockTrust.HELD
    wire.clock.pass_ms(2 * DAY_MS)
    assert box.tap(CARD) is Signal.SERVED
    wire.connect()
    wire.pass_time(CONFIRM_EVERY_MS)
    assert len(incidents(wire)) == 1
    everything_is_consistent(wire)


def test_the_central_takes_the_time_of_an_entry_that_has_not_come_yet(wire: Wire) -> None:
    """So no other terminal refuses the child on that day, and that day's meal is paid."""
    box = wire.box
    wire.disconnect()
    box.boot, box.wall_offset, wire.central_ahead = "boot-2", 2 * DAY, 2 * DAY
    box.restart()
    wire.connect()
    box.tap(CARD)
    wire.pass_time(CONFIRM_EVERY_MS)
    true_day = "SELECT true_day FROM entry WHERE seq = 1"
    assert wire.central.value(true_day) == "2026-11-25"
    wire.disconnect()
    box.boot, box.wall_offset, wire.central_ahead = "boot-3", timedelta(), timedelta()
    box.restart()
    wire.connect()
    wire.pass_time(CONFIRM_EVERY_MS)
    assert wire.central.value(true_day) is None
    wire.pass_time(2 * DAY_MS)
    assert box.tap(CARD) is Signal.SERVED
    wire.settle()
    assert wire.central.balance("a-1") == -2 * 366
    everything_is_consistent(wire)


def test_right_entries_are_not_judged_while_the_time_is_in_doubt(wire: Wire) -> None:
    box = wire.box
    box.tap(OTHER_CARD)
    wire.settle()
    wrong_minute(wire, -2 * DAY, CARD)
    (detail,) = incidents(wire)
    assert "2 d 0 h behind when 1 entries were made: 2" in detail


def test_a_jump_backwards_reports_nothing_of_earlier_boots(wire: Wire) -> None:
    box = wire.box
    box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    box.boot = "boot-2"
    box.restart()
    box.core.idle(box.moment())
    for box.wall_offset in (-2 * DAY, timedelta()):
        box.core.idle(box.moment())
        assert incidents(wire) == []
    assert reads.wrong_times(box.db) == []


def test_a_later_correction_replaces_an_earlier_one(wire: Wire) -> None:
    """Right entries looked wrong while the time server was wrong."""
    box = wire.box
    box.tap(CARD)
    wire.settle()
    wrong_minute(wire, DAY, OTHER_CARD)
    (wrong,) = reads.wrong_times(box.db)
    assert (wrong.first.seq, wrong.last.seq) == (2, 2)


def test_a_flapping_time_server_makes_no_flood(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    box = wire.box
    box.tap(CARD)
    for n in range(100):
        box.wall_offset = DAY * (n % 2)
        wire.pass_time(1_000)
    assert len(incidents(wire)) <= 1
    assert sum("moved this clock" in line for line in caplog.messages) < 10


def test_an_incident_names_at_most_named_spans_max_spans(wire: Wire) -> None:
    wire.disconnect()
    box = wire.box
    for n in range(2 * NAMED_SPANS_MAX + 2):
        box.wall_offset = DAY * (n % 2)
        box.tap_unreadable()
    box.wall_offset = timedelta()
    box.moment()
    wire.connect()
    wire.pass_time(CONFIRM_EVERY_MS)
    assert len(reads.wrong_times(box.db)) == NAMED_SPANS_MAX + 1
    names = incidents(wire)[-1].split(": ")[1].split(";")[0]
    assert len(names.split(", ")) == NAMED_SPANS_MAX


def test_the_confirmed_time_and_its_doubt_survive_a_process(wire: Wire) -> None:
    wire.disconnect()
    box = wire.box
    box.moment()
    box.wall_offset = DAY
    box.core.idle(box.moment())
    assert box.moment().trust is ClockTrust.HELD
    box.restart()
    assert box.moment().trust is ClockTrust.HELD
    assert "moved this clock by 1 d 0 h" in str(box.ask("status")["clock_fault"])
    assert "clock: the time server moved" in box.core.summary()
