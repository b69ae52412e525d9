"""Orders of the central are done once, and a wrong clock of the central does no harm."""

import json
from datetime import timedelta

import pytest

from agent.central.office.terminals import new_generation, order, retire_terminal
from agent.domain.clock import ClockTrust, format_instant
from agent.readers.events import Signal
from agent.store import lists, reads
from agent.store.standing import standing
from agent.sync.session import HEARTBEAT_MS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import everything_is_consistent
from tests.parts.wire import TODAY, Wire, down, last_changes

DAY_MS = 24 * 3_600_000
UNKNOWN_CARD = "a:04ffffff112233"
HELLO, ENTRIES = "/hello", "/entries"


# C80 C83
def test_every_order_is_done_once_and_confirmed(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    epoch = standing(wire.box.db).epoch
    order(wire.central.books, "t-1", "new_epoch")
    wire.settle()
    assert standing(wire.box.db).epoch.startswith("2-") and epoch.startswith("1-")
    wire.pass_time(300_000)
    assert wire.central.value("SELECT order_id FROM terminal") is None
    order(wire.central.books, "t-1", "resync")
    wire.settle()
    wire.pass_time(300_000)
    assert wire.central.value("SELECT order_id FROM terminal") is None
    assert standing(wire.box.db).epoch.startswith("2-")
    wire.box.tap(OTHER_CARD)
    wire.settle()
    everything_is_consistent(wire)


def test_a_stolen_terminal_is_wiped_after_its_last_entry_is_booked(wire: Wire) -> None:
    wire.box.tap(CARD)
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    wire.pass_time(300_000)
    assert list(reads.balances(wire.box.db)) == []
    assert wire.central.balance("a-1") == -366
    wire.pass_time(300_000)
    assert list(reads.balances(wire.box.db)) == []


# C80
def test_a_repeated_order_is_not_done_again(wire: Wire) -> None:
    order(wire.central.books, "t-1", "resync")
    wire.settle()
    (ordering,) = {
        payload
        for topic, payload in wire.log
        if b'"order"' in payload and topic.endswith("/changes")
    }
    count = wire.box.db.sql.execute("SELECT resync FROM terminal").fetchone()
    wire.pass_time(1_000)
    again = json.loads(ordering) | {
        "at": wire.clock.instant,
        "records": [],
        "from": standing(wire.box.db).position,
    }
    down(wire, json.dumps(again | {"to": again["from"]}).encode())
    assert wire.box.db.sql.execute("SELECT resync FROM terminal").fetchone() == count


# C25
def test_a_central_clock_that_is_ahead_is_logged_once_and_not_followed(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """The central's clock is three days ahead for an hour."""
    wire.central_ahead = timedelta(days=3)
    for _ in range(2):
        wire.pass_time(HEARTBEAT_MS)
    assert sum("clock is 3 d 0 h ahead of this terminal's" in line for line in caplog.messages) == 1
    assert wire.box.tap(CARD) is Signal.SERVED
    assert (wire.box.entries()[-1].day, wire.box.entries()[-1].clock) == (TODAY, ClockTrust.SYNCED)


@pytest.mark.parametrize("days_ahead", [0, 3])
def test_the_centrals_time_is_dropped_when_a_time_server_answers(
    wire: Wire, days_ahead: int
) -> None:
    """The link was up first. A child is served once, before or after a restart."""
    box = wire.box
    box.synced = False
    changes = last_changes(wire) | {
        "digest": None,
        "at": format_instant(wire.clock.now + timedelta(days=days_ahead)),
    }
    down(wire, json.dumps(changes).encode())
    wire.clock.pass_ms(10_000)
    box.synced = True
    assert box.tap(CARD) is Signal.SERVED
    box.restart()
    assert box.tap(CARD) is Signal.ALREADY_SERVED
    assert [(entry.day, entry.clock) for entry in box.entries()[:1]] == [(TODAY, ClockTrust.SYNCED)]


def test_a_terminal_without_a_time_server_still_does_the_orders_of_such_a_central(
    wire: Wire,
) -> None:
    wire.box.synced = False
    changes = last_changes(wire) | {
        "digest": None,
        "at": format_instant(wire.clock.now + timedelta(days=3)),
    }
    down(wire, json.dumps(changes).encode())
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    wire.pass_time(300_000)
    assert list(reads.balances(wire.box.db)) == []


# C110
def test_an_order_of_a_restored_central_is_done_though_its_number_was_done_before(
    wire: Wire,
) -> None:
    """The backup is from before two orders, and the office gives its first order again."""
    for _ in range(2):
        order(wire.central.books, "t-1", "resync")
        wire.settle()
        wire.pass_time(1_000)
    wire.central.books.sql.execute("UPDATE terminal SET orders = 0")
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    wire.pass_time(300_000)
    assert list(reads.balances(wire.box.db)) == []


def test_a_waiting_order_in_a_restored_central_is_done_in_its_new_generation(wire: Wire) -> None:
    """Its number may be one that the terminal did in the generation before."""
    order(wire.central.books, "t-1", "resync")
    (done,) = wire.central.books.only_row("SELECT order_id FROM terminal")
    wire.settle()
    wire.pass_time(1_000)
    assert standing(wire.box.db).order_done == done
    wire.central.books.sql.execute("UPDATE terminal SET order_id = ?, order_do = 'wipe'", (done,))
    new_generation(wire.central.books, "d00d" * 8, at=wire.clock.instant, reason="restored")
    wire.central.restart()
    wire.settle()
    wire.pass_time(300_000)
    assert "wipe" in [incident.kind for incident in lists.incidents(wire.box.db)]


# C81
@pytest.mark.parametrize(
    "order_id", ["o-9", "wipe-it", "o-00000001-0", "o-00000001-01", "o-0000000A-1", "o-00000002-1"]
)
def test_an_order_without_a_number_of_its_generation_is_set_aside(
    wire: Wire, order_id: str
) -> None:
    """It could not be recognised when it comes again."""
    changes = last_changes(wire) | {"order": {"id": order_id, "do": "resync"}, "digest": None}
    for _ in range(2):
        down(wire, json.dumps(changes).encode())
    assert standing(wire.box.db).order_done is None and not standing(wire.box.db).resyncing
    (aside,) = lists.incidents(wire.box.db)
    assert aside.kind == "set aside" and f"order '{order_id}'" in aside.detail


# C83
def test_an_order_that_this_version_does_not_know_is_reported_once(wire: Wire) -> None:
    changes = last_changes(wire) | {"order": {"id": "o-00000001-9", "do": "dance"}, "digest": None}
    down(wire, json.dumps(changes).encode())
    down(wire, json.dumps(changes).encode())
    assert [incident.kind for incident in lists.incidents(wire.box.db)] == ["unknown_order"]
