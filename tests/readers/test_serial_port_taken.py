"""A serial port that another program has, open or locked."""

import fcntl
import os
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.readers.events import ReaderDown, ReaderEvent, ReaderUp, Signal
from agent.readers.port_users import users_of
from agent.readers.profile_rules import load_profile
from agent.readers.serial_port import USERS_EVERY_MS, SerialReader, set_exclusive
from tests.parts.clocked_channel import ClockedChannel
from tests.parts.process import Process, wait_for
from tests.parts.serial_bench import thread_on
from tests.parts.serial_line import SerialLine

TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h: whether TIOCEXCL is set


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    yield line
    line.unplug()


def test_another_program_that_has_the_port_open_is_named_while_it_has(
    tmp_path: Path, line: SerialLine
) -> None:
    events: list[ReaderEvent] = []
    channel = ClockedChannel(events.append)
    reader = SerialReader(load_profile("rdm6300"), str(line.path))
    thread = threading.Thread(target=reader.run, args=(channel,), daemon=True)
    thread.start()
    wait_for(lambda: len(events) == 1, "the reader up")
    command = ["sh", "-c", 'exec sleep 60 < "$1"', "sh", str(line.path)]
    with Process(command, tmp_path / "other.log") as other:
        wait_for(lambda: "sleep" in "".join(users_of(str(line.path))), "the other program")
        channel.at_ms += USERS_EVERY_MS
        channel.show(0, Signal.WAIT)  # wakes the reader
        wait_for(lambda: len(events) == 2, "the warning")
    channel.at_ms += USERS_EVERY_MS
    channel.show(0, Signal.WAIT)
    wait_for(lambda: len(events) == 3, "the end of the warning")
    channel.stop()
    thread.join(timeout=10)
    warnings = [event.warning for event in events if isinstance(event, ReaderUp)]
    named = f"another program has this port: sleep (pid {other.pid}); stop that program"
    assert warnings == ["", f"{named}, which takes a part of the cards", ""]


def test_a_port_that_another_program_has_locked_is_down_with_its_name(
    tmp_path: Path, line: SerialLine
) -> None:
    lock = "import fcntl, sys, signal; f = open(sys.argv[1]); fcntl.flock(f, 2); signal.pause()"
    with Process([sys.executable, "-c", lock, str(line.path)], tmp_path / "lock.log") as holder:
        wait_for(lambda: users_of(str(line.path)), "the lock")
        with thread_on(line, load_profile("rdm6300")) as (thread, events):
            thread.start()
            down = events.get(timeout=10)
            holder.kill()
            assert isinstance(events.get(timeout=20), ReaderUp)
    assert isinstance(down, ReaderDown)
    assert "another program has this port: python" in down.reason
    assert f"(pid {holder.pid}); stop that program" in down.reason


def test_a_port_is_exclusive_while_it_is_open() -> None:
    master, slave = os.openpty()
    seen = []
    for on in (True, False):
        set_exclusive(slave, on)
        seen.append(struct.unpack("i", fcntl.ioctl(slave, TIOCGEXCL, b"\0" * 4))[0])
    os.close(slave)
    os.close(master)
    assert seen == [1, 0]
