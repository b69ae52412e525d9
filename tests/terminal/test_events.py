"""The core handles every event and the process performs every effect of the vocabulary."""

from typing import get_args

import pytest

from agent.domain.card import parse_card_id
from agent.ops.control_messages import Status
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderUp,
    Show,
    Signal,
    SignalFailed,
)
from agent.sync.events import (
    Acknowledge,
    Arrived,
    Denied,
    DropLink,
    LinkDown,
    LinkUp,
    Publish,
    Taken,
)
from agent.terminal.control import Request
from agent.terminal.events import Effect, Event
from tests.conftest import CARD
from tests.parts.wire import Wire

EVENTS: list[Event] = [
    CardPresented(reader="counter", card=parse_card_id(CARD), tap=1),
    CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1),
    ReaderUp(reader="counter", location="usb"),
    ReaderDown(reader="counter", reason="unplugged"),
    SignalFailed(reader="counter", reason="no answer"),
    LinkUp(),
    LinkDown("cut"),
    Denied("canteen/v1/borgofiorito/t/t-1/entries", "not authorised"),
    Taken("canteen/v1/borgofiorito/t/t-1/entries"),
    Arrived(topic="elsewhere", payload=b"?", receipt=7),
    Request(Status()),
]


def unanswered(event: Event) -> Event:
    """Return a new request for each test: it takes one answer."""
    return Request(event.ask) if isinstance(event, Request) else event


def members(union: object) -> set[type]:
    """Return the classes of a union, at any depth."""
    parts = get_args(union)
    return set().union(*map(members, parts)) if parts else {union}  # type: ignore[arg-type]


def test_every_event_has_a_sample() -> None:
    assert {type(event) for event in EVENTS} == members(Event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_core_handles_every_event_and_yields_only_effects(wire: Wire, event: Event) -> None:
    effects = list(wire.box.core.turn(unanswered(event), wire.box.reading()))
    assert {type(effect) for effect in effects} <= members(Effect)
    assert wire.box.core.fault is None


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_core_handles_every_event_while_its_file_fails(wire: Wire, event: Event) -> None:
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    phone = CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1)
    list(wire.box.core.turn(phone, wire.box.reading()))
    effects = list(wire.box.core.turn(unanswered(event), wire.box.reading()))
    assert {type(effect) for effect in effects} <= members(Effect)
    shown = [effect.signal for effect in effects if isinstance(effect, Show)]
    assert shown == [Signal.OUT_OF_ORDER] * isinstance(event, CardPresented | CardUnreadable)
    assert not any(isinstance(effect, Acknowledge) for effect in effects)


def test_the_effects_are_a_signal_and_what_the_link_does() -> None:
    """`App._perform` and the simulator match on exactly these."""
    assert members(Effect) == {Show, Publish, Acknowledge, DropLink}
