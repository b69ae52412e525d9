"""A disk that another program fills takes a week of meals, and has a voice long before."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.domain.card import parse_card_id
from agent.errors import StoreError
from agent.readers.events import CardPresented, Show, Signal
from agent.store.database import HEADROOM_BYTES, LOG_AGAIN_BYTES, LOG_LONG_BYTES, Database
from agent.store.recovery import close_without_checkpoint
from agent.store.reserve import RESERVE_BYTES, TAP_BYTES
from agent.store.verify import verify
from agent.sync.events import LinkUp, Publish
from agent.sync.messages import TerminalState
from agent.terminal.core import STATE_EVERY_MS
from agent.terminal.disk import LOOK_EVERY_MS, Disk
from agent.terminal.housekeeping import QUIET_MS
from tests.conftest import CARD, OTHER_CARD
from tests.parts.disks import fill, run_again_as_namespace_root, tmpfs_at
from tests.parts.wire import Box, Wire
from tests.store.test_log_readers import reading

TAPS_A_DAY, DAYS = 1_000, 5
CHILDREN = [f"em:01000{n:05x}" for n in range(TAPS_A_DAY)]
DAY_MS = 24 * 3_600_000
FREE_BYTES = 1_000_000


def stop_and_start(box: Box) -> None:
    box.restart()


def kill_and_start(box: Box) -> None:
    close_without_checkpoint(box.db)
    box.start()


def go_on(box: Box) -> None:
    pass


def wire_on(folder: Path) -> Wire:
    """Return a wire with two cards, whose terminal opens its file as the agent does."""
    wire = Wire(folder)
    wire.box.checks_file = True
    wire.box.restart()
    for card, account in ((CARD, "a-1"), (OTHER_CARD, "a-2")):
        wire.central.add_account(account)
        wire.central.assign(card, account)
    wire.connect()
    return wire


def tap(box: Box, card: str) -> Signal:
    """Present a card to the main loop, which does work again once there is room for it."""
    event = CardPresented(reader="counter", card=parse_card_id(card), tap=1)
    effects = list(box.core.turn(event, box.reading()))
    (signal,) = [effect.signal for effect in effects if isinstance(effect, Show)]
    return signal


def be_quiet(wire: Wire) -> list[bytes]:
    """Let the terminal do what it does while nobody taps; return what it sent."""
    wire.clock.pass_ms(max(LOOK_EVERY_MS, QUIET_MS) + 1)
    effects = [effect for _ in range(40) for effect in wire.box.core.turn(None, wire.box.reading())]
    return [effect.payload for effect in effects if isinstance(effect, Publish)]


@pytest.mark.parametrize("between", [go_on, stop_and_start, kill_and_start])
def test_a_week_of_meals_of_a_large_school_fits_on_a_full_disk(
    tmp_path: Path, request: pytest.FixtureRequest, between: Callable[[Box], None]
) -> None:
    """Each child has a row of its own in every index, and no lunch has a quiet moment.

    Whatever a stop or a quiet moment frees, the program that fills the disk takes.
    """
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder, "45m"):  # room for the reserve, and none for headroom
        wire = wire_on(folder)
        for n, child in enumerate(CHILDREN):
            wire.central.add_account(f"c-{n}", cards=(child,))
        wire.settle()
        be_quiet(wire)
        box = wire.box
        assert box.db.reserve.is_whole and "disk" not in box.core.summary()
        filler = fill(folder, FREE_BYTES)
        for day in range(DAYS):
            between(box)
            fill(folder, 0 if day else FREE_BYTES)
            for n in range(TAPS_A_DAY):
                wire.clock.pass_ms(50)
                assert tap(box, CHILDREN[37 * n % TAPS_A_DAY]) is not Signal.OUT_OF_ORDER
            be_quiet(wire)
            fill(folder, 0)
            wire.clock.pass_ms(DAY_MS)
        assert len(box.entries()) == DAYS * TAPS_A_DAY
        assert list(verify(box.db)) == []
        assert RESERVE_BYTES - box.db.reserve.size_bytes < DAYS * TAPS_A_DAY * TAP_BYTES
        filler.unlink()
        be_quiet(wire)
        assert box.db.reserve.is_whole
        wire.close()


def test_on_a_full_disk_the_log_is_used_again_before_the_reserve(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        wire = wire_on(folder)
        be_quiet(wire)
        db = wire.box.db
        log = db.path.with_name(f"{db.path.name}-wal")
        assert log.stat().st_size > HEADROOM_BYTES // 2 > LOG_AGAIN_BYTES
        fill(folder, 0)
        for n in range(3_000):  # some 7 KiB of log each
            wire.clock.pass_ms(50)
            assert tap(wire.box, (CARD, OTHER_CARD)[n % 2]) is not Signal.OUT_OF_ORDER
        assert db.reserve.is_whole
        wire.close()


def test_a_disk_that_is_nearly_full_has_a_voice_until_there_is_room(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        wire = wire_on(folder)
        filler = fill(folder, FREE_BYTES)
        sent = be_quiet(wire)
        fault = f"1.0 MB free on the file system of {folder}; {folder} takes"
        (words,) = [line for line in caplog.messages if "Disk: " in line]
        assert fault in words and "free some space" in words
        assert fault in wire.box.core.summary()
        assert fault in str(wire.box.ask("status")["disk"])
        assert fault in str(state_of(wire).disk_fault)
        assert any(fault.encode() in payload for payload in sent)  # without being requested
        filler.unlink()
        with caplog.at_level(logging.INFO):
            be_quiet(wire)
        assert "there is room again" in caplog.text
        assert state_of(wire).disk_fault is None and "free, and a reserve for about" in str(
            wire.box.ask("status")["disk"]
        )
        wire.close()


def test_a_reserve_that_cannot_be_made_has_a_voice_that_does_not_blame_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire = wire_on(tmp_path)
    reserve = wire.box.db.reserve.path
    reserve.unlink(missing_ok=True)
    reserve.mkdir()
    be_quiet(wire)
    fault = f"no reserve for a full disk could be made: {reserve}: Is a directory"
    assert [line for line in caplog.messages if "Disk: " in line] == [f"Disk: {fault}."]
    assert wire.box.ask("status")["disk"] == fault
    wire.close()


def test_a_program_that_reads_for_long_is_named_before_the_disk_is_full(tmp_path: Path) -> None:
    database = Database(tmp_path / "t.db", reserve_bytes=0)
    disk = Disk(database)
    with reading(database.path) as program:
        while not database.log_words():
            database.sql.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")
            database.sql.execute("DROP TABLE filler")
            assert database.path.with_name("t.db-wal").stat().st_size < LOG_LONG_BYTES + 3_000_000
        disk.step(0)
        assert f"(pid {program.pid}) reads {database.path} for long, so that its" in disk.fault
        assert "grew to 25." in disk.fault or "grew to 26." in disk.fault
    disk.step(LOOK_EVERY_MS)
    assert disk.fault == ""
    database.close()


def state_of(wire: Wire) -> TerminalState:
    """Return the newest `state` message."""
    wire.clock.pass_ms(STATE_EVERY_MS)
    list(wire.box.core.turn(None, wire.box.reading()))
    (payload,) = [
        effect.payload
        for effect in wire.box.core.turn(LinkUp(), wire.box.reading())
        if isinstance(effect, Publish) and effect.topic.endswith("/state")
    ]
    return msgspec.json.decode(payload, type=TerminalState)


def test_a_disk_without_any_room_names_itself_and_serves_again_when_there_is_room(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        wire = wire_on(folder)
        filler = fill(folder, 0)
        with pytest.raises(StoreError, match=r"disk full: 0.0 MB free .* free some space"):
            for _ in range(20_000):
                wire.clock.pass_ms(50)
                wire.box.tap(CARD)
        recorded = len(wire.box.entries())
        filler.unlink()
        assert wire.box.tap(OTHER_CARD) is Signal.SERVED
        assert len(wire.box.entries()) == recorded + 1 and list(verify(wire.box.db)) == []
        wire.close()


def test_a_terminal_that_starts_on_a_full_disk_serves_from_its_reserve(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        wire = wire_on(folder)
        be_quiet(wire)
        wire.box.db.close()
        fill(folder, 0)
        wire.box.start()
        assert tap(wire.box, CARD) is Signal.SERVED
        assert not wire.box.db.reserve.is_whole
        wire.close()
