"""The real process: one agent per state directory, and an end of the process after a bug."""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError, StoreError
from agent.ops.clock import boot_id, read_clock
from agent.ops.control_client import VERSION, ask
from agent.readers.events import CardUnreadable, Signal
from agent.readers.profile_rules import load_profile
from agent.terminal.config import Config, load_config
from agent.terminal.process import IDLE_MS_MAX, NEWS_AFTER_MS, App, lock_state_dir, new_epoch_bits
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine, Twn4
from tests.parts.town import run_agent

AGENT_TOML = """
town = "borgo"
terminal = "t-1"
state_dir = "state"
card_key_file = "card.key"
mirror = "usb"
[broker]
url = "mqtt://127.0.0.1:1"
[[reader]]
name = "counter"
profile = "rdm6300"
port = "no-such-port"
"""
NO_NUMBER = CardUnreadable(reader="counter", fault="no_uid", sentence="No number.", tap=1)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "card.key").write_text("00" * 32, encoding="ascii")
    (tmp_path / "agent.toml").write_text(AGENT_TOML, encoding="utf-8")
    (tmp_path / "usb").mkdir()
    return load_config(tmp_path / "agent.toml")


@pytest.fixture
def app(config: Config) -> Iterator[App]:
    with running(config) as app:
        yield app


@contextlib.contextmanager
def running(config: Config) -> Iterator[App]:
    """Yield a terminal in this process. The interpreter's settings are put back afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    hook, interval = threading.excepthook, sys.getswitchinterval()
    yield App(config)
    threading.excepthook = hook
    sys.setswitchinterval(interval)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket at which systemd would receive this process's notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(str(tmp_path / "notify"))
        notifications.settimeout(20 * IDLE_MS_MAX / 1_000)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        yield notifications


@contextlib.contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do work in another thread while the main thread runs the terminal."""
    thread = threading.Thread(target=work, name="test")
    thread.start()
    yield
    thread.join()


def stop_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


# One agent per state directory


def test_a_second_agent_in_a_state_directory_is_refused(config: Config) -> None:
    agent_toml = config.state_dir.with_name("agent.toml")
    with lock_state_dir(config.state_dir):
        output = run_agent("run", "-c", agent_toml, code=1)
    assert "state: another agent is running here" in output
    lock_state_dir(config.state_dir).close()


def test_the_state_directory_is_closed_to_other_users(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lock_state_dir(tmp_path / "state").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o750


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """It would hold the lock after the agent's end, and the next agent could not start."""
    with lock_state_dir(tmp_path) as lock:
        assert not os.get_inheritable(lock.fileno())


def test_a_state_directory_that_cannot_be_used_is_a_storage_fault(tmp_path: Path) -> None:
    """The terminal then answers out of order and tries again, instead of ending."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used as state_dir"):
        lock_state_dir(tmp_path / "file")


def test_the_bits_of_an_epoch_are_16_hex_digits_and_random() -> None:
    bits = {new_epoch_bits() for _ in range(100)}
    assert len(bits) == 100 and {len(text) for text in bits} == {16}
    assert all(int(text, 16) >= 0 for text in bits)


# Running


def test_sigterm_ends_it_with_0_and_all_threads_with_it(app: App, config: Config) -> None:
    before = set(threading.enumerate())

    def work() -> None:
        with contextlib.suppress(TimeoutError):
            wait_for(config.control_socket.exists, "the socket")
            wait_for(lambda: ask(config.control_socket, "status")["mirror"] == "ready", "mirror")
        stop_this_process()

    with meanwhile(work):
        assert app.run() == 0
    wait_for(lambda: set(threading.enumerate()) <= before, "the threads to end")


def test_the_agent_answers_and_copies_its_ledger(app: App, config: Config) -> None:
    answers: list[dict[str, object]] = []

    def work() -> None:
        try:
            wait_for(config.control_socket.exists, "the socket")
            answers.append(ask(config.control_socket, "status"))
        except (AgentError, TimeoutError):
            pass
        finally:
            stop_this_process()

    with meanwhile(work):
        app.run()
    (status,) = answers
    assert (status["town"], status["terminal"]) == ("borgo", "t-1")
    assert str(status["readers"]).count("down: ") == 1


def test_a_bug_in_a_thread_of_ours_ends_the_process(app: App, config: Config) -> None:
    """systemd starts it again from what is on the disk."""

    def fail() -> None:
        wait_for(config.control_socket.exists, "the socket")
        raise ZeroDivisionError("a bug")

    with meanwhile(fail), pytest.raises(ZeroDivisionError, match="a bug"):
        app.run()
    lock_state_dir(config.state_dir).close()  # everything was closed


def test_a_bug_in_a_tap_shows_out_of_order_at_its_reader(tmp_path: Path, config: Config) -> None:
    """Neither green nor dark: the staff see at once that this child was not recorded."""
    line = SerialLine(tmp_path / "line")
    line.plug()
    agent_toml = tmp_path / "agent.toml"
    text = AGENT_TOML.replace("rdm6300", Twn4.profile).replace("no-such-port", str(line.path))
    agent_toml.write_text(text, encoding="utf-8")
    step = load_profile(Twn4.profile).step_for(Signal.OUT_OF_ORDER)
    assert step is not None
    no_key: bytes = None  # type: ignore[assignment]  # with it, no token can be made
    broken = dataclasses.replace(load_config(agent_toml), card_key=no_key)
    with Twn4(line) as far_end, running(broken) as app:
        far_end.hold(far_end.cards[0])
        with pytest.raises(TypeError):
            app.run()
        assert far_end.shown == [command.replace(" ", "").encode() for command in step.send]
    line.unplug()


def test_a_bug_in_a_thread_of_the_mqtt_library_does_not_end_the_process(
    app: App, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """The link makes another network thread."""

    def fail() -> None:
        raise ZeroDivisionError("in the library")

    def work() -> None:
        wait_for(config.control_socket.exists, "the socket")
        library = threading.Thread(target=fail, name="paho-mqtt-client-t-1")
        library.start()
        library.join()
        stop_this_process()

    with meanwhile(work):
        assert app.run() == 0
    assert "The network thread ended: in the library; the link makes another." in caplog.text


def test_the_start_asks_systemd_for_more_time_and_begins_no_watchdog(
    systemd: socket.socket, app: App
) -> None:
    """The watchdog's 30 s would end a start on a slow card again and again."""
    notes: list[bytes] = []

    def work() -> None:
        try:
            while b"READY=1" not in notes:
                notes.append(systemd.recv(1_000))
        finally:
            stop_this_process()

    with meanwhile(work):
        app.run()
    assert len(notes) > 1
    assert all(note.startswith(b"EXTEND_TIMEOUT_USEC=") for note in notes[:-1])


def test_while_nothing_happens_the_loop_turns_every_idle_ms_max(
    systemd: socket.socket, app: App
) -> None:
    """It feeds the watchdog then, and tries the control socket again."""
    times: list[float] = []

    def work() -> None:
        try:
            while len(times) < 4:
                if systemd.recv(1_000) == b"WATCHDOG=1":
                    times.append(time.monotonic())
        finally:
            stop_this_process()

    with meanwhile(work):
        app.run()
    assert times[3] - times[1] < 10 * IDLE_MS_MAX / 1_000


def test_the_news_of_a_tap_are_sent_after_its_turn(app: App) -> None:
    """In its turn they would slow the light: reading them takes the interpreter's lock."""
    added = app._watchers.add()
    assert added is not None
    _, lines = added
    reading = read_clock(boot_id())
    app._turn(None, reading)
    while not lines.empty():
        lines.get()
    app._turn(NO_NUMBER, reading)
    assert lines.empty()
    app._turn(None, reading)
    assert b'"tapped"' in (lines.get_nowait() or b"")
    for control in app._sockets:
        control.close()
    app._terminal.close()
    assert app._lock is not None
    app._lock.close()


def test_the_news_of_a_tap_do_not_wait_for_an_idle_turn(app: App, config: Config) -> None:
    """The fastest of five counts: a busy machine may be late."""
    took_ms: list[float] = []

    def work() -> None:
        try:
            wait_for(config.control_socket.exists, "the socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(20)
                peer.connect(str(config.control_socket))
                ask_line = {"v": VERSION, "id": "1", "do": "watch", "arguments": {}}
                peer.sendall(json.dumps(ask_line).encode() + b"\n")
                with peer.makefile("rb") as lines:
                    next(lines)  # the snapshot
                    for _ in range(5):
                        began = time.monotonic()
                        app._inbox.put(NO_NUMBER)
                        next(line for line in lines if json.loads(line)["kind"] == "tapped")
                        took_ms.append((time.monotonic() - began) * 1_000)
        finally:
            stop_this_process()

    with meanwhile(work):
        app.run()
    assert min(took_ms) < IDLE_MS_MAX / 2 and NEWS_AFTER_MS < IDLE_MS_MAX


def test_a_loop_that_hangs_feeds_no_watchdog(systemd: socket.socket, app: App) -> None:
    """Alive means able to serve a child. A signal's handler holds the main thread."""
    is_held, may_go_on = threading.Event(), threading.Event()
    notes: list[bytes] = []

    def hold(*_: object) -> None:
        is_held.set()
        may_go_on.wait()

    def work() -> None:
        try:
            while systemd.recv(1_000) != b"WATCHDOG=1":
                pass
            os.kill(os.getpid(), signal.SIGUSR1)
            is_held.wait()
            systemd.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while systemd.recv(1_000):
                    pass  # what came before
            systemd.settimeout(5 * IDLE_MS_MAX / 1_000)
            with contextlib.suppress(TimeoutError):
                notes.append(systemd.recv(1_000))
        finally:
            may_go_on.set()
            stop_this_process()

    before = signal.signal(signal.SIGUSR1, hold)
    try:
        with meanwhile(work):
            app.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert is_held.is_set() and notes == []
