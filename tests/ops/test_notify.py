"""Notifications at systemd, through a real socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ops.notify import PROGRESS_EVERY_S, PROGRESS_S, WATCHDOG_SHARE, Notifier


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield server


def test_systemd_receives_ready_a_changed_status_watchdog_and_stopping(
    systemd: socket.socket,
) -> None:
    notifier = Notifier()
    notifier.ready()
    notifier.status("2 readers ready")
    notifier.status("2 readers ready")
    notifier.watchdog()
    notifier.stopping()
    received = [systemd.recv(100) for _ in range(4)]
    assert received == [b"READY=1", b"STATUS=2 readers ready", b"WATCHDOG=1", b"STOPPING=1"]


def test_progress_asks_for_more_time_once_in_a_second_and_begins_no_watchdog(
    systemd: socket.socket,
) -> None:
    notifier = Notifier()
    ends = time.monotonic() + PROGRESS_EVERY_S / 2
    while time.monotonic() < ends:
        notifier.progress()
    notifier.ready()
    assert systemd.recv(100) == b"EXTEND_TIMEOUT_USEC=%d" % (PROGRESS_S * 1_000_000)
    assert systemd.recv(100) == b"READY=1"


def test_the_watchdog_is_notified_three_times_in_systemds_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert WATCHDOG_SHARE == 3 and Notifier().watchdog_every_ms == 10_000
    monkeypatch.delenv("WATCHDOG_PID")
    assert Notifier().watchdog_every_ms == 10_000


def test_a_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier().watchdog_every_ms is None


def test_an_abstract_socket_is_used_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"canteen-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        Notifier().ready()
        assert systemd.recv(100) == b"READY=1"


def test_a_systemd_that_restarts_does_not_stop_the_agent(
    systemd: socket.socket, tmp_path: Path
) -> None:
    notifier = Notifier()
    systemd.close()
    notifier.ready()
    (tmp_path / "notify").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(tmp_path / "notify"))
        again.settimeout(5)
        notifier.watchdog()
        assert again.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    notifier = Notifier()
    notifier.ready()
    assert notifier.watchdog_every_ms is None
