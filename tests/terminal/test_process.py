"""The process's own rules: taps first, nothing unbounded, no green and no acknowledgement without a commit."""

import json

import pytest

from agent.domain.card import parse_card_id
from agent.errors import StoreError
from agent.readers.events import CardPresented, ReaderUp
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkUp
from agent.terminal.inbox import OTHERS_MAX, TAPS_MAX, Inbox
from tests.conftest import CARD
from tests.parts.wire import TOWN, Wire

TAP = CardPresented(reader="counter", card=parse_card_id(CARD), tap=1)


def test_taps_go_ahead_of_messages() -> None:
    inbox = Inbox()
    for event in (LinkUp(), ReaderUp(reader="counter", location="x"), TAP):
        assert inbox.put(event)
    assert [inbox.get(0), inbox.get(0), inbox.get(0), inbox.get(0)] == [
        TAP,
        LinkUp(),
        ReaderUp(reader="counter", location="x"),
        None,
    ]


def test_a_full_queue_drops_the_newest_counts_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = Inbox()
    taken = [inbox.put(LinkUp()) for _ in range(OTHERS_MAX + 3)]
    assert taken.count(True) == OTHERS_MAX and inbox.dropped == 3
    assert caplog.text.count("Queue full") == 1
    assert [inbox.put(TAP) for _ in range(TAPS_MAX + 1)].count(
        True
    ) == TAPS_MAX  # messages do not take a tap's place


def test_no_green_without_a_commit(wire: Wire) -> None:
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="not written"):
        wire.box.tap(CARD)
    assert wire.box.lights == []
    wire.box.db.sql.execute("PRAGMA query_only = OFF")
    assert wire.box.entries() == []


def test_no_acknowledgement_of_a_message_without_a_commit(wire: Wire) -> None:
    wire.central.credit("a-1", 500, "r-1")
    wire.collect()
    topic, payload = wire.down.popleft()
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        wire.box.handle(Arrived(topic=topic, payload=payload, receipt=1))
    wire.box.restart()
    wire.connect()
    assert wire.box.balance("a-1") == 500


def test_the_central_acknowledges_what_it_has_written_and_nothing_else(wire: Wire) -> None:
    exchange = wire.central.exchange
    event = Arrived(
        topic=f"canteen/v1/{TOWN}/t/t-1/state",
        payload=json.dumps({"online": True}).encode(),
        receipt=7,
    )
    wire.central.books.sql.execute("PRAGMA query_only = ON")
    assert list(exchange.turn(event, wire.clock.instant)) == [DropLink()]
    wire.central.books.sql.execute("PRAGMA query_only = OFF")
    assert list(exchange.turn(event, wire.clock.instant)) == [Acknowledge(7)]
