"""When all is booked, the shown balances add up to the central's cents, or all is sent again."""

import json

import pytest

from agent.domain.digest import Tally
from agent.store import lists, reads
from agent.store.reads import DIGEST_STEP_RECORDS
from agent.store.standing import standing
from agent.sync.messages import Digest
from agent.sync.session import HEARTBEAT_MS
from agent.terminal.comparison import Comparison
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


def expected(wire: Wire, **changes: object) -> Digest:
    """Return the digest of what the terminal has, with changes."""
    tally, after = reads.digest_step(wire.box.db, Tally(), ("", ""))
    assert after is None
    members: dict[str, object] = {
        "position": standing(wire.box.db).position,
        "accounts": tally.accounts,
        "cards": tally.cards,
        "cents": tally.cents,
        "sum": tally.sum_hex,
        **changes,
    }
    return Digest(**members)  # type: ignore[arg-type]


def compared(wire: Wire, digest: Digest | None) -> str | None:
    comparison = Comparison(wire.box.db)
    comparison.begin(digest)
    difference = None
    while comparison.is_going_on:
        difference = comparison.step()
        if difference is not None:
            comparison.end()
    return difference


def test_equal_records_have_no_difference(wire: Wire) -> None:
    assert compared(wire, expected(wire)) is None
    assert compared(wire, None) is None


def test_a_difference_is_a_sentence(wire: Wire) -> None:
    difference = compared(wire, expected(wire, accounts=7))
    assert difference is not None and "terminal has 2 accounts" in difference
    assert "central has 7" in difference


# C57
@pytest.mark.parametrize(("damaged", "is_difference"), [("a-1", False), ("a-2", True)])
def test_an_account_that_cannot_be_read_hides_no_wrong_balance_of_another(
    wire: Wire, damaged: str, *, is_difference: bool
) -> None:
    """What it shows itself is not known to be wrong: its balance is in the record that waits."""
    for card in (CARD, OTHER_CARD):
        wire.box.tap(card)
    wire.settle()
    own, sql = standing(wire.box.db), wire.box.db.sql
    sql.execute("UPDATE record SET h = 0 WHERE id = ?", (damaged,))
    body = json.dumps({"balance": "?", "id": "a-1", "k": "account", "p": own.position})
    row = (own.position, own.mark.n, body)
    sql.execute("INSERT INTO unread VALUES ('account', 'a-1', ?, ?, 9, ?, NULL)", row)
    assert (compared(wire, expected(wire)) is not None) == is_difference


def test_a_digest_of_another_position_is_not_compared(wire: Wire) -> None:
    position = standing(wire.box.db).position
    assert compared(wire, expected(wire, accounts=7, position=position + 1)) is None


def test_a_comparison_ends_when_the_position_moves(wire: Wire) -> None:
    comparison = Comparison(wire.box.db)
    comparison.begin(expected(wire, accounts=7))
    wire.central.credit("a-1", 1_000, "r-1")
    wire.settle()
    assert comparison.is_going_on and comparison.step() is None
    assert not comparison.is_going_on


def test_a_difference_is_found_again_until_the_end(wire: Wire) -> None:
    """The write that reports it may fail."""
    comparison = Comparison(wire.box.db)
    comparison.begin(expected(wire, accounts=7))
    assert comparison.step() == comparison.step() is not None
    comparison.end()
    assert not comparison.is_going_on


def test_many_records_are_compared_in_several_steps(wire: Wire) -> None:
    for n in range(DIGEST_STEP_RECORDS + 1):
        wire.central.add_account(f"b-{n}")
    wire.settle()
    wire.box.tap(CARD)
    comparison = Comparison(wire.box.db)
    digest = Digest(
        position=standing(wire.box.db).position, accounts=0, cards=0, cents=0, sum="0" * 16
    )
    comparison.begin(digest)
    assert comparison.step() is None and comparison.is_going_on
