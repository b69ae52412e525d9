"""The disk under a real agent fails or is read-only: it serves nobody, then recovers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.store.reserve import Reserve
from tests.crash.recording import compile_recorder
from tests.parts.broker import Listener, Mosquitto
from tests.parts.canteen import CARDS, Canteen, canteen
from tests.parts.disks import fill, remount, run_again_as_namespace_root, tmpfs_at
from tests.parts.process import Process, wait_for
from tests.parts.town import TOWN, Terminal


@contextmanager
def one_terminal(folder: Path) -> Iterator[tuple[Canteen, Listener]]:
    """Yield a canteen with one terminal, nothing started, and a listener to `state` messages."""
    with (
        Mosquitto(folder / "broker") as broker,
        Listener(broker.port, f"canteen/v1/{TOWN}/t/+/state") as listener,
        canteen(
            folder, central_url=broker.url, terminal_url=broker.url, terminals=1, start=False
        ) as town,
    ):
        yield town, listener


def process_of(terminal: Terminal) -> Process:
    assert terminal.process is not None
    return terminal.process


def wait_for_state(listener: Listener, *parts: bytes) -> None:
    """Wait for a `state` message that contains all parts."""
    wait_for(
        lambda: any(all(part in state for part in parts) for state in listener.on("/state")),
        f"a state message with {parts}",
    )


@pytest.mark.parametrize("fails", ["write", "sync", "read write sync"])
def test_a_failing_disk_serves_nobody_and_the_agent_recovers(fails: str, tmp_path: Path) -> None:
    with one_terminal(tmp_path) as (town, listener):
        (terminal,), (line,) = town.terminals, town.lines
        control = tmp_path / "fails"
        shimmed = {
            "LD_PRELOAD": str(compile_recorder(tmp_path)),
            "CRASH_FOLDER": str(terminal.db.parent),
            "CRASH_FAILS": str(control),
        }
        town.central.start()
        town.start(terminal, environment=shimmed)
        terminal.wait_for_account("a-1")
        town.tap(0)
        process = process_of(terminal)
        control.write_text(fails, encoding="ascii")
        for card in CARDS[11:14]:
            line.hold(card)
        wait_for(lambda: "Out of order: " in process.output(), "the fault in the log")
        wait_for_state(listener, b'"fault":"')
        control.unlink()
        wait_for(lambda: "The file works again" in process.output(), "the recovery")
        recorded = town.recorded(terminal)
        # An entry whose commit failed may be on the disk or not. There is nothing else.
        assert recorded <= 1 + 3
        # Nor is such a tap recorded twice, as a meal and as a refusal.
        cards = terminal.rows("SELECT body ->> '$.card' FROM entry")
        assert len(cards) == len(set(cards))
        town.tapped = recorded
        town.tap(0)
        wait_for(town.all_booked, "everything booked")
        wait_for(lambda: town.all_equal("a-1"), "equal balances")
        town.stop()
        town.check()


def test_a_read_only_state_folder_is_reported_and_used_once_it_is_writable(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    with one_terminal(tmp_path) as (town, listener):
        (terminal,), (line,) = town.terminals, town.lines
        folder = terminal.db.parent
        with tmpfs_at(folder):
            town.central.start()
            town.start(terminal)
            terminal.wait_for_account("a-1")
            assert terminal.stop() == 0
            remount(folder, "ro")
            terminal.start()
            process = process_of(terminal)
            wait_for(lambda: "Out of order: " in process.output(), "the fault in the log")
            wait_for(
                lambda: "commands cannot reach the agent" in process.output(), "the control socket"
            )
            wait_for_state(listener, b'"fault":"', b"Read-only")
            line.hold(CARDS[0])
            wait_for_state(listener, b'"fault":"', b'"counter":"ready"')
            remount(folder, "rw")
            wait_for(lambda: "The file works again: 1 taps" in process.output(), "the recovery", 40)
            kind_and_reason = "SELECT kind, body ->> '$.reason' FROM entry"
            assert terminal.rows(kind_and_reason) == [("refusal", "out_of_order")]
            town.tapped = 1
            town.tap(0)
            wait_for(terminal.answers, "the control socket")
            assert "Traceback" not in process.output()
            wait_for(town.all_booked, "everything booked")
            town.stop()
            town.check()


def test_a_full_disk_serves_from_the_reserve_after_a_stop_a_restart_and_a_kill(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    with one_terminal(tmp_path) as (town, listener):
        (terminal,) = town.terminals
        folder = terminal.db.parent
        with tmpfs_at(folder):
            town.central.start()
            town.start(terminal)
            terminal.wait_for_account("a-1")
            reserve = Reserve(terminal.db)
            wait_for(lambda: reserve.is_whole, "the reserve", 30)
            assert terminal.stop() == 0
            filler = fill(folder, 0)
            town.start(terminal)
            for end in (terminal.stop, lambda: process_of(terminal).kill(), None):
                for _ in range(5):
                    town.tap(0)
                if end is not None:
                    end()
                    town.start(terminal)
            assert "Out of order" not in process_of(terminal).output()
            assert not reserve.is_whole
            wait_for_state(listener, b'"disk_fault":"', b"free on the file system of")
            wait_for(town.all_booked, "everything booked")
            filler.unlink()
            wait_for(lambda: reserve.is_whole, "the reserve, made again", 90)
            town.stop()
            town.check()


def test_an_agent_whose_index_of_the_log_was_cut_names_it_and_serves_after_the_restart(
    tmp_path: Path,
) -> None:
    """Mapped memory without a page behind it ends a process by SIGBUS."""
    with one_terminal(tmp_path) as (town, _):
        (terminal,), (line,) = town.terminals, town.lines
        town.central.start()
        town.start(terminal)
        terminal.wait_for_account("a-1")
        town.tap(0)
        process = process_of(terminal)
        os.truncate(terminal.db.with_name(f"{terminal.db.name}-shm"), 0)
        line.hold(CARDS[1])
        wait_for(lambda: not process.is_running, "the end of the process")
        assert process.stop() == -signal.SIGBUS
        assert "Fatal Python error: Bus error" in process.output()
        town.start(terminal)
        assert town.recorded(terminal) in (1, 2)
        town.tapped = town.recorded(terminal)
        town.tap(0)
        wait_for(town.all_booked, "everything booked")
        town.stop()
        town.check()
