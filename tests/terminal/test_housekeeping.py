"""While nobody taps: entries are pruned by age, the log is checkpointed, headroom is reserved."""

import logging

import pytest

from agent.store import reads, writes
from agent.store.database import HEADROOM_BYTES
from agent.terminal.housekeeping import PRUNE_EVERY_MS, QUIET_MS, Housekeeping
from tests.conftest import CARD
from tests.parts.wire import ZONE, Wire

DAY_MS = 24 * 3_600_000


@pytest.fixture
def housekeeping(wire: Wire) -> Housekeeping:
    return Housekeeping(wire.box.db, ZONE)


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


def test_entries_older_than_the_rule_are_pruned_at_most_every_prune_every_ms(
    wire: Wire, housekeeping: Housekeeping
) -> None:
    step(wire, housekeeping)  # nothing to prune: the next time is in ten minutes
    wire.central.policy(keep_days=2)
    booked_days(wire, 5)
    before = len(wire.box.entries())
    writes.note_contact(wire.box.db, wire.clock.instant)
    fresh = Housekeeping(wire.box.db, ZONE)
    step(wire, fresh)
    assert len(wire.box.entries()) < before
    kept = len(wire.box.entries())
    step(wire, fresh)  # the step that finds nothing more
    booked_days(wire, 3)
    wire.clock.mono_ms -= 3 * DAY_MS
    step(wire, fresh)
    assert len(wire.box.entries()) == kept + 3
    wire.clock.mono_ms += PRUNE_EVERY_MS
    step(wire, fresh)
    assert len(wire.box.entries()) < kept + 3


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
    assert "no headroom for a full disk" in caplog.text


def test_the_newest_entrys_day_is_never_pruned(wire: Wire) -> None:
    """Or its meal could be served twice: the clock's floor is that entry's time."""
    wire.central.policy(keep_days=1)
    wire.settle()
    cards = [f"a:04a1b2c3{n:06x}" for n in range(3)]
    for card in cards:
        wire.box.tap(card)
    wire.settle()
    writes.note_contact(wire.box.db, "2027-06-01T00:00:00.000Z")
    Housekeeping(wire.box.db, ZONE).step(wire.box.moment(), 0)
    assert [entry.seq for entry in wire.box.entries()] == [1, 2, 3]
    newest = reads.latest_entry(wire.box.db)
    assert newest is not None and newest.seq == 3
