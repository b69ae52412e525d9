"""The serial loop on a real pty: frames, noise, and the port going and coming."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.readers.events import CardPresented, ReaderDown, ReaderEvent, ReaderUp
from agent.readers.profile import load_profile
from agent.readers.serial_port import SerialDevice
from agent.readers.thread import ReaderThread
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine, rdm6300_frame

TAG = bytes.fromhex("010063e9ae")
OTHER = bytes.fromhex("62e3086ced")


@dataclass
class Bench:
    line: SerialLine
    events: "queue.Queue[ReaderEvent]"

    def next(self) -> ReaderEvent:
        return self.events.get(timeout=10)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    events: queue.Queue[ReaderEvent] = queue.Queue()
    thread = ReaderThread("counter", SerialDevice("counter", load_profile("rdm6300"), str(line.path)), events.put)
    thread.start()
    bench = Bench(line, events)
    assert bench.next() == ReaderUp(reader="counter", device=str(line.path))
    yield bench
    thread.stop()
    line.unplug()


def test_a_tag_held_to_the_antenna_is_one_tap(bench: Bench) -> None:
    bench.line.hold(TAG, repeats=6)
    event = bench.next()
    assert isinstance(event, CardPresented) and str(event.card) == "em:010063e9ae"
    bench.line.hold(OTHER)
    event = bench.next()
    assert isinstance(event, CardPresented) and str(event.card) == "em:62e3086ced"
    assert bench.events.empty()


def test_noise_and_frames_that_lie_are_no_cards(bench: Bench) -> None:
    bench.line.write(b"\x02\x02\xff" + rdm6300_frame(bytes(5)) + b"\x0201" + rdm6300_frame(TAG))
    event = bench.next()
    assert isinstance(event, CardPresented) and str(event.card) == "em:010063e9ae"
    assert bench.events.empty()


def test_unplugged_and_plugged_in_again_is_one_down_and_one_up(bench: Bench) -> None:
    bench.line.unplug()
    down = bench.next()
    assert isinstance(down, ReaderDown) and "by-path" in down.reason
    bench.line.plug()
    assert isinstance(bench.next(), ReaderUp)
    bench.line.hold(TAG)
    assert isinstance(bench.next(), CardPresented)
    assert bench.events.empty()


def test_a_port_that_is_not_there_at_the_start_is_waited_for(tmp_path: Path) -> None:
    events: queue.Queue[ReaderEvent] = queue.Queue()
    line = SerialLine(tmp_path / "late")
    thread = ReaderThread("counter", SerialDevice("counter", load_profile("rdm6300"), str(line.path)), events.put)
    thread.start()
    down = events.get(timeout=10)
    assert isinstance(down, ReaderDown) and "No such file" in down.reason
    line.plug()
    assert isinstance(events.get(timeout=10), ReaderUp)
    thread.stop()
    wait_for(events.empty, "silence")
    line.unplug()
