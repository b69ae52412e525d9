"""The core: no signal and no acknowledgement without a commit, and a state that is never silent."""

import json

import msgspec
import pytest

from agent.domain.card import parse_card_id
from agent.errors import StoreError
from agent.readers.events import CardPresented, CardUnreadable, ReaderDown, ReaderUp, Show, Signal
from agent.store import lists
from agent.store.standing import standing
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkUp, Publish
from agent.sync.messages import TerminalState, decode
from agent.sync.session import RETRY_FIRST_MS
from agent.terminal.core import STATE_EVERY_MS
from agent.terminal.events import Effect, Event
from agent.terminal.status import last_will
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.wire import TOWN, Wire, down

DAY_MS = 24 * 3_600_000
STATE_TOPIC = f"canteen/v1/{TOWN}/t/t-1/state"


def turn(wire: Wire, event: Event | None = None) -> list[Effect]:
    return list(wire.box.core.turn(event, wire.box.reading()))


def tapped(card: str = CARD) -> CardPresented:
    return CardPresented(reader="counter", card=parse_card_id(card), tap=1)


def states(effects: list[Effect]) -> list[TerminalState]:
    published = [effect for effect in effects if isinstance(effect, Publish)]
    return [decode(sent.payload, TerminalState) for sent in published if sent.topic == STATE_TOPIC]


# Order of commit and effect


def test_a_tap_that_is_not_committed_has_no_signal(wire: Wire) -> None:
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="not written"):
        wire.box.tap(CARD)
    assert wire.box.lights == []
    wire.box.db.sql.execute("PRAGMA query_only = OFF")
    assert wire.box.entries() == []


def test_the_entry_is_on_the_disk_before_the_signal_is_shown(wire: Wire) -> None:
    effects = wire.box.core.turn(tapped(), wire.box.reading())
    shown = next(iter(effects))
    assert shown == Show(reader="counter", tap=1, signal=Signal.SERVED)
    wire.box.restart()  # as after a power cut between the signal and the next effect
    assert len(wire.box.entries()) == 1


def test_a_card_whose_light_the_process_did_not_show_gets_it_after_the_start(wire: Wire) -> None:
    next(iter(wire.box.core.turn(tapped(), wire.box.reading())))
    wire.clock.pass_ms(2_000)
    wire.box.restart()
    shown = turn(wire, tapped())[0]
    assert shown == Show(reader="counter", tap=1, signal=Signal.SERVED)
    assert len(wire.box.entries()) == 1


def test_a_message_that_is_not_committed_is_not_acknowledged(wire: Wire) -> None:
    wire.central.credit("a-1", 500, "r-1")
    wire.collect()
    topic, payload = wire.down.popleft()
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        wire.box.handle(Arrived(topic=topic, payload=payload, receipt=1))
    wire.box.restart()
    wire.connect()
    assert wire.box.balance("a-1") == 500


def test_the_central_acknowledges_only_what_it_has_committed(wire: Wire) -> None:
    exchange = wire.central.exchange
    payload = json.dumps({"online": True}).encode()
    event = Arrived(topic=STATE_TOPIC, payload=payload, receipt=7)
    wire.central.books.sql.execute("PRAGMA query_only = ON")
    assert list(exchange.turn(event, wire.clock.instant)) == [DropLink()]
    wire.central.books.sql.execute("PRAGMA query_only = OFF")
    assert list(exchange.turn(event, wire.clock.instant)) == [Acknowledge(7)]


# The state message


def test_the_state_is_published_when_the_link_comes_up_and_regularly(wire: Wire) -> None:
    wire.disconnect()
    (state,) = states(turn(wire, LinkUp()))
    assert (state.online, state.software, state.pending) == (True, "test", 0)
    wire.clock.pass_ms(STATE_EVERY_MS - 1)
    assert states(turn(wire)) == []
    wire.clock.pass_ms(1)
    assert len(states(turn(wire))) == 1


def test_the_state_follows_a_reader_at_once_while_the_link_is_up(wire: Wire) -> None:
    turn(wire)
    (state,) = states(turn(wire, ReaderUp(reader="counter", location="usb")))
    assert state.readers == {"counter": "ready"}
    turn(wire, LinkDown("cut"))
    assert turn(wire, ReaderDown(reader="counter", reason="unplugged")) == []
    (state,) = states(turn(wire, LinkUp()))
    assert state.readers == {"counter": "down"}


def test_the_last_will_is_offline_on_the_topic_of_the_state() -> None:
    topic, payload = last_will(TOWN, "t-1")
    assert topic == STATE_TOPIC
    assert msgspec.json.decode(payload) == {"online": False}


def test_an_unreadable_card_is_in_the_status_of_its_reader(wire: Wire) -> None:
    turn(wire, ReaderUp(reader="counter", location="usb"))
    turn(wire, CardUnreadable(reader="counter", fault="random", sentence="a phone", tap=1))
    readers = wire.box.ask("status")["readers"]
    assert readers == {"counter": f"ready; last unreadable card {wire.clock.instant}: a phone"}


# Waking


def test_the_next_turn_is_due_when_a_retry_is(wire: Wire) -> None:
    turn(wire)
    turn(wire, tapped())
    assert wire.box.core.wake_ms(wire.box.reading()) == RETRY_FIRST_MS
    turn(wire, LinkDown("cut"))
    assert wire.box.core.wake_ms(wire.box.reading()) is None


def test_a_digest_is_compared_without_a_wait(wire: Wire) -> None:
    wire.clock.pass_ms(300_000)
    wire.settle()
    changes = [payload for topic, payload in wire.log if topic.endswith("/changes")]
    down(wire, changes[-1])
    assert wire.box.core.wake_ms(wire.box.reading()) == 0


# Starting and damaged records


def test_the_time_after_a_restart_is_not_before_the_newest_entry(wire: Wire) -> None:
    wire.box.tap(CARD)
    newest = wire.box.entries()[-1].at
    wire.disconnect()
    wire.clock.now, wire.box.synced, wire.box.boot = wire.clock.now.replace(year=1970), False, "b2"
    wire.box.restart()
    assert wire.box.moment().at >= newest


def test_the_time_after_a_restart_is_not_before_the_last_contact(wire: Wire) -> None:
    contact_at = standing(wire.box.db).last_contact_at
    wire.disconnect()
    wire.clock.now, wire.box.synced, wire.box.boot = wire.clock.now.replace(year=1970), False, "b2"
    wire.box.restart()
    assert contact_at is not None and wire.box.moment().at >= contact_at


@pytest.mark.parametrize(
    "body", [b'{"balance":1', b"\xff\xfe", b'{"balance":"x"}', b'{"balance":1,"id":"\xff"}']
)
@pytest.mark.parametrize("kind", ["account", "card", "policy", "service"])
def test_a_tap_is_answered_without_a_damaged_record_and_it_is_requested_again(
    wire: Wire, kind: str, body: bytes
) -> None:
    """After a flipped bit a record may be no JSON, no text or no record."""
    wire.box.tap(CARD)
    wire.settle()
    wire.clock.pass_ms(DAY_MS)
    wire.box.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    change = "UPDATE record SET body = CAST(? AS TEXT) WHERE kind = ?"
    wire.box.db.sql.execute(change, (body, kind))
    wire.box.restart()
    (shown,) = [effect for effect in turn(wire, tapped()) if isinstance(effect, Show)]
    # Without a card or an account the meal is one of an unknown card.
    assert shown.signal is (Signal.REFUSED if kind == "service" else Signal.SERVED)
    assert {row.kind for row in lists.incidents(wire.box.db)} == {"record"}
    wire.disconnect()
    wire.connect()
    wire.settle()
    assert wire.box.balance("a-1") == wire.central.balance("a-1")
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_closing_writes_the_log_into_the_file(wire: Wire) -> None:
    wire.box.tap(OTHER_CARD)
    wire.box.core.close()
    assert b'"kind":"meal"' in wire.box.path.read_bytes()
    wire.box.start()
