"""The running central: one message, one transaction, one answer; pushes; what it sets aside."""

import json
import logging
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from agent.central.books.file import FileBooks
from agent.central.books.incidents import SET_ASIDE_PAYLOAD_BYTES_MAX, TOPIC_LENGTH_MAX
from agent.central.office.terminals import order, retire_terminal
from agent.central.server import EVENTS_MAX, event_queue
from agent.errors import REASON_LENGTH_MAX, CentralError
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkDown, LinkUp, Publish
from agent.sync.limits import Limits
from tests.conftest import CARD
from tests.parts.broker import Listener, Mosquitto
from tests.parts.foreign_terminal import NAME, START, ForeignTerminal, meal, sealed
from tests.parts.process import CENTRAL, Process, wait_for
from tests.parts.town import Access, run_central
from tests.parts.town import Central as CentralProcess
from tests.parts.wire import TOWN, Wire

TOPIC = f"canteen/v1/{TOWN}/t/{NAME}"


def batch() -> Arrived:
    message = {"epoch": "1-00000000000000aa", "prev": START, "entries": [sealed(meal(), 1, START)]}
    return Arrived(topic=f"{TOPIC}/entries", payload=json.dumps(message).encode(), receipt=7)


@pytest.fixture
def other(wire: Wire) -> Iterator[sqlite3.Connection]:
    """Another process that works on the same file."""
    with closing(sqlite3.connect(wire.central.path, isolation_level=None)) as connection:
        yield connection


# C21
def test_a_message_is_acknowledged_after_it_is_booked_and_then_answered(
    foreign: ForeignTerminal, other: sqlite3.Connection
) -> None:
    effects = foreign.central.exchange.turn(batch(), foreign.central.clock.instant)
    assert next(effects) == Acknowledge(7)
    booked = other.execute("SELECT count(*) FROM entry WHERE terminal = ?", (NAME,))
    assert booked.fetchone() == (1,)
    answer = next(effects)
    assert isinstance(answer, Publish) and answer.topic == f"{TOPIC}/changes"


def test_a_message_that_cannot_be_written_is_not_acknowledged_and_drops_the_link(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.central.books.sql.execute("PRAGMA query_only = ON")
    turn = foreign.central.exchange.turn(batch(), foreign.central.clock.instant)
    assert list(turn) == [DropLink()]
    assert "not booked" in caplog.text and "deliver it again" in caplog.text


# C42
def test_booking_and_answer_are_one_transaction(foreign: ForeignTerminal) -> None:
    """Otherwise a balance could change in between and no longer fit `acked`."""
    statements: list[str] = []
    foreign.central.books.sql.set_trace_callback(statements.append)
    foreign.send(meal())
    foreign.central.books.sql.set_trace_callback(None)
    begun = [text for text in statements if text.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
    assert begun == ["BEGIN IMMEDIATE", "COMMIT"]
    assert any("FROM price, account" in text for text in statements)


# C89
def test_the_retained_state_says_whether_the_central_is_online(wire: Wire) -> None:
    (publish,) = wire.central.exchange.turn(LinkUp(), wire.clock.instant)
    assert isinstance(publish, Publish) and publish.retain
    assert json.loads(publish.payload)["online"] is True
    offline = wire.central.exchange.state(wire.clock.instant, online=False)
    assert json.loads(offline.payload)["online"] is False


def test_what_another_process_commits_is_pushed(wire: Wire, other: sqlite3.Connection) -> None:
    turn = wire.central.exchange.turn
    assert list(turn(None, wire.clock.instant)) == []
    other.execute("UPDATE account SET balance = 1, p = 1000 WHERE id = 'a-1'")
    other.execute("UPDATE central SET position = 1000")
    (pushed,) = turn(None, wire.clock.instant)
    assert isinstance(pushed, Publish) and json.loads(pushed.payload)["to"] == 1000
    assert list(turn(None, wire.clock.instant)) == []


def test_an_order_is_pushed_though_no_record_changed(wire: Wire, tmp_path: Path) -> None:
    with closing(FileBooks(wire.central.path)) as office:
        order(office, "t-1", "new_epoch")
    (pushed,) = wire.central.exchange.turn(None, wire.clock.instant)
    assert isinstance(pushed, Publish)
    assert json.loads(pushed.payload)["order"]["do"] == "new_epoch"


def test_while_another_process_locks_the_file_a_push_waits_for_the_next_look(
    wire: Wire, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    wire.central.books.sql.execute("PRAGMA busy_timeout = 1")
    other.execute("UPDATE account SET balance = 1, p = 1000 WHERE id = 'a-1'")
    other.execute("UPDATE central SET position = 1000")
    other.execute("BEGIN EXCLUSIVE")
    assert list(wire.central.exchange.turn(None, wire.clock.instant)) == []
    assert "Changes not pushed" in caplog.text
    other.execute("ROLLBACK")
    assert len(list(wire.central.exchange.turn(None, wire.clock.instant))) == 1


def test_a_terminal_that_went_offline_is_not_pushed_to(wire: Wire) -> None:
    topic = f"canteen/v1/{TOWN}/t/t-1/state"
    wire.central.exchange.receive(topic, b'{"online":false}', wire.clock.instant)
    wire.central.credit("a-1", 1, "r-1")
    assert wire.central.exchange.push(wire.clock.instant) == []


def test_a_terminals_state_is_kept_as_it_came(foreign: ForeignTerminal) -> None:
    foreign.receive("state", {"online": True, "pending": 7})
    (state,) = foreign.central.books.rows("SELECT state FROM terminal WHERE id = ?", (NAME,))[0]
    assert json.loads(state) == {"online": True, "pending": 7}


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("canteen/v1/elsewhere/t/t-1/hello", "not a topic of a terminal of this town"),
        (f"{TOPIC}/changes", "only the central publishes on this topic"),
        (f"{TOPIC}/hello", "not a message of this kind"),
    ],
)
def test_a_message_that_cannot_be_used_is_set_aside_with_the_reason(
    foreign: ForeignTerminal, topic: str, reason: str
) -> None:
    assert foreign.central.exchange.receive(topic, b"{}", foreign.central.clock.instant) == []
    assert str(foreign.central.value("SELECT reason FROM set_aside")).startswith(reason)


def test_a_flooding_message_is_set_aside_in_part(foreign: ForeignTerminal) -> None:
    payload = b'{"online": "' + b"x" * 100_000 + b'"}'
    foreign.central.exchange.receive("x" * 60_000, payload, foreign.central.clock.instant)
    (row,) = foreign.central.books.rows(
        "SELECT length(topic), bytes, length(payload) FROM set_aside"
    )
    assert row == (TOPIC_LENGTH_MAX, len(payload), SET_ASIDE_PAYLOAD_BYTES_MAX)


def test_the_reason_of_a_message_set_aside_is_cut_in_books_and_log(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    """A decoder quotes what it read: a message of 256 KiB would be a reason of 256 KiB."""
    hello = json.loads(str(foreign.central.value("SELECT hello FROM terminal WHERE id = ?", NAME)))
    payload = json.dumps({**hello, "clock": "x" * 100_000}).encode()
    foreign.central.exchange.receive(f"{TOPIC}/hello", payload, foreign.central.clock.instant)
    assert foreign.central.value("SELECT length(reason) FROM set_aside") == REASON_LENGTH_MAX
    assert len(caplog.messages[-1]) < 2 * REASON_LENGTH_MAX


def test_a_restored_central_says_so_to_all_terminals_and_in_the_log(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture
) -> None:
    hello = json.loads(str(foreign.central.value("SELECT hello FROM terminal WHERE id = ?", NAME)))
    payload = json.dumps({**hello, "generation": "ab" * 16}).encode()
    sent = foreign.central.exchange.receive(
        f"{TOPIC}/hello", payload, foreign.central.clock.instant
    )
    assert [message.topic for message in sent] == [
        f"{TOPIC}/changes",
        foreign.central.exchange.topics.central_state,
    ]
    assert "restored from a backup" in caplog.text


def test_a_lost_broker_is_logged(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert list(wire.central.exchange.turn(LinkDown("cut"), wire.clock.instant)) == []
    assert "Connection to the broker lost: cut" in caplog.text


def test_a_retired_terminal_is_still_booked(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    wire.box.tap(CARD)
    wire.settle()
    assert wire.central.balance("a-1") == -366


def test_a_flood_of_messages_waits_at_the_link(wire: Wire) -> None:
    """A queue without a limit would hold a day's backlog in memory."""
    events = event_queue()
    for _ in range(EVENTS_MAX):
        events.put_nowait(LinkUp())
    with pytest.raises(queue.Full):
        events.put_nowait(LinkUp())


def test_two_towns_on_one_broker_stay_connected(tmp_path: Path) -> None:
    """A broker ends the older of two connections with one client id."""
    with Mosquitto(tmp_path / "broker") as broker, ExitStack() as stack:
        centrals = []
        for name in ("borgofiorito", "altrove"):
            folder = tmp_path / name
            folder.mkdir()
            run_central("--db", folder / "central.db", "init", "--town", name)
            db = folder / "central.db"
            command: list[str | Path] = [CENTRAL, "--db", db, "serve", "--broker", broker.url]
            centrals.append(stack.enter_context(Process(command, folder / "log")))
            wait_for(lambda: "Connected to the broker." in centrals[-1].output(), "the connection")
        with Listener(broker.port, "canteen/v1/+/central/state") as listener:
            wait_for(lambda: len(listener.on("central/state")) == 2, "both states")
            assert all(json.loads(payload)["online"] for payload in listener.on("central/state"))
        assert not any("lost" in central.output() for central in centrals)


def test_a_central_process_serves_until_it_is_stopped_and_then_is_offline(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        central = CentralProcess(tmp_path / "central", Access(broker.url))
        central.start()
        assert central.process is not None
        process = central.process
        wait_for(lambda: "Connected to the broker." in process.output(), "the connection")
        central.stop()
        assert "Central stopped." in process.output()


def test_the_state_is_published_while_another_process_locks_the_file(
    foreign: ForeignTerminal, other: sqlite3.Connection
) -> None:
    foreign.central.books.sql.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN EXCLUSIVE")
    (state,) = foreign.central.exchange.turn(LinkUp(), foreign.central.clock.instant)
    assert isinstance(state, Publish)
    assert state.topic == foreign.central.exchange.topics.central_state
    other.execute("ROLLBACK")


def test_a_push_that_fails_for_one_terminal_moves_no_cursor(two: Wire) -> None:
    """Else the other terminal got the top-up only with its next hello."""
    two.central.credit("a-1", 1_000, "p-1")
    sql = two.central.books.sql
    snapshots: list[str] = []
    sql.set_trace_callback(lambda statement: snapshots.append(statement[:5]))
    # the disk fails from the second terminal's snapshot on
    sql.set_progress_handler(lambda: snapshots.count("BEGIN") >= 2, 1)
    with pytest.raises(CentralError):
        two.central.exchange.push(two.clock.instant)
    sql.set_trace_callback(None)
    sql.set_progress_handler(None, 1)
    assert len(two.central.exchange.push(two.clock.instant)) == 2


def test_a_fault_of_the_file_is_logged_once_and_ends(
    foreign: ForeignTerminal, caplog: pytest.LogCaptureFixture, other: sqlite3.Connection
) -> None:
    foreign.central.books.sql.close()  # as after a rollback that the disk refused
    at = foreign.central.clock.instant
    path = foreign.central.path
    path.rename(path.with_suffix(".away"))
    for _ in range(3):
        assert list(foreign.central.exchange.turn(None, at)) == []
    assert len([line for line in caplog.messages if "Changes not pushed" in line]) == 1
    path.with_suffix(".away").rename(path)
    list(foreign.central.exchange.turn(None, at))
    assert Acknowledge(7) in list(foreign.central.exchange.turn(batch(), at))


def test_a_record_that_fits_into_no_packet_stays_behind_and_is_an_incident(
    foreign: ForeignTerminal,
) -> None:
    """Meals are booked and acknowledged nevertheless: the broker takes 430 bytes."""
    at = foreign.central.clock.instant
    list(foreign.central.exchange.turn(LinkUp(Limits(packet_bytes=430)), at))
    answer = foreign.hello()
    assert "records" not in answer and answer["to"] == 0 and "more" not in answer
    assert foreign.send(meal())["acked"]["seq"] == 1
    rows = foreign.central.books.rows("SELECT terminal, detail FROM incident")
    ((terminal, detail),) = rows
    assert terminal == NAME and "is too large for the broker" in detail
    list(foreign.central.exchange.turn(LinkUp(), at))
    assert foreign.hello()["records"]
