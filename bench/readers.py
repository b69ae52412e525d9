"""What a reader costs: from the UID on the wire to `CardPresented`, idle time, and parsing.

Each tap is measured beside the same operation with the bare library.
"""

import contextlib
import queue
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import serial

from agent.readers.events import CardPresented, ReaderEvent
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import RecentTaps
from agent.readers.profile_rules import load_profile
from bench.measure import Row
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import Process, wait_for
from tests.parts.reader_probe import ProbeEvent
from tests.parts.serial_line import Id12la, Pn532, SerialLine, rdm6300_frame

TAPS = 200
PCSC_TAPS = 60
IDLE_S = 20
PARSED = 2_000_000
WIRE_BYTES_PER_S = 11_520  # at 115,200 baud
# More than ten cards a second count as a flood.
FLOOD_PAUSE_S = 0.11
BARE = """
import queue, sys, time
from smartcard import scard as s
taps = queue.Queue()
_, c = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
_, names = s.SCardListReaders(c, [])
name, known = next(n for n in names if " B " in n), s.SCARD_STATE_UNAWARE
while True:
    code, states = s.SCardGetStatusChange(c, 1000, [(name, known)])
    if code != 0:
        continue
    came = states[0][1] & s.SCARD_STATE_PRESENT and not known & s.SCARD_STATE_PRESENT
    known = states[0][1] & ~s.SCARD_STATE_CHANGED
    if came:
        protocols = s.SCARD_PROTOCOL_T0 | s.SCARD_PROTOCOL_T1
        code, h, p = s.SCardConnect(c, name, s.SCARD_SHARE_SHARED, protocols)
        pci = s.SCARD_PCI_T1 if p == s.SCARD_PROTOCOL_T1 else s.SCARD_PCI_T0
        code, answer = s.SCardTransmit(h, pci, [0xFF, 0xCA, 0, 0, 0])
        uid, at = bytes(answer[:-2]).hex(), time.monotonic_ns()
        taps.put(uid)
        s.SCardDisconnect(h, s.SCARD_LEAVE_CARD)
        print(at, flush=True)
"""


def readers(folder: Path) -> list[Row]:
    """Return all rows about readers."""
    return [serial_tap(folder), pcsc_tap(folder / "pcsc"), *idling(folder), *parsing()]


def serial_tap(folder: Path) -> Row:
    """From a frame written to a pty to the tap on the queue.

    Floor: until pyserial's read of the same bytes returns. Both are measured in turn.
    """
    ours, bare = [], []
    with (
        _line(folder / "ours") as line,
        _line(folder / "bare") as floor,
        _reading(line, "id-12la") as events,
        _bare_reading(floor) as frames,
    ):
        far_end = Id12la(line)
        time.sleep(0.3)
        for n in range(TAPS):
            frame = far_end.frame((n + 1).to_bytes(5, "big"))
            begun = time.monotonic_ns()
            line.write(frame)
            ours.append(events.get(timeout=5)[0] - begun)
            time.sleep(FLOOD_PAUSE_S / 2)
            begun = time.monotonic_ns()
            floor.write(frame)
            bare.append(frames.get(timeout=5) - begun)
            time.sleep(FLOOD_PAUSE_S / 2)
    return _beside("UID -> CardPresented, serial", ours, bare, "pyserial read(16)")


def pcsc_tap(folder: Path) -> Row:
    """From the UID leaving the card to the tap on the queue.

    Floor: until pyscard's SCardTransmit returns, at a second reader. Both are measured in turn.
    """
    ours_card, bare_card = VirtualCard(), VirtualCard()
    with contextlib.ExitStack() as stack:
        pcscd = stack.enter_context(Pcscd(folder, ours_card.port, bare_card.port))
        probe = [sys.executable, "-m", "tests.parts.reader_probe", "600", "0"]
        command = pcscd.namespace.command(*probe, "counter=acs-acr122u@* A *")
        ours = stack.enter_context(Process(command, folder / "ours.log"))
        command = pcscd.namespace.command(sys.executable, "-c", BARE)
        bare = stack.enter_context(Process(command, folder / "bare.log"))
        for card in (ours_card, bare_card):
            stack.callback(card.take_away)
        _wait_for(ours, '"up"', 1)
        for n in range(PCSC_TAPS):
            for card, process, mark in ((ours_card, ours, '"tap"'), (bare_card, bare, "\n")):
                card.present(b"\x04" + n.to_bytes(6, "big"))
                _wait_for(process, mark, n + 1)
            ours_card.take_away()
            bare_card.take_away()
            time.sleep(0.5)
        decode = msgspec.json.Decoder(ProbeEvent).decode
        events = [decode(line) for line in ours.output().splitlines()]
        our_ends = [event.at_ns for event in events if event.kind == "tap"]
        bare_ends = [int(line) for line in bare.output().split()]
    return _beside(
        "UID -> CardPresented, PC/SC",
        [end - begun for end, begun in zip(our_ends, ours_card.answered_ns, strict=True)],
        [end - begun for end, begun in zip(bare_ends, bare_card.answered_ns, strict=True)],
        "pyscard SCardTransmit",
    )


def idling(folder: Path) -> list[Row]:
    """The processor time of a process that runs one reader without cards."""
    rows: list[Row] = []
    with _line(folder / "idle") as line, _line(folder / "polled") as polled, Pn532(polled):
        card = VirtualCard()
        with Pcscd(folder / "idle-pcscd", card.port) as pcscd:
            for what, reader in (
                ("a serial reader that sends by itself", f"counter=rdm6300@{line.path}"),
                (
                    "a serial reader that is polled four times a second",
                    f"counter=pn532-hsu@{polled.path}",
                ),
                ("a PC/SC reader", "counter=acs-acr122u"),
            ):
                command = pcscd.namespace.command(
                    sys.executable, "-m", "tests.parts.reader_probe", "600", "0", reader
                )
                log = folder / f"idle-{len(rows)}.log"
                with Process(command, log) as process:
                    _wait_for(process, '"up"', 1)
                    time.sleep(1)
                    before = _busy_ns(process.pid)
                    time.sleep(IDLE_S)
                    share = (_busy_ns(process.pid) - before) / 1e9 / IDLE_S
                value = f"{100 * share:.3f} % of a core"
                rows.append(Row(f"idle: {what}", value, "", None, None, "0.2 %"))
    return rows


def parsing() -> list[Row]:
    """How many bytes a second the framers parse, beside a line of 115,200 baud."""
    rows: list[Row] = []
    source = random.Random(1)
    for profile_id, frame in (
        ("rdm6300", rdm6300_frame(bytes.fromhex("010063e9ae"))),
        ("pn532-hsu", bytes.fromhex("0000FF03FDD54B00E000")),
    ):
        for what, stream in (
            ("good frames", frame * (PARSED // len(frame))),
            ("noise", source.randbytes(PARSED)),
        ):
            framer = load_profile(profile_id).framer(0)
            begun = time.perf_counter()
            for at in range(0, len(stream), 1_000):
                framer.feed(stream[at : at + 1_000], at)
            rate = len(stream) / (time.perf_counter() - begun)
            floor = f"115,200 baud: {WIRE_BYTES_PER_S:,}"
            name = f"bytes parsed a second, {profile_id}, {what}"
            rows.append(Row(name, f"{rate:,.0f}", floor, WIRE_BYTES_PER_S / rate, None, ""))
    return rows


@contextlib.contextmanager
def _line(path: Path) -> Iterator[SerialLine]:
    line = SerialLine(path)
    line.plug()
    try:
        yield line
    finally:
        line.unplug()


@contextlib.contextmanager
def _reading(line: SerialLine, profile_id: str) -> Iterator["queue.Queue[tuple[int, ReaderEvent]]"]:
    """Yield the taps of a reader thread, each with the time at which it was emitted."""
    events: queue.Queue[tuple[int, ReaderEvent]] = queue.Queue()

    def emit(event: ReaderEvent) -> None:
        if isinstance(event, CardPresented):
            events.put((time.monotonic_ns(), event))

    config = ReaderConfig(
        name="counter", profile=load_profile(profile_id), port=str(line.path), device=None
    )
    thread = reader_thread(config, emit, RecentTaps(threading.Lock()))
    thread.start()
    try:
        yield events
    finally:
        thread.stop()


@contextlib.contextmanager
def _bare_reading(line: SerialLine) -> Iterator["queue.Queue[int]"]:
    """Yield the times at which pyserial's read of a whole frame returned."""
    times: queue.Queue[int] = queue.Queue()
    ended = threading.Event()
    with serial.Serial(str(line.path), 9600, timeout=5) as port:

        def read_all() -> None:
            while not ended.is_set():
                if len(port.read(16)) == 16:
                    times.put(time.monotonic_ns())

        thread = threading.Thread(target=read_all, daemon=True)
        thread.start()
        try:
            yield times
        finally:
            ended.set()
            line.write(bytes(16))
            thread.join()


def _wait_for(process: Process, mark: str, count: int) -> None:
    wait_for(lambda: process.output().count(mark) >= count, f"{count} times {mark}")


def _beside(what: str, ours: list[int], bare: list[int], name: str) -> Row:
    ratio = statistics.median(ours) / statistics.median(bare)
    p99 = _p99(ours) / _p99(bare)
    value, floor = (f"{statistics.median(took) / 1e3:.0f} µs" for took in (ours, bare))
    return Row(what, value, f"{name}: {floor}", ratio, p99, "1.3")


def _p99(values: list[int]) -> int:
    return sorted(values)[int(len(values) * 0.99)]


def _busy_ns(pid: int) -> int:
    """Return the processor time of all threads of a process so far."""
    return sum(
        int(task.read_text(encoding="ascii").split()[0])
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
