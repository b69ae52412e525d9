"""When all is booked, the shown balances add up to the central's cents, or all is sent again."""

from agent.store import lists
from agent.store.standing import standing
from agent.sync.session import HEARTBEAT_MS
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import a_difference_is_found_once_and_repaired, everything_is_consistent
from tests.parts.wire import Wire


# C57
def test_a_wrong_shown_balance_that_no_record_explains_is_found_and_repaired(wire: Wire) -> None:
    """The place that a balance contains was damaged: the record itself is as the central's."""
    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.sql.execute("UPDATE record SET h = 0 WHERE id = 'a-1'")
    assert wire.box.balance("a-1") == 2 * -366
    wire.pass_time(HEARTBEAT_MS)
    (row,) = lists.incidents(wire.box.db)
    assert "the shown balances add up to -732 cents; central has -366" in row.detail
    a_difference_is_found_once_and_repaired(wire.box.db, wire.central.books, "t-1", before=0)


# C57
def test_entries_that_wait_are_no_difference(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wire.drop = lambda topic, payload: topic.endswith("/entries")
    wire.box.tap(OTHER_CARD)
    wire.pass_time(HEARTBEAT_MS)
    assert standing(wire.box.db).pending == 1 and lists.incidents(wire.box.db) == []
    wire.drop = lambda topic, payload: False
    wire.pass_time(HEARTBEAT_MS)
    everything_is_consistent(wire)
    assert lists.incidents(wire.box.db) == []
