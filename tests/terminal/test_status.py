"""What a terminal reports of itself: in `status`, to systemd, and in the `state` message."""

import msgspec
from msgspec import Struct

from agent.errors import StoreError
from agent.readers.events import ReaderDown, ReaderUp
from agent.store.standing import standing
from agent.sync.events import Publish
from agent.sync.messages import StateFault, TerminalState, decode, encode
from agent.terminal import status
from agent.terminal.core import STATE_EVERY_MS
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import TODAY, Wire, down


def report_reader(wire: Wire) -> None:
    list(wire.box.core.turn(ReaderUp(reader="counter", location="usb"), wire.box.reading()))


def test_the_status_of_a_terminal_at_rest(wire: Wire) -> None:
    report_reader(wire)
    answer = wire.box.ask("status")
    own = standing(wire.box.db)
    assert {name: answer[name] for name in ("town", "terminal", "epoch", "generation")} == {
        "town": own.town,
        "terminal": own.terminal,
        "epoch": own.epoch,
        "generation": own.generation,
    }
    assert (answer["clock"], answer["day"], answer["link"]) == ("synced", TODAY, "up")
    assert (answer["accounts"], answer["cards"]) == (2, 2)
    assert answer["other_records"] == {"policy": 1, "service": 1}
    assert answer["readers"] == {"counter": "ready"}
    assert (answer["pending"], answer["oldest_pending_at"]) == (0, None)
    assert answer["software"] == "test" and answer["mirror"] is None


def test_the_status_shows_the_age_of_data_and_of_pending_entries(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    tapped_at = wire.clock.instant
    wire.clock.pass_ms(90_000)
    wire.box.tap(OTHER_CARD)
    answer = wire.box.ask("status")
    assert answer["last_contact_s"] == 90
    assert (answer["last"], answer["acked"], answer["pending"]) == (2, 0, 2)
    assert answer["oldest_pending_at"] == tapped_at
    assert answer["link"] == "down: cut"


def test_the_status_counts_set_aside_messages_and_incidents(wire: Wire) -> None:
    down(wire, b"?")
    answer = wire.box.ask("status")
    assert (answer["set_aside"], answer["notes"], answer["incidents"]) == (1, 0, 0)


def test_the_summary_for_systemd_is_one_line(wire: Wire) -> None:
    report_reader(wire)
    assert wire.box.core.summary() == "1 readers ready; link up; 0 entries wait for the central"
    wire.disconnect()
    wire.box.tap(CARD)
    expected = "1 readers ready; link down: cut; 1 entries wait for the central"
    assert wire.box.core.summary() == expected


def newest_state(wire: Wire) -> TerminalState:
    payload = [payload for topic, payload in wire.log if topic.endswith("/t-1/state")][-1]
    return decode(payload, TerminalState)


def test_the_state_message_says_what_waits_since_when(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    down(wire, b"?")
    state = status.state(wire.box.db, None, "", {})
    assert (state.online, state.pending, state.set_aside, state.incidents) == (True, 1, 1, 0)
    assert state.oldest_pending_at == wire.clock.instant
    assert state.last_contact_at == standing(wire.box.db).last_contact_at


def test_the_state_message_has_what_a_map_of_terminals_shows(wire: Wire) -> None:
    report_reader(wire)
    wire.box.tap(CARD)
    tapped_at = wire.clock.instant
    wire.box.ask("closing", trays=1)  # no tap
    wire.pass_time(STATE_EVERY_MS)
    state = newest_state(wire)
    assert (state.software, state.clock, state.readers) == ("test", "synced", {"counter": "ready"})
    assert (state.last_tap_at, state.faults) == (tapped_at, [])
    assert (state.temperature_c, state.disk_free_mb) == (47, 24_310)


def test_the_state_message_names_each_fault_with_its_id_and_words(wire: Wire) -> None:
    broken = ReaderDown(reader="counter", reason="unplugged; plug it in")
    (effect,) = wire.box.core.turn(broken, wire.box.reading())
    assert isinstance(effect, Publish)
    assert decode(effect.payload, TerminalState).faults == [
        StateFault(id="reader", subject="counter", words="down: unplugged; plug it in")
    ]
    (effect, *_) = wire.box.core.turn(
        ReaderUp(reader="counter", location="usb"), wire.box.reading()
    )
    assert isinstance(effect, Publish)
    assert decode(effect.payload, TerminalState).faults == []


def test_a_reader_that_has_not_reported_since_the_start_is_no_fault_yet(wire: Wire) -> None:
    state = newest_state(wire)
    assert (state.readers, state.faults) == ({"counter": "down"}, [])


def test_a_fault_of_the_mirror_is_sent_when_it_begins_and_when_it_ends(wire: Wire) -> None:
    report_reader(wire)
    wire.box.core.mirror = "no space left"
    wire.settle()
    assert [(fault.id, fault.words) for fault in newest_state(wire).faults] == [
        ("mirror", "no space left")
    ]
    wire.box.core.mirror = "ready"
    wire.settle()
    assert newest_state(wire).faults == []


def test_a_terminal_whose_file_fails_says_so_in_its_faults(wire: Wire) -> None:
    report_reader(wire)
    error = StoreError("disk full")
    effects = wire.box.core.take_fault(error, wire.box.reading())
    (state,) = [effect.payload for effect in effects if isinstance(effect, Publish)]
    assert decode(state, TerminalState).faults == [StateFault(id="file", words="disk full")]


def test_an_older_central_reads_a_state_of_this_version() -> None:
    class Older(Struct, frozen=True, kw_only=True):
        """`TerminalState` before it had faults."""

        online: bool
        pending: int | None = None

    state = TerminalState(online=True, pending=3, faults=[StateFault(id="disk", words="full")])
    assert msgspec.json.decode(encode(state), type=Older) == Older(online=True, pending=3)
