"""A pupil's label leaves the central only while the policy in effect says `labels: short`."""

from datetime import UTC, datetime

import pytest

from agent.central.office.rules import set_policy
from agent.domain.canteen import PolicyRecord
from tests.parts.wire import Wire


def sent(wire: Wire) -> bytes:
    """Return everything that was sent since the last call."""
    wire.central.exchange.forget_day()  # as when another process has committed
    wire.settle()
    messages = b"".join(payload for _, payload in wire.log)
    wire.log.clear()
    return messages


@pytest.fixture(autouse=True)
def label(wire: Wire) -> None:
    wire.central.books.sql.execute("UPDATE account SET label = 'Nora K.'")


def set_labels(wire: Wire, from_day: str, *, sends: bool) -> None:
    policy = PolicyRecord(from_day=from_day, p=0, labels="short" if sends else "none")
    set_policy(wire.central.books, policy, "give_back", at=wire.clock.instant)


def test_no_label_leaves_without_a_policy(wire: Wire) -> None:
    wire.central.credit("a-1", 1, "r-1")
    messages = sent(wire)
    assert b'"a-1"' in messages and b"Nora" not in messages


def test_no_label_leaves_before_the_policys_day(wire: Wire) -> None:
    set_labels(wire, "2027-09-01", sends=True)
    wire.central.credit("a-1", 1, "r-1")
    assert b"Nora" not in sent(wire)


def test_labels_leave_from_the_policys_day_on(wire: Wire) -> None:
    set_labels(wire, "2026-11-24", sends=True)
    assert b"Nora" not in sent(wire)
    wire.clock.pass_ms(24 * 3_600_000)
    wire.central.credit("a-2", 1, "r-1")
    assert sent(wire).count(b"Nora K.") >= 2  # of both accounts


@pytest.mark.parametrize("sends", [True, False])
def test_a_rule_of_labels_begins_at_the_midnight_of_the_town(wire: Wire, *, sends: bool) -> None:
    """That is 23:00 UTC in winter: an hour before the day of UTC ends."""
    set_labels(wire, "2026-09-01", sends=not sends)
    set_labels(wire, "2026-11-24", sends=sends)
    wire.clock.now = datetime(2026, 11, 23, 22, 59, 59, 999_000, tzinfo=UTC)
    wire.central.credit("a-1", 1, "r-1")
    assert (b"Nora K." in sent(wire)) != sends
    wire.clock.pass_ms(1)
    wire.central.credit("a-1", 1, "r-2")
    assert (b"Nora K." in sent(wire)) == sends


def test_terminals_forget_labels_when_the_town_switches_them_off(wire: Wire) -> None:
    set_labels(wire, "2026-09-01", sends=True)
    assert b"Nora K." in sent(wire)
    set_labels(wire, "2026-11-01", sends=False)
    assert b"Nora" not in sent(wire)
    (held,) = wire.box.db.sql.execute("SELECT group_concat(body) FROM record").fetchone()
    assert "a-1" in held and "Nora" not in held
