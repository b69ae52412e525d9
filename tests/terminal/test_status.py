"""What a terminal reports of itself: in `status`, to systemd, and in the `state` message."""

from agent.readers.events import ReaderUp
from agent.store.standing import standing
from agent.terminal import status
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


def test_the_state_message_says_what_waits_since_when(wire: Wire) -> None:
    wire.disconnect()
    wire.box.tap(CARD)
    down(wire, b"?")
    state = status.state(wire.box.db, None, "")
    assert (state.online, state.pending, state.set_aside, state.incidents) == (True, 1, 1, 0)
    assert state.oldest_pending_at == wire.clock.instant
    assert state.last_contact_at == standing(wire.box.db).last_contact_at
