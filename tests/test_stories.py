"""The stories of docs/contribute/stories.md by number, with real store, session and central.

Stories 16 to 18 are in test_clocks_and_restores.py.
"""

from pathlib import Path

from agent.central.office.cards import block_card
from agent.domain.canteen import Shortage, UnknownCard
from agent.domain.card import card_token, parse_card_id
from agent.domain.ledger import Flag, How
from agent.readers.events import Signal
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import everything_is_consistent
from tests.parts.roster import load_roster
from tests.parts.wire import KEY, SITE, TODAY, Wire

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UNKNOWN_CARD = "a:04ffffff112233"
NEW_CARD = "a:04aaaaaa112233"


def test_1_stale_data_never_refuses(wire: Wire) -> None:
    wire.central.policy(shortage=Shortage.REFUSE)
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    wire.disconnect()
    # A payment arrives, but the terminal has no contact for more than `stale_after_h`.
    wire.clock.pass_ms(25 * HOUR_MS)
    wire.central.credit("a-1", 2000, "r-1")
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.STALE in wire.box.entries()[-1].flags
    wire.connect()
    assert wire.box.balance("a-1") == 2000 - 366
    everything_is_consistent(wire)


def test_1_the_status_shows_the_age_of_the_data(wire: Wire) -> None:
    wire.clock.pass_ms(90_000)
    assert wire.box.ask("status")["last_contact_s"] == 90


def test_2_serve_all_until_works_offline_and_ends_by_itself(wire: Wire) -> None:
    wire.central.policy(shortage=Shortage.REFUSE, serve_all_until="2026-11-24T23:00:00.000Z")
    wire.settle()
    wire.disconnect()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.SERVE_ALL in wire.box.entries()[-1].flags
    wire.connect()
    wire.clock.pass_ms(2 * DAY_MS)
    wire.settle()
    wire.central.credit("a-2", 1, "a message of today, so that the data is not stale")
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    wire.settle()
    everything_is_consistent(wire)


# C124 C125
def test_2_a_child_without_a_price_eats_and_is_charged_when_the_office_writes_it(
    wire: Wire, tmp_path: Path
) -> None:
    wire.central.policy(shortage=Shortage.REFUSE)
    load_roster(
        wire, tmp_path / "r.csv", f"account;site;prices;cards\na-9;{SITE};none;{NEW_CARD}\n"
    )
    wire.settle()
    assert wire.box.tap(NEW_CARD) is Signal.SERVED
    assert wire.box.tap(NEW_CARD) is Signal.ALREADY_SERVED
    wire.settle()
    assert wire.box.entries()[0].flags == [Flag.NO_PRICE]
    assert (wire.central.balance("a-9"), wire.box.balance("a-9")) == (0, 0)
    load_roster(wire, tmp_path / "r.csv", "account;prices\na-9;lunch 2026-09-01 4.00\n")
    wire.settle()
    assert (wire.central.balance("a-9"), wire.box.balance("a-9")) == (-400, -400)
    everything_is_consistent(wire)


def test_3_an_unknown_card_is_served_and_charged_when_it_is_assigned(wire: Wire) -> None:
    assert wire.box.tap(UNKNOWN_CARD) is Signal.SERVED
    assert wire.box.tap(UNKNOWN_CARD) is Signal.ALREADY_SERVED
    wire.settle()
    status = "SELECT status FROM entry WHERE kind = 'unknown_meal'"
    assert wire.central.value(status) == "set_aside"
    assert wire.central.assign(UNKNOWN_CARD, "a-1") == 1
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_3_a_town_may_refuse_unknown_cards(wire: Wire) -> None:
    wire.central.policy(unknown_card=UnknownCard.REFUSE)
    wire.settle()
    assert wire.box.tap(UNKNOWN_CARD) is Signal.REFUSED


def test_4_a_meal_is_undone_once_and_may_then_be_eaten(wire: Wire) -> None:
    wire.box.tap(CARD)
    seq = wire.box.entries()[-1].seq
    assert wire.box.ask("storno", seq=seq)["cents"] == 366
    assert wire.box.ask("storno", seq=seq)["repeated"]
    wire.settle()
    assert wire.central.balance("a-1") == 0
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_4_a_meal_cannot_be_undone_after_the_undo_window(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.clock.pass_ms(121 * 60_000)
    assert "older than the town allows" in str(wire.box.ask("storno", seq=1)["error"])


def test_5_a_late_meal_counts_for_its_own_day(wire: Wire) -> None:
    assert wire.box.ask("meal", account="a-1", day="2026-11-20")["cents"] == -366
    entry = wire.box.entries()[-1]
    assert (entry.how, entry.day) == (How.LATE, "2026-11-20")
    again = wire.box.ask("meal", account="a-1", day="2026-11-20")
    assert again["repeated"] and again["seq"] == entry.seq and len(wire.box.entries()) == 1
    assert wire.box.tap(CARD) is Signal.SERVED  # of today
    wire.settle()
    assert wire.central.balance("a-1") == -2 * 366
    everything_is_consistent(wire)


def test_6_and_15_a_new_fare_reaches_an_offline_terminal_before_its_day(wire: Wire) -> None:
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


def test_6_a_meal_before_the_first_fare_costs_nothing(wire: Wire) -> None:
    with wire.central.books.transaction() as sql:
        sql.execute("UPDATE price SET from_day = '2027-01-01' WHERE account = 'a-1'")
    wire.central.credit("a-1", 0, "r-1")
    wire.settle()
    assert wire.box.tap(CARD) is Signal.SERVED
    assert wire.box.entries()[-1].cents == 0


def test_7_a_second_tap_of_one_lunch_is_already_served_and_free(wire: Wire) -> None:
    assert [wire.box.tap(CARD), wire.box.tap(CARD)] == [Signal.SERVED, Signal.ALREADY_SERVED]
    wire.clock.pass_ms(HOUR_MS)
    assert wire.box.tap(CARD) is Signal.ALREADY_SERVED
    wire.settle()
    assert wire.central.balance("a-1") == -366
    everything_is_consistent(wire)


def test_7_an_online_terminal_knows_the_meals_of_the_other_one(two: Wire) -> None:
    two.boxes["t-1"].tap(CARD)
    two.settle()
    assert two.boxes["t-2"].tap(CARD) is Signal.ALREADY_SERVED


# C106
def test_8_a_card_used_at_two_offline_terminals_is_charged_once(two: Wire) -> None:
    two.disconnect()
    two.boxes["t-2"].tap(CARD)
    two.clock.pass_ms(60_000)
    two.boxes["t-1"].tap(CARD)
    two.connect()
    two.settle()
    assert two.central.balance("a-1") == -366
    reason = two.central.value("SELECT reason FROM entry WHERE status = 'flagged'")
    assert reason == "already_served_elsewhere"
    given_back = two.central.value("SELECT terminal FROM posting WHERE kind = 'double_meal'")
    assert given_back == "t-1"  # the later meal
    everything_is_consistent(two)


def test_8_a_storno_of_either_meal_corrects_what_was_given_back(two: Wire) -> None:
    two.disconnect()
    two.boxes["t-2"].tap(CARD)
    two.boxes["t-1"].tap(CARD)
    two.connect()
    two.settle()
    two.boxes["t-2"].ask("storno", seq=1)
    two.settle()
    assert two.central.balance("a-1") == -366  # for the meal at t-1, which stands
    two.boxes["t-1"].ask("storno", seq=1)
    two.settle()
    assert two.central.balance("a-1") == 0
    everything_is_consistent(two)


def test_8_a_town_may_charge_both_meals(two: Wire) -> None:
    two.central.policy(double_meal="keep")
    two.settle()
    two.disconnect()
    two.boxes["t-1"].tap(CARD)
    two.boxes["t-2"].tap(CARD)
    two.connect()
    two.settle()
    assert two.central.balance("a-1") == -2 * 366
    everything_is_consistent(two)


def test_9_after_a_power_cut_before_the_light_the_next_tap_is_already_served(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.box.lights.clear()  # the power cut came before the light
    wire.box.restart()
    assert wire.box.tap(CARD) is Signal.ALREADY_SERVED
    assert sum(entry.kind == "meal" for entry in wire.box.entries()) == 1


# C4
def test_10_doubled_late_and_reordered_messages_change_no_balance(wire: Wire) -> None:
    def balances() -> list[int | None]:
        sides = (wire.box, wire.central)
        return [side.balance(account) for side in sides for account in ("a-1", "a-2")]

    wire.central.credit("a-1", 1000, "r-1")
    wire.box.tap(CARD)
    wire.settle()
    wire.box.tap(OTHER_CARD)
    wire.central.credit("a-2", 500, "r-2")
    wire.settle()
    before, old = balances(), list(wire.log)
    wire.clock.pass_ms(DAY_MS)
    for topic, payload in [*reversed(old), *old]:
        if topic.endswith(("hello", "entries")):
            wire.deliver_up(topic, payload)
        elif topic.endswith("changes"):
            wire.deliver_down(topic, payload)
    wire.settle()
    assert balances() == before
    everything_is_consistent(wire)


def test_11_a_replaced_card_at_an_offline_terminal_counts_for_its_account(wire: Wire) -> None:
    wire.disconnect()
    with wire.central.books.transaction() as sql:
        sql.execute("UPDATE card SET status = 'replaced' WHERE account = 'a-1'")
    wire.central.assign("a:04010203040506", "a-1")
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.connect()
    assert wire.central.balance("a-1") == -366
    reason = wire.central.value("SELECT reason FROM entry WHERE status = 'flagged'")
    assert reason == "card_blocked"


def test_11_a_blocked_card_is_refused_once_the_block_has_arrived(wire: Wire) -> None:
    block_card(wire.central.books, card_token(KEY, parse_card_id(CARD)))
    wire.settle()
    assert wire.box.tap(CARD) is Signal.REFUSED
    assert wire.box.entries()[-1].reason == "blocked"


def test_12_a_late_payment_corrects_the_balance_at_every_terminal(two: Wire) -> None:
    for _ in range(4):
        two.boxes["t-1"].tap(CARD)
        two.settle()
        two.clock.pass_ms(DAY_MS)
    assert Flag.ON_CREDIT in two.boxes["t-1"].entries()[0].flags
    two.central.credit("a-1", 4 * 366, "late")
    two.settle()
    assert [box.balance("a-1") for box in two.boxes.values()] == [0, 0]
    everything_is_consistent(two)


def test_13_a_payment_reported_twice_is_booked_once(wire: Wire) -> None:
    assert wire.central.credit("a-1", 2000, "iuv-1") is True
    assert wire.central.credit("a-1", 2000, "iuv-1") is False
    wire.settle()
    assert wire.box.balance("a-1") == 2000


def test_14_a_refund_of_spent_money_leaves_a_negative_balance_and_the_child_eats(
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


def test_20_remaining_cents_stay_on_the_account(wire: Wire) -> None:
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


def test_outside_serving_hours_no_meal_is_served(wire: Wire) -> None:
    wire.clock.pass_ms(21 * HOUR_MS)  # 09:05 in the town, on the next day
    assert wire.box.tap(CARD) is Signal.REFUSED
    assert wire.box.entries()[-1].reason == "no_service"
    # 14:20 in the town: the service has ended, and the queue is still served.
    wire.clock.pass_ms(5 * HOUR_MS + 15 * 60_000)
    assert wire.box.tap(CARD) is Signal.SERVED
    assert Flag.OUTSIDE_HOURS in wire.box.entries()[-1].flags
    assert wire.box.entries()[-1].day != TODAY
