"""While nobody taps: entries are pruned by age, the log is checkpointed, headroom is reserved."""

import logging

import pytest
from msgspec.structs import replace

from agent.domain.clock import ClockTrust, Moment
from agent.store.database import HEADROOM_BYTES
from agent.terminal.certificates import Certificates
from agent.terminal.housekeeping import (
    KEPT_AT_LEAST_MS,
    PRUNE_EVERY_MS,
    QUIET_MS,
    Housekeeping,
)
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import ZONE, Wire

DAY_MS = 24 * 3_600_000
UNKNOWN_CARD = "a:04ffffff112233"


@pytest.fixture
def housekeeping(wire: Wire) -> Housekeeping:
    return Housekeeping(wire.box.db, ZONE, Certificates())


def step(wire: Wire, housekeeping: Housekeeping, *, since_tap_ms: int = QUIET_MS) -> None:
    moment = wire.box.moment()
    housekeeping.step(moment, moment.mono_ms - since_tap_ms)


def booked_days(wire: Wire, count: int) -> None:
    """Serve the account on so many days; all but the newest entry are booked and old enough."""
    for _ in range(count):
        wire.box.tap(CARD)
        wire.settle()
        wire.clock.pass_ms(DAY_MS)


def test_nothing_is_done_shortly_after_a_tap(wire: Wire, housekeeping: Housekeeping) -> None:
    """A child in the queue must not wait for it."""
    wire.box.db.sql.execute("VACUUM")
    housekeeping.file_changed()
    step(wire, housekeeping, since_tap_ms=QUIET_MS - 1)
    assert reserved_bytes(wire) < HEADROOM_BYTES / 2
    step(wire, housekeeping)
    assert reserved_bytes(wire) > HEADROOM_BYTES / 2


def reserved_bytes(wire: Wire) -> int:
    (pages,) = wire.box.db.only_row("PRAGMA freelist_count")
    (page_bytes,) = wire.box.db.only_row("PRAGMA page_size")
    return int(pages * page_bytes)


def test_old_entries_are_pruned_a_day_each_prune_every_ms(
    wire: Wire, housekeeping: Housekeeping
) -> None:
    """A clock that is years ahead for an hour takes one day's entries, not all."""
    wire.central.policy(keep_days=1)
    booked_days(wire, 6)
    step(wire, housekeeping)  # at the start the time is hardly confirmed: nothing is pruned
    for kept in (6, 5, 4):
        step(wire, housekeeping)
        assert len(wire.box.entries()) == kept
        wire.clock.pass_ms(PRUNE_EVERY_MS)
        step(wire, housekeeping)
        step(wire, housekeeping)  # the step that finds nothing more
        assert len(wire.box.entries()) == kept - 1


def pruned(wire: Wire, moment: Moment) -> int:
    """Return how many entries an agent prunes that has run for an hour."""
    before = len(wire.box.entries())
    housekeeping = Housekeeping(wire.box.db, ZONE, Certificates())
    housekeeping.step(replace(moment, mono_ms=moment.mono_ms - PRUNE_EVERY_MS), 0)
    housekeeping.step(moment, 0)
    return before - len(wire.box.entries())


def test_nothing_is_pruned_under_a_time_that_is_not_confirmed(wire: Wire) -> None:
    wire.central.policy(keep_days=1)
    booked_days(wire, 4)
    moment = wire.box.moment()
    for trust in (ClockTrust.HELD, ClockTrust.UNSET):
        assert pruned(wire, replace(moment, trust=trust)) == 0
    assert pruned(wire, moment) == 1


def test_the_newest_day_is_kept_whatever_the_clock_says(wire: Wire) -> None:
    """Or a child could be served twice after a power cut, and pay twice."""
    wire.central.policy(keep_days=1)
    for card in (CARD, OTHER_CARD, UNKNOWN_CARD):
        wire.box.tap(card)
    wire.settle()
    ahead = replace(wire.box.moment(), at="2036-11-23T11:00:00.000Z", boot="boot-2")
    assert pruned(wire, ahead) == 0


def test_the_entries_of_this_boots_last_day_are_kept_whatever_the_clock_says(wire: Wire) -> None:
    wire.central.policy(keep_days=1)
    booked_days(wire, 3)
    ahead = replace(wire.box.moment(), at="2036-11-23T11:00:00.000Z")
    first_ms = wire.box.entries()[0].mono_ms
    assert pruned(wire, replace(ahead, mono_ms=first_ms + KEPT_AT_LEAST_MS)) == 0
    assert pruned(wire, replace(ahead, mono_ms=first_ms + KEPT_AT_LEAST_MS + 1)) == 1


def test_a_write_is_checkpointed_in_the_next_quiet_moment(
    wire: Wire, housekeeping: Housekeeping
) -> None:
    step(wire, housekeeping)
    step(wire, housekeeping)
    wire.box.tap(CARD)
    step(wire, housekeeping)
    assert not in_the_file(wire, b'"kind":"meal"')  # the counter did not report a write here
    housekeeping.file_changed()
    step(wire, housekeeping)
    assert in_the_file(wire, b'"kind":"meal"')


def in_the_file(wire: Wire, text: bytes) -> bool:
    """Return whether a text is in the file itself, not only in its write-ahead log."""
    return text in wire.box.path.read_bytes()


def test_a_full_disk_is_logged_and_stops_nothing(
    wire: Wire, housekeeping: Housekeeping, caplog: pytest.LogCaptureFixture
) -> None:
    wire.box.db.sql.execute("VACUUM")
    (pages,) = wire.box.db.only_row("PRAGMA page_count")
    wire.box.db.sql.execute(f"PRAGMA max_page_count = {pages}")
    with caplog.at_level(logging.WARNING):
        step(wire, housekeeping)
    assert "no headroom made" in caplog.text
