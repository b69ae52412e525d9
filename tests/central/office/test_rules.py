"""Rules and serving times reach the terminals."""

from agent.central.office.rules import set_policy, set_service
from agent.domain.canteen import PolicyRecord, ServiceRecord, Shortage
from agent.readers.events import Signal
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import SITE, Wire


def test_a_policy_refuses_at_the_counter_from_its_day_on(wire: Wire) -> None:
    policy = PolicyRecord(from_day="2026-11-24", p=0, shortage=Shortage.REFUSE)
    set_policy(wire.central.books, policy, "give_back", at=wire.clock.instant)
    wire.settle()
    assert wire.box.tap(CARD) is Signal.SERVED
    wire.clock.pass_ms(24 * 3_600_000)
    assert wire.box.tap(OTHER_CARD) is Signal.REFUSED


def test_a_service_holds_at_its_site_alone(wire: Wire) -> None:
    closed = ServiceRecord(
        id="lunch", p=0, name="Pranzo", opens="12:00", closes="14:15", closed_days=["2026-11-23"]
    )
    set_service(wire.central.books, "media", closed)
    wire.settle()
    assert wire.box.tap(CARD) is Signal.SERVED
    set_service(wire.central.books, SITE, closed)
    wire.settle()
    assert wire.box.tap(OTHER_CARD) is Signal.REFUSED
