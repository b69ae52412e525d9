"""The stories of docs/contribute/stories.md by number, with real store, session and central."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.domain.canteen import Shortage, UnknownCard
from agent.domain.card import card_token, parse_card_id
from agent.domain.clock import ClockTrust
from agent.domain.ledger import Flag, How
from agent.readers.events import Signal
from agent.store.standing import standing
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import (
    both_sides_are_equal,
    everything_is_consistent,
    the_books_are_consistent,
    the_hash_chain_is_intact,
)
from tests.parts.wire import KEY, TODAY, Wire

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def test_1_brindisi_stale_data_never_refuses(wire: Wire) -> None:
    wire.central.policy(shortage=Shortage.REFUSE)
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    wire.disconnect()
    wire.clock.pass_ms(
        25 * HOUR_MS
    )  # the mother pays; the terminal hears nothing for more than stale_after_h
    wire.central.credit("a-1", 2000, "r-1")
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.STALE in wire.box.entries()[-1].flags
    wire.connect()
    assert wire.box.balance("a-1") == 2000 - 366
    everything_is_consistent(wire)


def test_1_the_age_of_the_data_is_shown(wire: Wire) -> None:
    wire.clock.pass_ms(90_000)
    assert wire.box.ask("status")["last_contact_s"] == 90


def test_2_salerno_meals_for_all_reach_the_terminal_work_offline_and_end(wire: Wire) -> None:
    wire.central.policy(shortage=Shortage.REFUSE, serve_all_until="2026-11-24T23:00:00.000Z")
    wire.settle()
    wire.disconnect()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.SERVE_ALL in wire.box.entries()[-1].flags
    wire.connect()
    wire.clock.pass_ms(2 * DAY_MS)
    wire.settle()
    wire.central.credit("a-2", 1, "so that the terminal hears of today")
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    wire.settle()
    everything_is_consistent(wire)


def test_3_abruzzo_an_unknown_card_is_served_and_found_later(wire: Wire) -> None:
    stranger = "a:04ffffff112233"
    assert wire.box.tap(stranger) is Signal.SERVED
    assert wire.box.tap(stranger) is Signal.ALREADY_SERVED
    wire.settle()
    assert wire.central.one("SELECT status FROM entry WHERE kind = 'unknown_meal'") == "set_aside"
    assert wire.central.assign(stranger, "a-1") == 1
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_3_a_town_may_refuse_unknown_cards(wire: Wire) -> None:
    wire.central.policy(unknown_card=UnknownCard.REFUSE)
    wire.settle()
    assert wire.box.tap("a:04ffffff112233") is Signal.REFUSED


def test_4_san_pietro_vernotico_a_storno_is_one_touch_and_never_twice(wire: Wire) -> None:
    wire.box.tap(CARD)
    seq = wire.box.entries()[-1].seq
    assert wire.box.ask("storno", seq=seq)["cents"] == 366
    assert "undone already" in str(wire.box.ask("storno", seq=seq)["error"])
    wire.settle()
    assert wire.central.balance("a-1") == 0
    assert wire.box.tap(CARD) is Signal.SERVED  # it was a mistake: the child may eat
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_4_a_storno_comes_too_late_after_the_undo_window(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.clock.pass_ms(121 * 60_000)
    assert "older than the town allows" in str(wire.box.ask("storno")["error"])


def test_5_matera_a_meal_typed_in_later_counts_for_its_own_day(wire: Wire) -> None:
    assert wire.box.ask("meal", account="a-1", day="2026-11-20")["cents"] == -366
    entry = wire.box.entries()[-1]
    assert (entry.how, entry.day) == (How.LATE, "2026-11-20")
    assert (
        wire.box.ask("meal", account="a-1", day="2026-11-20")["error"]
        == "no meal for account a-1: already served"
    )
    assert wire.box.tap(CARD) is Signal.SERVED  # today is another day
    wire.settle()
    assert wire.central.balance("a-1") == -2 * 366
    everything_is_consistent(wire)


def test_6_and_15_a_new_fare_is_there_before_its_day(wire: Wire) -> None:
    with wire.central.books.transaction() as sql:
        sql.execute("INSERT INTO price VALUES ('a-1', 'lunch', '2026-11-24', 400)")
    wire.central.credit("a-1", 1000, "r-1")
    wire.settle()
    wire.disconnect()
    wire.box.tap(CARD)
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(CARD)
    assert [entry.cents for entry in wire.box.entries()] == [-366, -400]
    wire.connect()
    everything_is_consistent(wire)


def test_6_before_fares_are_fixed_a_meal_costs_nothing_yet(wire: Wire) -> None:
    with wire.central.books.transaction() as sql:
        sql.execute("UPDATE price SET from_day = '2027-01-01' WHERE account = 'a-1'")
    wire.central.credit("a-1", 0, "r-1")
    wire.settle()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert wire.box.entries()[-1].cents == 0


def test_7_a_second_tap_at_the_same_lunch_is_free(wire: Wire) -> None:
    assert [wire.box.tap(CARD), wire.box.tap(CARD)] == [Signal.SERVED, Signal.ALREADY_SERVED]
    wire.clock.pass_ms(HOUR_MS)
    assert wire.box.tap(CARD) is Signal.ALREADY_SERVED
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_7_the_other_terminal_knows_of_the_meal_when_it_is_online(two: Wire) -> None:
    two.boxes["t-1"].tap(CARD)
    two.settle()
    assert two.boxes["t-2"].tap(CARD) is Signal.ALREADY_SERVED


def test_8_one_card_at_two_terminals_offline_is_paid_once(two: Wire) -> None:
    two.disconnect()
    two.boxes["t-2"].tap(CARD)
    two.clock.pass_ms(60_000)
    two.boxes["t-1"].tap(CARD)
    two.connect()
    two.settle()
    assert two.central.balance("a-1") == -366
    reason = two.central.one("SELECT reason FROM entry WHERE status = 'flagged'")
    assert reason == "already_served_elsewhere"
    assert (
        two.central.one("SELECT terminal FROM posting WHERE kind = 'double_meal'") == "t-1"
    )  # the later of the two
    everything_is_consistent(two)


def test_8_a_storno_of_either_meal_corrects_what_was_given_back(two: Wire) -> None:
    two.disconnect()
    two.boxes["t-2"].tap(CARD)
    two.boxes["t-1"].tap(CARD)
    two.connect()
    two.settle()
    two.boxes["t-2"].ask("storno")
    two.settle()
    assert two.central.balance("a-1") == -366  # the meal at t-1 stands and is paid
    two.boxes["t-1"].ask("storno")
    two.settle()
    assert two.central.balance("a-1") == 0
    everything_is_consistent(two)


def test_8_a_town_may_keep_both(two: Wire) -> None:
    two.central.policy(double_meal="keep")
    two.settle()
    two.disconnect()
    two.boxes["t-1"].tap(CARD)
    two.boxes["t-2"].tap(CARD)
    two.connect()
    two.settle()
    assert two.central.balance("a-1") == -2 * 366
    everything_is_consistent(two)


def test_9_after_the_plug_between_commit_and_light_the_next_tap_is_already_served(
    wire: Wire,
) -> None:
    wire.box.tap(CARD)
    wire.box.lights.clear()  # nobody saw it
    wire.box.restart()
    assert wire.box.tap(CARD) is Signal.ALREADY_SERVED
    assert sum(entry.kind == "meal" for entry in wire.box.entries()) == 1


def test_10_everything_twice_late_and_in_another_order_gives_the_same_balances(wire: Wire) -> None:
    wire.central.credit("a-1", 1000, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    wire.box.tap(OTHER_CARD)
    wire.central.credit("a-2", 500, "r-2")
    wire.settle()
    before = (
        wire.box.balance("a-1"),
        wire.box.balance("a-2"),
        wire.central.balance("a-1"),
        wire.central.balance("a-2"),
    )
    old = list(wire.log)
    wire.clock.pass_ms(DAY_MS)
    for topic, payload in [*reversed(old), *old]:
        if topic.endswith(("hello", "entries")):
            wire.deliver_up(topic, payload)
        elif topic.endswith("changes"):
            wire.deliver_down(topic, payload)
    wire.settle()
    assert before == (
        wire.box.balance("a-1"),
        wire.box.balance("a-2"),
        wire.central.balance("a-1"),
        wire.central.balance("a-2"),
    )
    everything_is_consistent(wire)


def test_11_a_lost_card_at_an_offline_box_counts_for_the_account_until_the_block_arrives(
    wire: Wire,
) -> None:
    wire.disconnect()
    new = "a:04010203040506"
    with wire.central.books.transaction() as sql:
        sql.execute("UPDATE card SET status = 'replaced' WHERE account = 'a-1'")
    wire.central.assign(new, "a-1")
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.connect()
    assert wire.central.balance("a-1") == -366
    assert wire.central.one("SELECT reason FROM entry WHERE status = 'flagged'") == "card_blocked"


def test_11_a_blocked_card_is_refused_once_the_block_has_arrived(wire: Wire) -> None:
    from agent.central.office.cards import block_card

    block_card(wire.central.books, card_token(KEY, parse_card_id(CARD)))
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    assert wire.box.entries()[-1].reason == "blocked"


def test_12_a_payment_four_days_late_sets_every_terminal_right_at_once(two: Wire) -> None:
    for _ in range(4):
        two.boxes["t-1"].tap(CARD)
        two.settle()
        two.clock.pass_ms(DAY_MS)
    assert Flag.ON_CREDIT in two.boxes["t-1"].entries()[0].flags
    two.central.credit("a-1", 4 * 366, "late")
    two.settle()
    assert [box.balance("a-1") for box in two.boxes.values()] == [0, 0]
    everything_is_consistent(two)


def test_13_a_payment_reported_twice_is_one_credit(wire: Wire) -> None:
    assert wire.central.credit("a-1", 2000, "iuv-1") is True
    assert wire.central.credit("a-1", 2000, "iuv-1") is False
    wire.settle()
    assert wire.box.balance("a-1") == 2000


def test_14_a_refund_after_the_money_was_eaten_leaves_a_negative_balance_and_no_drama(
    wire: Wire,
) -> None:
    wire.central.credit("a-1", 366, "r-1")
    wire.settle()
    wire.box.tap(CARD)
    wire.settle()
    wire.central.credit("a-1", -366, "refund-1")
    wire.settle()
    assert wire.box.balance("a-1") == -366
    wire.clock.pass_ms(DAY_MS)
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.settle()
    everything_is_consistent(wire)


def test_16_a_pi_that_starts_in_1970_serves_marks_and_is_corrected_later(wire: Wire) -> None:
    box = wire.box
    box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    wire.clock.pass_ms(DAY_MS)
    box.boot, box.synced = "boot-2", False
    box.wall_offset = datetime(1970, 1, 1, tzinfo=UTC) - wire.clock.now
    wire.clock.mono_ms = 5_000  # just booted
    box.restart()
    assert box.tap(CARD) is Signal.SERVED
    wire.clock.pass_ms(2_000)
    assert (
        box.tap(OTHER_CARD) is Signal.SERVED
    )  # ate yesterday: a clock that stands still must not refuse today
    assert box.tap(OTHER_CARD) is Signal.ALREADY_SERVED
    first = box.entries()[1]
    assert first.clock is ClockTrust.UNSET and Flag.CLOCK_UNSET in first.flags
    assert first.at >= box.entries()[0].at  # never below what was recorded
    wire.connect()
    assert wire.central.one("SELECT true_day FROM entry WHERE seq = ?", first.seq) is None
    wire.clock.pass_ms(1_000)
    box.tap("a:04ffffff112233")  # now it has heard the central's time
    wire.settle()
    assert box.entries()[-1].clock is ClockTrust.SYNCED
    assert wire.central.one("SELECT true_day FROM entry WHERE seq = ?", first.seq) == "2026-11-24"
    assert (
        wire.central.one("SELECT at FROM entry WHERE seq = ?", first.seq) == first.at
    )  # beside, never over
    assert wire.central.balance("a-2") == -2 * 366  # two days, two meals
    both_sides_are_equal(wire)


def test_16_the_staff_say_what_day_it_is_while_the_clock_is_wrong(wire: Wire) -> None:
    box = wire.box
    assert "no day is needed" in str(box.ask("day", day="2026-11-24")["error"])
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)  # lunch of the 24th, under a clock that is right
    wire.disconnect()
    wire.clock.pass_ms(60_000)
    box.boot, box.synced = "boot-2", False  # a cut: it starts in 1970
    box.wall_offset = datetime(1970, 1, 1, tzinfo=UTC) - wire.clock.now
    wire.clock.mono_ms = 5_000
    box.restart()
    assert box.ask("status")["day"] is None
    for wrong in ("2026-02-30", "2026-11-23", "2027-11-26"):
        assert "error" in box.ask("day", day=wrong)
    assert (
        box.ask("day", day="2026-11-24") == {"day": "2026-11-24"}
        and box.ask("status")["day"] == "2026-11-24"
    )
    assert box.tap(CARD) is Signal.ALREADY_SERVED  # before the cut
    assert box.tap(OTHER_CARD) is Signal.SERVED
    meal = box.entries()[-1]
    assert box.ask("day", day="2026-11-26") == {
        "day": "2026-11-26"
    }  # a slip: nobody eats twice by it
    assert box.tap(OTHER_CARD) is Signal.ALREADY_SERVED
    assert box.ask("day", day="2026-11-24") == {"day": "2026-11-24"}
    assert box.tap(OTHER_CARD) is Signal.ALREADY_SERVED
    assert (meal.day, meal.clock) == ("2026-11-24", ClockTrust.UNSET)
    assert "in the future" in str(box.ask("meal", account="a-1", day="2026-11-25")["error"])
    assert box.ask("day", day="2026-11-25") == {"day": "2026-11-25"}
    assert (
        box.ask("meal", account="a-1", day="2026-11-24")["error"]
        == "no meal for account a-1: already served"
    )
    assert box.ask("day", day="2026-11-24") == {"day": "2026-11-24"}
    wire.clock.pass_ms(13 * 3_600_000)
    assert box.ask("status")["day"] is None  # it may be tomorrow by now
    wire.connect()
    wire.clock.pass_ms(1_000)
    box.tap("a:04ffffff112233")
    wire.settle()
    assert wire.central.one("SELECT true_day FROM entry WHERE seq = ?", meal.seq) == "2026-11-24"
    both_sides_are_equal(wire)


def test_17_a_restored_sd_card_repeats_nothing_and_loses_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    box = wire.box
    box.tap(CARD)
    wire.settle()
    box.db.close()
    image = tmp_path / "image.db"
    shutil.copyfile(box.path, image)
    box.start()
    wire.connect()
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)
    box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    box.db.close()
    for leftover in (box.path, Path(f"{box.path}-wal"), Path(f"{box.path}-shm")):
        leftover.unlink(missing_ok=True)
    shutil.copyfile(image, box.path)
    box.start()
    wire.clock.pass_ms(DAY_MS)
    box.tap(CARD)  # a third day, under a number the central knows for another meal
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


def test_18_last_nights_backup_of_the_central_gets_back_what_it_lost(
    wire: Wire, tmp_path: Path
) -> None:
    wire.central.credit("a-1", 2000, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    backup = tmp_path / "backup.db"
    shutil.copyfile(wire.central.path, backup)
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(CARD)
    wire.box.tap(OTHER_CARD)
    wire.settle()
    wire.disconnect()
    wire.central.books.close()
    shutil.copyfile(backup, wire.central.path)
    wire.central.restart()
    assert wire.central.balance("a-2") == 0
    wire.connect()  # whoever restored it forgot to say so
    wire.pass_time(5_000)
    assert wire.central.balance("a-1") == 2000 - 2 * 366
    assert wire.central.balance("a-2") == -366
    assert wire.central.one("SELECT count(*) FROM incident WHERE kind = 'new_generation'") == 1
    everything_is_consistent(wire)


def test_20_cents_left_over_carry_on(wire: Wire) -> None:
    wire.central.credit("a-1", 729, "r-1")
    wire.settle()
    wire.box.tap(CARD)
    wire.settle()
    assert wire.box.balance("a-1") == 363
    wire.clock.pass_ms(DAY_MS)
    wire.box.tap(CARD)
    wire.settle()
    assert wire.central.balance("a-1") == -3
    everything_is_consistent(wire)


def test_an_unreadable_card_is_refused_and_recorded_without_a_uid(wire: Wire) -> None:
    assert wire.box.tap_unreadable() is Signal.REFUSED
    entry = wire.box.entries()[-1]
    assert (entry.reason, entry.card, entry.account) == ("unreadable", None, None)
    wire.settle()
    everything_is_consistent(wire)


def test_no_uid_is_anywhere_on_the_disk_or_on_the_wire(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.box.tap("a:04ffffff112233")
    wire.settle()
    wire.box.db.checkpoint()
    for uid in ("04a1b2c3d4e5f6", "04ffffff112233"):
        for raw in (
            wire.box.path.read_bytes(),
            wire.central.path.read_bytes(),
            *(payload for _, payload in wire.log),
        ):
            assert uid.encode() not in raw.lower() and bytes.fromhex(uid) not in raw


def test_paid_exempt_and_on_credit_look_the_same(wire: Wire) -> None:
    wire.central.add_account("a-3", cards=("em:0000000003",), price_cents=0)
    wire.central.credit("a-1", 2000, "r-1")
    wire.settle()
    assert [wire.box.tap(card) for card in (CARD, OTHER_CARD, "em:0000000003")] == [
        Signal.SERVED
    ] * 3
    assert [entry.cents for entry in wire.box.entries()] == [-366, -366, 0]
    assert [Flag.ON_CREDIT in entry.flags for entry in wire.box.entries()] == [False, True, False]


def test_outside_serving_times_nothing_is_sold(wire: Wire) -> None:
    wire.clock.now = wire.clock.now.replace(hour=8)
    wire.box.restart()
    wire.clock.now += timedelta(days=1)
    assert wire.box.tap(CARD) is Signal.REFUSED
    assert wire.box.entries()[-1].reason == "no_service"
    wire.clock.now = wire.clock.now.replace(
        hour=13, minute=20
    )  # 14:20 in the town, the queue is long
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.OUTSIDE_HOURS in wire.box.entries()[-1].flags
    assert wire.box.entries()[-1].day != TODAY
