"""A commit ends with an I/O error and the file cannot be read: the entry is on the disk, or not."""

import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence

import pytest

from agent.domain.card import parse_card_id
from agent.domain.ledger import RefusalReason
from agent.errors import StoreError
from agent.ops.control_messages import Closing, Meal, Status
from agent.readers.events import CardPresented, ReaderDown, ReaderUp, Show, Signal
from agent.store import lists, reads, writes
from agent.store.database import Database
from agent.sync.events import LinkUp, Publish
from agent.terminal.control import Request
from agent.terminal.core import Terminal
from agent.terminal.events import Effect, Event
from agent.terminal.storage_fault import REPORT_EVERY_MS, RETRY_MS, StorageFault
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import TOWN, Wire


class FailingDisk(Database):
    """A file whose next write ends with an I/O error, and which then cannot be opened again."""

    commits = True  # whether that write reaches the disk
    fails = False
    opens = True

    def write_one(self, statement: str, values: Sequence[object]) -> None:
        if not self.fails:
            return super().write_one(statement, values)
        self.fails = self.opens = False
        if self.commits:
            super().write_one(statement, values)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise self.fault("not written", error) from error

    def reopen(self) -> None:
        if not self.opens:
            raise StoreError("the disk is gone")
        super().reopen()


class Box:
    """A terminal on a failing disk."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        wire.box.db.close()
        self.db = FailingDisk(wire.box.path)
        writes.initialise(self.db, town=TOWN, terminal="t-1", epoch="1-0000000000000001")
        setup = dataclasses.replace(wire.box.setup(), open_ledger=lambda damage: self.db)
        self.core = Terminal(setup, wire.box.reading())

    def turn(self, event: Event | None = None) -> list[Effect]:
        self.wire.clock.pass_ms(RETRY_MS)
        return list(self.core.turn(event, self.wire.box.reading()))

    def tap(self, card: str = CARD) -> Signal:
        effects = self.turn(CardPresented(reader="counter", card=parse_card_id(card), tap=1))
        (show,) = [effect for effect in effects if isinstance(effect, Show)]
        return show.signal

    def kinds(self) -> list[str]:
        return [row.entry.kind for row in reads.entries(self.db, newest=100)]

    def incidents(self) -> list[str]:
        return [incident.kind for incident in lists.incidents(self.db)]


@pytest.fixture
def box(wire: Wire) -> Iterator[Box]:
    box = Box(wire)
    yield box
    box.db.close()


def test_a_meal_that_is_on_the_disk_stays_one_meal_and_someone_is_asked_to_look(box: Box) -> None:
    box.db.fails = True
    assert box.tap() is Signal.OUT_OF_ORDER
    box.db.opens = True
    box.turn()
    assert box.core.fault is None
    assert box.kinds() == ["meal"]
    assert sorted(box.incidents()) == ["store_fault", "unknown_commit"]
    assert box.tap() is Signal.ALREADY_SERVED


def test_a_meal_that_is_not_on_the_disk_becomes_a_refusal(box: Box) -> None:
    box.db.fails, box.db.commits = True, False
    assert box.tap() is Signal.OUT_OF_ORDER
    box.db.opens = True
    box.turn()
    assert box.kinds() == ["refusal"] and box.incidents() == ["store_fault"]
    assert box.tap() is Signal.SERVED


def test_the_next_childs_tap_is_recorded_even_if_recording_fails_at_first(box: Box) -> None:
    box.db.fails = True
    assert box.tap(CARD) is Signal.OUT_OF_ORDER
    assert box.tap(OTHER_CARD) is Signal.OUT_OF_ORDER
    box.db.opens = True
    box.db.sql.execute(
        "CREATE TRIGGER no_incident BEFORE INSERT ON incident"
        " BEGIN SELECT RAISE(ABORT, 'not yet'); END"
    )
    box.turn()
    assert box.core.fault is not None and box.kinds() == ["meal"]
    box.db.sql.execute("DROP TRIGGER no_incident")
    box.turn()
    assert box.kinds() == ["meal", "refusal"]
    last = reads.entries(box.db, newest=1)[0].entry
    assert (last.account, last.reason) == ("a-2", RefusalReason.OUT_OF_ORDER)
    assert sorted(box.incidents()) == ["store_fault", "unknown_commit"]


def test_a_meal_of_the_staff_with_an_uncertain_commit_is_an_incident_too(box: Box) -> None:
    box.db.fails = True
    request = Request(Meal(account="a-1"))
    box.turn(request)
    assert "out of order" in str(request.answers.get_nowait()["error"])
    assert box.tap(OTHER_CARD) is Signal.OUT_OF_ORDER
    box.db.opens = True
    box.turn()
    assert box.kinds() == ["meal", "refusal"]
    assert sorted(box.incidents()) == ["store_fault", "unknown_commit"]


def test_a_request_that_finds_the_file_broken_begins_a_fault(box: Box) -> None:
    box.db.sql.execute("DROP TABLE set_aside")
    request = Request(Status())
    box.turn(request)
    assert "out of order" in str(request.answers.get_nowait()["error"])
    assert box.core.fault is not None


def test_a_request_outside_the_limits_is_refused_and_the_file_works_on(box: Box) -> None:
    request = Request(Closing(trays=10**9))
    box.turn(request)
    assert "outside the limits" in str(request.answers.get_nowait()["error"])
    assert box.core.fault is None


def test_readers_are_reported_while_the_file_cannot_be_used(box: Box) -> None:
    box.turn(LinkUp())
    box.db.fails = True
    box.tap()
    (down,) = box.turn(ReaderDown(reader="counter", reason="unplugged"))
    (up,) = box.turn(ReaderUp(reader="counter", location="usb"))
    assert isinstance(down, Publish) and b'"counter":"down"' in down.payload
    assert isinstance(up, Publish) and b'"counter":"ready"' in up.payload


def test_a_second_reason_soon_after_the_first_is_reported_later() -> None:
    fault = StorageFault.begin(StoreError("locked"), None, 0)
    assert not fault.is_news(StoreError("disk full"), 5_000)
    assert fault.is_news(StoreError("disk full"), REPORT_EVERY_MS)
    assert not fault.is_news(StoreError("disk full"), 3 * REPORT_EVERY_MS)


def test_the_pause_is_short_again_when_the_file_is_open() -> None:
    fault = StorageFault.begin(StoreError("locked"), None, 0)
    for _ in range(5):
        fault.trying(0, is_closed=True)
    assert fault.pause_ms > RETRY_MS
    fault.trying(0, is_closed=False)
    assert fault.pause_ms == RETRY_MS
