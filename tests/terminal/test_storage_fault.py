"""While the file fails nothing is green or acknowledged; when it works, service continues."""

import contextlib
import dataclasses
import itertools
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec
import pytest

from agent.domain.card import card_token, parse_card_id
from agent.domain.ledger import RefusalReason
from agent.errors import StoreError
from agent.ops.control_messages import Status, Storno
from agent.readers.events import CardPresented, ReaderDown, ReaderUp, Show, Signal
from agent.store import lists
from agent.store.database import Database
from agent.store.verify import verify
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkUp, Publish
from agent.terminal.control import Request
from agent.terminal.core import Terminal
from agent.terminal.events import Effect, Event
from agent.terminal.storage_fault import (
    KEPT_TAPS_MAX,
    REOPEN_MS_MAX,
    REPORT_EVERY_MS,
    RETRY_MS,
    StorageFault,
)
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import KEY, Wire
from tests.store.disk import change_entries


def turn(wire: Wire, event: Event | None = None) -> list[Effect]:
    wire.clock.pass_ms(RETRY_MS)
    return list(wire.box.core.turn(event, wire.box.reading()))


def tap(wire: Wire, card: str) -> Signal:
    effects = turn(wire, CardPresented(reader="counter", card=parse_card_id(card), tap=1))
    (shown,) = [effect for effect in effects if isinstance(effect, Show)]
    return shown.signal


def fault_details(wire: Wire) -> list[str]:
    return [row.detail for row in lists.incidents(wire.box.db) if row.kind == "store_fault"]


@contextmanager
def locked(wire: Wire) -> Iterator[None]:
    """A technician's sqlite3 holds the file."""
    wire.box.db.sql.execute("PRAGMA busy_timeout = 10")
    with contextlib.closing(sqlite3.connect(wire.box.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def only_readable(wire: Wire) -> Iterator[None]:
    """The SD card has set itself read-only: no file can be created or changed."""
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    saved = wire.box.path.rename(wire.box.path.with_suffix(".saved"))  # it cannot be opened again
    wire.box.path.mkdir()
    yield
    wire.box.path.rmdir()
    saved.rename(wire.box.path)


@contextmanager
def removed(wire: Wire) -> Iterator[None]:
    """File and write-ahead log are removed, and a folder of that name prevents a restore."""
    for end in ("", "-wal", "-shm"):
        wire.box.path.with_name(wire.box.path.name + end).unlink()
    wire.box.path.mkdir()
    yield
    wire.box.path.rmdir()


@pytest.mark.parametrize("fault", [locked, only_readable, removed])
def test_while_the_file_fails_nothing_is_green_and_afterwards_service_continues(
    wire: Wire,
    fault: Callable[[Wire], AbstractContextManager[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    assert tap(wire, CARD) is Signal.SERVED
    wire.settle()
    wire.central.credit("a-1", 500, "r-1")
    wire.collect()
    topic, payload = wire.down.popleft()
    with fault(wire):
        assert [tap(wire, OTHER_CARD) for _ in range(2)] == [Signal.OUT_OF_ORDER] * 2
        effects = turn(wire, Arrived(topic=topic, payload=payload, receipt=7))
        assert not any(isinstance(effect, Acknowledge) for effect in effects)
        request = Request(Status())
        turn(wire, request)
        assert str(request.answers.get_nowait()["error"]).startswith("out of order: ")
        assert wire.box.core.summary().startswith("OUT OF ORDER: ")
    assert caplog.text.count("Out of order: ") == 1  # one log line, however many taps
    assert DropLink() in turn(wire)  # the broker sends again what was not acknowledged
    assert tap(wire, OTHER_CARD) is Signal.SERVED
    assert tap(wire, CARD) is Signal.ALREADY_SERVED  # every green meal is still recorded
    turn(wire, Arrived(topic=topic, payload=payload, receipt=8))
    assert wire.box.balance("a-1") == 500 - 366
    assert fault_details(wire)[0].endswith("2 taps got 'out of order', 2 are recorded")
    assert list(verify(wire.box.db)) == []


def test_taps_out_of_order_reach_the_central_each_with_its_time(wire: Wire) -> None:
    times = []
    with locked(wire):
        for card in (CARD, OTHER_CARD):
            tap(wire, card)
            times.append(wire.box.moment().at)
    turn(wire)
    wire.connect()
    wire.settle()
    refusals = wire.box.entries()
    assert [(entry.account, entry.cents, entry.at) for entry in refusals] == [
        ("a-1", 0, times[0]),
        ("a-2", 0, times[1]),
    ]
    assert times[0] < times[1]
    assert {entry.reason for entry in refusals} == {RefusalReason.OUT_OF_ORDER}
    booked = "SELECT count(*) FROM entry WHERE body ->> '$.reason' = 'out_of_order'"
    assert wire.central.value(booked) == 2


def test_a_kept_tap_is_a_token_not_a_card_id(wire: Wire) -> None:
    with locked(wire):
        tap(wire, CARD)
        fault = wire.box.core.fault
        assert fault is not None
        assert [token for token, _ in fault.kept] == [card_token(KEY, parse_card_id(CARD))]


def test_the_first_kept_taps_max_taps_are_recorded_and_all_are_counted(wire: Wire) -> None:
    event = CardPresented(reader="counter", card=parse_card_id(CARD), tap=1)
    with locked(wire):
        turn(wire)
        for _ in range(KEPT_TAPS_MAX + 5):
            (shown, *_) = wire.box.core.turn(event, wire.box.reading())
            assert isinstance(shown, Show) and shown.signal is Signal.OUT_OF_ORDER
    turn(wire)
    assert len(wire.box.entries()) == KEPT_TAPS_MAX
    (detail,) = fault_details(wire)
    counts = f"{KEPT_TAPS_MAX + 5} taps got 'out of order', {KEPT_TAPS_MAX} are recorded"
    assert detail.endswith(counts)


def test_taps_that_cannot_be_recorded_yet_are_kept_and_recorded_once(wire: Wire) -> None:
    with locked(wire):
        for card in (CARD, OTHER_CARD):
            assert tap(wire, card) is Signal.OUT_OF_ORDER
    stop = "CREATE TRIGGER stop BEFORE INSERT ON entry WHEN NEW.seq = 2"
    wire.box.db.sql.execute(f"{stop} BEGIN SELECT RAISE(ABORT, 'not yet'); END")
    turn(wire)
    assert wire.box.entries() == [] and wire.box.core.fault is not None
    wire.box.db.sql.execute("DROP TRIGGER stop")
    turn(wire)
    assert [entry.account for entry in wire.box.entries()] == ["a-1", "a-2"]


def test_another_reason_is_logged_at_most_once_in_report_every_ms(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = StorageFault.begin(StoreError("locked"), None, 0)
    assert not fault.is_news(StoreError("locked"), REPORT_EVERY_MS + 10)
    assert not fault.is_news(StoreError("full"), REPORT_EVERY_MS - 1)
    assert fault.summary == "OUT OF ORDER: full"
    assert fault.is_news(StoreError("gone"), REPORT_EVERY_MS)
    assert not fault.is_news(StoreError("full"), 2 * REPORT_EVERY_MS - 1)
    assert fault.is_news(StoreError("locked"), 2 * REPORT_EVERY_MS)
    assert [record.message for record in caplog.records] == [
        "Out of order: locked",
        "Still out of order: gone",
        "Still out of order: locked",
    ]


def test_a_file_that_cannot_be_opened_is_reported_and_tried_up_to_reopen_ms_max(wire: Wire) -> None:
    wire.box.db.close()
    tries: list[int] = []

    def open_ledger(known_damage: str | None) -> Database:
        tries.append(wire.clock.mono_ms)
        raise StoreError("locked")

    terminal = Terminal(
        dataclasses.replace(wire.box.setup(), open_ledger=open_ledger), wire.box.reading()
    )

    def turned(event: Event | None) -> list[Effect]:
        return list(terminal.turn(event, wire.box.reading()))

    assert turned(ReaderUp(reader="counter", location="usb")) == []
    (state,) = turned(LinkUp())
    assert isinstance(state, Publish)
    assert msgspec.json.decode(state.payload)["readers"] == {"counter": "ready"}
    assert msgspec.json.decode(state.payload)["fault"] == "locked"
    for _ in range(70):
        wire.clock.pass_ms(1_000)
        turned(None)
    waits = [later - before for before, later in itertools.pairwise(tries)]
    assert waits == [1_000, 2_000, 4_000, 8_000, *[REOPEN_MS_MAX] * 3]


def test_the_state_message_has_the_reason_while_the_file_fails(wire: Wire) -> None:
    with locked(wire):
        effects = turn(wire, CardPresented(reader="counter", card=parse_card_id(CARD), tap=1))
    (state,) = [effect for effect in effects if isinstance(effect, Publish)]
    assert "locked" in msgspec.json.decode(state.payload)["fault"]
    (again,) = [
        effect
        for effect in turn(wire)
        if isinstance(effect, Publish) and effect.topic.endswith("/state")
    ]
    assert "fault" not in msgspec.json.decode(again.payload)


def test_a_removed_write_ahead_log_costs_no_entry(wire: Wire) -> None:
    assert tap(wire, CARD) is Signal.SERVED
    os.unlink(f"{wire.box.path}-wal")
    assert tap(wire, OTHER_CARD) is Signal.OUT_OF_ORDER
    assert tap(wire, OTHER_CARD) is Signal.SERVED
    wire.box.restart()
    assert [entry.kind for entry in wire.box.entries()] == ["meal", "refusal", "meal"]


def test_a_full_disk_takes_a_week_of_meals(wire: Wire) -> None:
    """The headroom is in the file: SQLite may not add a page to it."""
    wire.box.db.make_headroom()
    wire.box.db.sql.execute(
        f"PRAGMA max_page_count = {wire.box.db.only_row('PRAGMA page_count')[0]}"
    )
    for n in range(2_500 // 2):
        wire.clock.pass_ms(1 if n % 250 else 24 * 3_600_000)
        for card in (CARD, OTHER_CARD):
            wire.box.tap(card)
    assert len(wire.box.entries()) == 2_500


def test_a_full_disk_is_out_of_order_until_there_is_room(wire: Wire) -> None:
    wire.box.db.sql.execute("VACUUM")  # without its headroom
    wire.box.db.sql.execute(
        f"PRAGMA max_page_count = {wire.box.db.only_row('PRAGMA page_count')[0]}"
    )
    lights = {tap(wire, CARD) for _ in range(50)}
    assert Signal.OUT_OF_ORDER in lights
    assert tap(wire, CARD) is Signal.ALREADY_SERVED  # opened again without the limit
    assert list(verify(wire.box.db)) == []


def test_a_fault_after_the_answer_does_not_answer_again(wire: Wire) -> None:
    """The file fails while due messages are read: the request has its answer by then."""
    request = Request(Status())
    with locked(wire):
        wire.box.core.due = _raises  # type: ignore[method-assign]
        effects = turn(wire, request)
        assert "error" not in request.answers.get_nowait()
        assert not any(isinstance(effect, Show) for effect in effects)
    assert wire.box.core.summary().startswith("OUT OF ORDER: ")


def _raises(moment: object) -> list[Effect]:
    raise StoreError("the file failed")


def test_a_reader_event_during_the_fault_is_in_the_status_afterwards(wire: Wire) -> None:
    turn(wire, ReaderUp(reader="counter", location="usb"))
    with locked(wire):
        assert tap(wire, CARD) is Signal.OUT_OF_ORDER
        turn(wire, ReaderDown(reader="counter", reason="unplugged"))
    turn(wire)
    assert wire.box.core.status(wire.box.core.moment(wire.box.reading()))["readers"] == {
        "counter": "down: unplugged"
    }


@pytest.mark.parametrize("event", ["a tap", "a storno"])
def test_a_damaged_own_entry_replaces_the_file(wire: Wire, event: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    change_entries(wire.box.db, "UPDATE entry SET body = replace(body, 'card', 'cxrd')")
    if event == "a tap":
        assert tap(wire, CARD) is Signal.OUT_OF_ORDER
    else:
        request = Request(Storno(seq=1))
        turn(wire, request)
        assert "out of order" in str(request.answers.get_nowait()["error"])
    wire.clock.pass_ms(REOPEN_MS_MAX)
    turn(wire)
    assert wire.box.core.fault is None
    assert [row.kind for row in lists.incidents(wire.box.db)].count("damaged_file") == 1
