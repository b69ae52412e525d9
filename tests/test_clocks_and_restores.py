"""Wrong clocks (story 16), restored SD cards (17), restored centrals (18)."""

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from agent.central.office.terminals import new_generation, order
from agent.domain.clock import ClockTrust
from agent.domain.ledger import Flag
from agent.readers.events import Signal
from agent.store import reads
from agent.store.standing import standing
from agent.sync.session import CONFIRM_EVERY_MS, HEARTBEAT_MS
from agent.terminal.brakes import EPOCH_EVERY_MS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import (
    both_sides_are_equal,
    everything_is_consistent,
    the_books_are_consistent,
    the_hash_chain_is_intact,
)
from tests.parts.wire import TODAY, TOWN, Box, Wire

DAY_MS = 24 * 3_600_000
UNKNOWN_CARD = "a:04ffffff112233"
TRUE_DAY = "SELECT true_day FROM entry WHERE seq = ?"


def reboot_in_1970(wire: Wire) -> None:
    """Restart the box as after a power cut, with an unset clock."""
    box = wire.box
    box.boot, box.synced = "boot-2", False
    box.wall_offset = datetime(1970, 1, 1, tzinfo=UTC) - wire.clock.now
    wire.clock.mono_ms = 5_000
    box.restart()


def confirm_by_the_central(wire: Wire) -> None:
    """Let so much time pass that three answers of the central agree."""
    for _ in range(3):
        wire.pass_time(CONFIRM_EVERY_MS)
    assert wire.box.moment().trust is ClockTrust.SYNCED
    wire.pass_time(CONFIRM_EVERY_MS)  # the next hello tells the central


def enter_day(box: Box, day: str) -> None:
    assert box.ask("day", day=day)["day"] == day


def test_16_a_terminal_in_1970_serves_flags_its_entries_and_is_corrected(wire: Wire) -> None:
    box = wire.box
    box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    wire.clock.pass_ms(DAY_MS)
    reboot_in_1970(wire)
    assert box.tap(CARD) is Signal.SERVED
    wire.clock.pass_ms(2_000)
    # This child ate yesterday. Under an unset clock it may be the same day: serve in doubt.
    assert box.tap(OTHER_CARD) is Signal.SERVED
    assert box.tap(OTHER_CARD) is Signal.ALREADY_SERVED
    first = box.entries()[1]
    assert first.clock is ClockTrust.UNSET and Flag.CLOCK_UNSET in first.flags
    assert first.at >= box.entries()[0].at  # the newest entry's time is a floor
    wire.connect()
    assert wire.central.value(TRUE_DAY, first.seq) is None
    confirm_by_the_central(wire)
    box.tap(UNKNOWN_CARD)
    wire.settle()
    assert box.entries()[-1].clock is ClockTrust.SYNCED
    assert wire.central.value(TRUE_DAY, first.seq) == "2026-11-24"
    # The correction stands beside the entry's own time.
    assert wire.central.value("SELECT at FROM entry WHERE seq = ?", first.seq) == first.at
    assert wire.central.balance("a-2") == -2 * 366  # two days, two meals
    both_sides_are_equal(wire)


def test_16_a_trusted_clock_counts_more_than_the_staffs_day(wire: Wire) -> None:
    enter_day(wire.box, "2026-11-20")
    assert wire.box.ask("status")["day"] == TODAY


def test_16_the_staff_enter_the_day_while_the_clock_is_wrong(wire: Wire) -> None:
    box = wire.box
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)  # lunch of the 24th, under a right clock
    wire.disconnect()
    wire.clock.pass_ms(60_000)
    reboot_in_1970(wire)
    assert box.ask("status")["day"] is None
    assert "error" in box.ask("day", day="2026-02-30")
    enter_day(box, "2026-11-24")
    assert box.ask("status")["day"] == "2026-11-24"
    assert box.tap(CARD) is Signal.ALREADY_SERVED  # before the power cut
    assert box.tap(OTHER_CARD) is Signal.SERVED
    meal = box.entries()[-1]
    assert (meal.day, meal.clock) == ("2026-11-24", ClockTrust.UNSET)
    assert "in the future" in str(box.ask("meal", account="a-1", day="2026-11-25")["error"])
    wire.clock.pass_ms(13 * 3_600_000)
    assert box.ask("status")["day"] is None  # it may be tomorrow by now
    wire.connect()
    confirm_by_the_central(wire)
    assert wire.central.value(TRUE_DAY, meal.seq) == "2026-11-24"
    both_sides_are_equal(wire)


def test_16_a_wrong_day_from_the_staff_gives_nobody_a_second_meal(wire: Wire) -> None:
    box = wire.box
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)
    wire.disconnect()
    reboot_in_1970(wire)
    enter_day(box, "2026-11-24")
    assert box.tap(OTHER_CARD) is Signal.SERVED
    for day in ("2026-11-26", "2026-11-24"):
        enter_day(box, day)
        assert box.tap(OTHER_CARD) is Signal.ALREADY_SERVED
    enter_day(box, "2026-11-25")
    late = box.ask("meal", account="a-1", day="2026-11-24")
    assert late["error"] == "no meal for account a-1: already served on 2026-11-24"
    enter_day(box, "2026-11-24")
    assert sum(entry.kind == "meal" for entry in box.entries()) == 2


def save_image(box: Box, image: Path) -> None:
    """Copy the file of a running box."""
    for suffix in ("", "-wal"):
        if Path(f"{box.path}{suffix}").exists():
            shutil.copyfile(f"{box.path}{suffix}", f"{image}{suffix}")


def put_image(box: Box, image: Path) -> None:
    """Restart a box on an image of its file."""
    box.db.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{box.path}{suffix}").unlink(missing_ok=True)
        if Path(f"{image}{suffix}").exists():
            shutil.copyfile(f"{image}{suffix}", f"{box.path}{suffix}")
    box.start()


# C113
def test_17_a_restored_sd_card_repeats_and_loses_nothing(wire: Wire, tmp_path: Path) -> None:
    box = wire.box
    box.tap(CARD)
    wire.settle()
    save_image(box, tmp_path / "image.db")
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)
    box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    put_image(box, tmp_path / "image.db")
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)  # on a third day; the central has another meal with this seq
    wire.connect()
    wire.pass_time(5_000)
    assert wire.central.balance("a-1") == -3 * 366
    assert wire.central.balance("a-2") == -366
    assert standing(box.db).epoch.startswith("2-")
    both_sides_are_equal(wire)
    the_hash_chain_is_intact(box.db)
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)
    wire.settle()
    assert wire.central.balance("a-1") == -4 * 366
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_17_a_storno_on_a_restored_sd_card_undoes_the_meal_of_its_own_chain(
    wire: Wire, tmp_path: Path
) -> None:
    box = wire.box
    save_image(box, tmp_path / "image.db")
    for n in range(2):
        wire.clock.pass_ms(DAY_MS if n else 0)
        box.tap(CARD)
        (meal,) = reads.entries(box.db, newest=1)
        wire.settle()
        assert "error" not in box.ask("storno", epoch=meal.epoch, seq=meal.entry.seq)
        wire.settle()
        wire.disconnect()
        put_image(box, tmp_path / "image.db")
        if n == 0:
            wire.connect()
    wire.connect()
    # The central takes a hello that is no newer than the last one for an old message. It answers
    # when the hello is repeated. A second new epoch within BRAKE_S waits.
    wire.pass_time(HEARTBEAT_MS)
    wire.pass_time(HEARTBEAT_MS)
    assert wire.central.balance("a-1") == 0
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


# C107
def test_18_terminals_send_a_restored_central_what_it_lost(wire: Wire, tmp_path: Path) -> None:
    wire.central.credit("a-1", 2000, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    wire.central.back_up(tmp_path / "backup.db")
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    wire.central.restore(tmp_path / "backup.db")
    assert wire.central.balance("a-2") == 0
    wire.connect()
    wire.pass_time(5_000)
    assert wire.central.balance("a-1") == 2000 - 2 * 366
    assert wire.central.balance("a-2") == -366
    incidents = "SELECT count(*) FROM incident WHERE kind = 'new_generation'"
    assert wire.central.value(incidents) == 1
    everything_is_consistent(wire)


# C87 C107
def test_18_a_restored_central_gets_entries_of_earlier_epochs_too(
    wire: Wire, tmp_path: Path
) -> None:
    wire.central.back_up(tmp_path / "backup.db")
    wire.box.tap(CARD)
    wire.settle()
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(OTHER_CARD)
    wire.settle()
    assert standing(wire.box.db).epoch.startswith("2-")
    wire.disconnect()
    wire.central.restore(tmp_path / "backup.db")
    wire.connect()
    wire.pass_time(5_000)
    assert (wire.central.balance("a-1"), wire.central.balance("a-2")) == (-366, -366)
    everything_is_consistent(wire)


# C108
def test_18_a_restored_central_begins_one_generation_for_all_pruned_terminals(
    tmp_path: Path,
) -> None:
    with closing(Wire(tmp_path, "t-1", "t-2", "t-3")) as wire:
        wire.central.policy(keep_days=1)
        wire.central.add_account("a-1", cards=(CARD,))
        wire.connect()
        wire.central.back_up(tmp_path / "backup.db")
        for _ in range(5):
            for box in wire.boxes.values():
                box.tap(CARD)
            wire.settle()
            wire.pass_time(DAY_MS)
        assert all(standing(box.db).oldest > 1 for box in wire.boxes.values())
        wire.disconnect()
        wire.central.restore(tmp_path / "backup.db")
        wire.drop = lambda topic, payload: topic.endswith("/entries")  # at first
        wire.connect()
        wire.pass_time(60_000)
        wire.drop = lambda topic, payload: False
        for _ in range(6):
            wire.pass_time(120_000)
        incidents = "SELECT count(*) FROM incident WHERE kind = 'new_generation'"
        assert wire.central.value(incidents) == 1
        both_sides_are_equal(wire)


def test_a_late_snapshot_of_an_abandoned_generation_changes_nothing(wire: Wire) -> None:
    first = next(payload for topic, payload in wire.log if topic.endswith("/changes"))
    wire.box.tap(CARD)
    new_generation(wire.central.books, "f" * 32, at=wire.clock.instant, reason="test")
    wire.announce()
    wire.settle()
    before = standing(wire.box.db)
    assert before.generation == "f" * 32
    wire.deliver_down(f"canteen/v1/{TOWN}/t/t-1/changes", first)
    assert standing(wire.box.db) == before


def test_a_restored_central_never_repeats_an_order_id(wire: Wire, tmp_path: Path) -> None:
    wire.central.back_up(tmp_path / "backup.db")
    first = order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    wire.disconnect()
    wire.central.restore(tmp_path / "backup.db")
    wire.box.tap(CARD)
    wire.connect()
    wire.pass_time(EPOCH_EVERY_MS)
    second = order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    assert first != second and standing(wire.box.db).epoch.startswith("3-")
