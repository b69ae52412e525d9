"""The terminal's file fails in its place: no green, nothing acknowledged, one sentence; and as soon as it works again, all goes on."""

import contextlib
import dataclasses
import itertools
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import pytest

from agent.domain.card import parse_card_id
from agent.domain.ledger import RefusalReason
from agent.errors import StoreError
from agent.readers.events import CardPresented, ReaderDown, ReaderUp, Show, Signal
from agent.store import reads
from agent.store.database import Database
from agent.store.verify import verify
from agent.sync.events import Acknowledge, Arrived, DropLink, LinkUp, Publish
from agent.terminal.control import Request
from agent.terminal.core import Terminal
from agent.terminal.events import Effect, Event
from agent.terminal.storage_fault import (
    KEPT_TAPS_MAX,
    RETRY_MS,
    StorageFault,
)
from tests.conftest import CARD, OTHER_CARD
from tests.parts.wire import Wire


def turn(wire: Wire, event: Event | None = None) -> list[Effect]:
    wire.clock.pass_ms(RETRY_MS)
    return list(wire.box.core.turn(event, wire.box.reading()))


def tap(wire: Wire, card: str) -> Signal:
    effects = turn(wire, CardPresented(reader="counter", card=parse_card_id(card), tap=1))
    (shown,) = [effect for effect in effects if isinstance(effect, Show)]
    return shown.signal


@contextmanager
def locked(wire: Wire) -> Iterator[None]:
    """A technician's sqlite3 holds it."""
    wire.box.db.sql.execute("PRAGMA busy_timeout = 10")
    with contextlib.closing(sqlite3.connect(wire.box.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def only_readable(wire: Wire) -> Iterator[None]:
    """Permission is lost, or the card has set itself read-only: the folder lets nobody make or change a file."""
    wire.box.db.sql.execute("PRAGMA query_only = ON")
    saved = wire.box.path.rename(
        wire.box.path.with_suffix(".elsewhere")
    )  # opening it again fails as well
    wire.box.path.mkdir()
    yield
    wire.box.path.rmdir()
    saved.rename(wire.box.path)


@contextmanager
def taken_away(wire: Wire) -> Iterator[None]:
    """Somebody removes file and journal under the running agent, and a folder of that name keeps it from being put back."""
    for end in ("", "-wal", "-shm"):
        wire.box.path.with_name(wire.box.path.name + end).unlink()
    wire.box.path.mkdir()
    yield
    wire.box.path.rmdir()


@pytest.mark.parametrize("fault", [locked, only_readable, taken_away])
def test_no_green_while_it_lasts_and_all_goes_on_afterwards(
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
        assert tap(wire, OTHER_CARD) is Signal.OUT_OF_ORDER
        tapped_at = wire.box.moment().at
        assert tap(wire, OTHER_CARD) is Signal.OUT_OF_ORDER
        effects = turn(wire, Arrived(topic=topic, payload=payload, receipt=7))
        assert not any(isinstance(effect, Acknowledge) for effect in effects)
        request = Request("status", {})
        turn(wire, request)
        assert str(request.answers.get_nowait()["error"]).startswith("out of order: ")
        assert wire.box.core.summary().startswith("OUT OF ORDER: ")
    assert caplog.text.count("Out of order: ") == 1  # one line in the journal, however many taps
    assert DropLink() in turn(wire)  # what was not acknowledged comes again
    assert tap(wire, OTHER_CARD) is Signal.SERVED
    assert tap(wire, CARD) is Signal.ALREADY_SERVED  # nothing that was green is gone
    turn(wire, Arrived(topic=topic, payload=payload, receipt=8))
    assert wire.box.balance("a-1") == 500 - 366
    (incident,) = [row.detail for row in reads.incidents(wire.box.db) if row.kind == "store_fault"]
    assert incident.endswith("2 taps got 'out of order', 2 are recorded")
    assert list(verify(wire.box.db)) == []
    wire.connect()
    wire.settle()
    told = [entry for entry in wire.box.entries() if entry.reason is RefusalReason.OUT_OF_ORDER]
    assert [(entry.account, entry.cents) for entry in told] == [("a-2", 0)] * 2
    assert told[0].at == tapped_at and told[0].at < told[1].at  # each with the time of its tap
    assert (
        wire.central.one(
            "SELECT count(*) FROM entry WHERE kind = 'refusal' AND body ->> '$.reason' = 'out_of_order'"
        )
        == 2
    )


def test_of_many_taps_the_first_are_recorded_and_all_are_counted(wire: Wire) -> None:
    with locked(wire):
        turn(wire)
        for _ in range(KEPT_TAPS_MAX + 5):
            (shown, *_) = wire.box.core.turn(
                CardPresented(reader="counter", card=parse_card_id(CARD), tap=1), wire.box.reading()
            )
            assert isinstance(shown, Show) and shown.signal is Signal.OUT_OF_ORDER
    turn(wire)
    assert len(wire.box.entries()) == KEPT_TAPS_MAX
    (incident,) = [row.detail for row in reads.incidents(wire.box.db) if row.kind == "store_fault"]
    assert incident.endswith(
        f"{KEPT_TAPS_MAX + 5} taps got 'out of order', {KEPT_TAPS_MAX} are recorded"
    )


def test_taps_that_cannot_be_recorded_yet_are_kept_and_recorded_once(wire: Wire) -> None:
    with locked(wire):
        assert tap(wire, CARD) is Signal.OUT_OF_ORDER
        assert tap(wire, OTHER_CARD) is Signal.OUT_OF_ORDER
    wire.box.db.sql.execute(
        "CREATE TRIGGER not_yet BEFORE INSERT ON entry WHEN NEW.seq = 2 BEGIN SELECT RAISE(ABORT, 'not yet'); END"
    )
    turn(wire)
    assert wire.box.entries() == [] and wire.box.core.fault is not None
    wire.box.db.sql.execute("DROP TRIGGER not_yet")
    turn(wire)
    assert [entry.account for entry in wire.box.entries()] == ["a-1", "a-2"]


def test_another_fault_is_told_as_well_and_at_most_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = StorageFault.begin(StoreError("locked"), None, 0)
    assert not fault.is_news(StoreError("locked"), 70_000)
    assert not fault.is_news(StoreError("full"), 59_999) and fault.summary == "OUT OF ORDER: full"
    assert fault.is_news(StoreError("gone"), 70_000) and not fault.is_news(
        StoreError("full"), 80_000
    )
    assert [record.message for record in caplog.records] == [
        "Out of order: locked",
        "Still out of order: gone",
    ]


def test_a_terminal_without_its_file_reports_it_and_tries_less_and_less_often(wire: Wire) -> None:
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
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 16_000, 16_000]


def test_the_central_is_told_why(wire: Wire) -> None:
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


def test_a_journal_that_is_taken_away_costs_nothing(wire: Wire) -> None:
    assert tap(wire, CARD) is Signal.SERVED
    os.unlink(f"{wire.box.path}-wal")
    assert tap(wire, OTHER_CARD) is Signal.OUT_OF_ORDER
    assert tap(wire, OTHER_CARD) is Signal.SERVED
    wire.box.restart()
    assert [entry.kind for entry in wire.box.entries()] == ["meal", "refusal", "meal"]


def test_a_full_disk_takes_the_meals_of_a_week(wire: Wire) -> None:
    """The headroom is in the file: SQLite is told that it may not grow by a page."""
    wire.box.db.reserve()
    wire.box.db.sql.execute(
        f"PRAGMA max_page_count = {wire.box.db.only_row('PRAGMA page_count')[0]}"
    )
    for n in range(2_500 // 2):
        wire.clock.pass_ms(1 if n % 250 else 24 * 3_600_000)
        for card in (CARD, OTHER_CARD):
            wire.box.tap(card)
    assert len(wire.box.entries()) == 2_500


def test_a_full_disk_is_out_of_order_and_free_again(wire: Wire, tmp_path: Path) -> None:
    wire.box.db.sql.execute("VACUUM")  # without its headroom
    wire.box.db.sql.execute(
        f"PRAGMA max_page_count = {wire.box.db.only_row('PRAGMA page_count')[0]}"
    )
    lights = {tap(wire, CARD) for _ in range(50)}
    assert Signal.OUT_OF_ORDER in lights
    assert tap(wire, CARD) is Signal.ALREADY_SERVED  # opened again, the limit is gone
    assert list(verify(wire.box.db)) == []


def test_what_fails_behind_an_answer_is_not_answered_twice(wire: Wire) -> None:
    """The file fails while what is due is looked up: the request was answered, the light was right."""
    request = Request("status", {})
    with locked(wire):
        wire.box.core.due = _raises  # type: ignore[method-assign]
        effects = turn(wire, request)
        assert "error" not in request.answers.get_nowait()
        assert not any(isinstance(effect, Show) for effect in effects)
    assert wire.box.core.summary().startswith("OUT OF ORDER: ")


def _raises(moment: object) -> list[Effect]:
    raise StoreError("the file failed")


def test_what_a_reader_says_while_the_file_fails_is_known_when_it_works_again(wire: Wire) -> None:
    turn(wire, ReaderUp(reader="counter", location="here"))
    with locked(wire):
        assert tap(wire, CARD) is Signal.OUT_OF_ORDER
        turn(wire, ReaderDown(reader="counter", reason="unplugged"))
    turn(wire)
    assert wire.box.core.status(wire.box.core.moment(wire.box.reading()))["readers"] == {
        "counter": "down: unplugged"
    }
