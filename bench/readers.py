"""What a reader costs: from the UID on the wire to `CardPresented`, beside the bare library; idling; parsing."""

import contextlib
import json
import queue
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import serial

from agent.readers.events import CardPresented, ReaderEvent
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import LateTaps
from agent.readers.profile_rules import load_profile
from bench.measure import Row
from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import Process, wait_for
from tests.parts.serial_line import Pn532, SerialLine, rdm6300_frame

TAPS = 200
PCSC_TAPS = 60
IDLE_S = 20
PARSED = 2_000_000
FLOOD_PAUSE_S = (
    0.11  # a reader that gives more than ten cards a second is taken for one that floods
)
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
        code, h, p = s.SCardConnect(c, name, s.SCARD_SHARE_SHARED, s.SCARD_PROTOCOL_T0 | s.SCARD_PROTOCOL_T1)
        code, answer = s.SCardTransmit(h, s.SCARD_PCI_T1 if p == s.SCARD_PROTOCOL_T1 else s.SCARD_PCI_T0, [0xFF, 0xCA, 0, 0, 0])
        uid, at = bytes(answer[:-2]).hex(), time.monotonic_ns()
        taps.put(uid)
        s.SCardDisconnect(h, s.SCARD_LEAVE_CARD)
        print(at, flush=True)
"""


def readers(folder: Path) -> list[Row]:
    """Return all rows about readers."""
    return [serial_tap(folder), pcsc_tap(folder / "pcsc"), *idling(folder), *parsing()]


def serial_tap(folder: Path) -> Row:
    """A frame written to a pty until the tap is on the queue; floor: pyserial's read of the same bytes returns, in turn."""
    ours, bare = [], []
    with (
        _line(folder / "ours") as line,
        _line(folder / "bare") as floor,
        _reading(line, "rdm6300") as events,
    ):
        with serial.Serial(str(floor.path), 9600, timeout=5) as port:
            read: queue.Queue[int] = queue.Queue()
            ended = threading.Event()

            def read_all() -> None:
                while not ended.is_set():
                    if len(port.read(14)) == 14:
                        read.put(time.monotonic_ns())

            thread = threading.Thread(target=read_all, daemon=True)
            thread.start()
            time.sleep(0.3)
            for n in range(TAPS):
                frame = rdm6300_frame((n + 1).to_bytes(5, "big"))
                begun = time.monotonic_ns()
                line.write(frame)
                ours.append(events.get(timeout=5)[0] - begun)
                time.sleep(FLOOD_PAUSE_S / 2)
                begun = time.monotonic_ns()
                floor.write(frame)
                bare.append(read.get(timeout=5) - begun)
                time.sleep(FLOOD_PAUSE_S / 2)
            ended.set()
            floor.write(bytes(14))
            thread.join()
    return _beside("UID on the serial wire -> CardPresented", ours, bare, "pyserial read(14)")


def pcsc_tap(folder: Path) -> Row:
    """The UID leaves the card until the tap is on the queue; floor: pyscard's SCardTransmit returns, at a second reader, in turn."""
    ours_card, bare_card = VirtualCard(), VirtualCard()
    with contextlib.ExitStack() as stack:
        pcscd = stack.enter_context(Pcscd(folder, ours_card.port, bare_card.port))
        probe = pcscd.namespace.command(
            sys.executable,
            "-m",
            "tests.parts.reader_probe",
            "600",
            "0",
            "counter=acs-acr122u@* A *",
        )
        ours = stack.enter_context(Process(probe, folder / "ours.log"))
        bare = stack.enter_context(
            Process(pcscd.namespace.command(sys.executable, "-c", BARE), folder / "bare.log")
        )
        for card in (ours_card, bare_card):
            stack.callback(card.take_away)
        wait_for(lambda: '"up"' in ours.output(), "our reader")
        for n in range(PCSC_TAPS):
            for card, process, mark in ((ours_card, ours, '"tap"'), (bare_card, bare, "\n")):
                card.present(b"\x04" + n.to_bytes(6, "big"))
                wait_for(lambda: process.output().count(mark) > n, "a tap")
            ours_card.take_away()
            bare_card.take_away()
            time.sleep(0.5)
        told = [json.loads(line) for line in ours.output().splitlines()]
        ends = (
            [event["at_ns"] for event in told if "tap" in event],
            [int(line) for line in bare.output().split()],
        )
    took = [
        [end - asked for end, asked in zip(one, card.answered_ns, strict=True)]
        for one, card in zip(ends, (ours_card, bare_card), strict=True)
    ]
    return _beside(
        "UID leaves the card -> CardPresented (PC/SC)", took[0], took[1], "pyscard SCardTransmit"
    )


def idling(folder: Path) -> list[Row]:
    """The processor's time of a process that serves one reader at which nothing happens."""
    rows = []
    with _line(folder / "idle") as line, _line(folder / "asked") as asked, Pn532(asked):
        card = VirtualCard()
        with Pcscd(folder / "idle-pcscd", card.port) as pcscd:
            for what, reader in (
                ("a serial reader that speaks by itself", f"counter=rdm6300@{line.path}"),
                (
                    "a serial reader that is asked four times a second",
                    f"counter=pn532-hsu@{asked.path}",
                ),
                ("a PC/SC reader", "counter=acs-acr122u"),
            ):
                command = pcscd.namespace.command(
                    sys.executable, "-m", "tests.parts.reader_probe", "600", "0", reader
                )
                with Process(command, folder / "idle.log") as process:
                    seen = len(process.output())
                    wait_for(lambda: '"up"' in process.output()[seen:], "the reader")
                    time.sleep(1)
                    before = _busy_ns(process.pid)
                    time.sleep(IDLE_S)
                    share = (_busy_ns(process.pid) - before) / 1e9 / IDLE_S
                rows.append(
                    Row(
                        f"idling: {what}", f"{100 * share:.3f} % of a core", "", None, None, "0.2 %"
                    )
                )
    return rows


def parsing() -> list[Row]:
    rows = []
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
            wire = 11_520  # 115,200 baud
            rows.append(
                Row(
                    f"bytes parsed a second, {profile_id}, {what}",
                    f"{rate:,.0f}",
                    f"115,200 baud: {wire:,}",
                    wire / rate,
                    None,
                    "",
                )
            )
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
    """Yield the taps of a reader thread, each with the time it was put on the queue."""
    events: queue.Queue[tuple[int, ReaderEvent]] = queue.Queue()

    def emit(event: ReaderEvent) -> None:
        if isinstance(event, CardPresented):
            events.put((time.monotonic_ns(), event))

    config = ReaderConfig(
        name="counter", profile=load_profile(profile_id), port=str(line.path), device=None
    )
    thread = reader_thread(config, emit, LateTaps(threading.Lock()))
    thread.start()
    try:
        yield events
    finally:
        thread.stop()


def _beside(what: str, ours: list[int], bare: list[int], name: str) -> Row:
    ratio = statistics.median(ours) / statistics.median(bare)
    p99 = _p99(ours) / _p99(bare)
    value, floor = (f"{statistics.median(took) / 1e3:.0f} µs" for took in (ours, bare))
    return Row(what, value, f"{name}: {floor}", ratio, p99, "1.3")


def _p99(values: list[int]) -> int:
    return sorted(values)[int(len(values) * 0.99)]


def _busy_ns(pid: int) -> int:
    """Return what all threads of a process have run so far."""
    return sum(
        int(task.read_text(encoding="ascii").split()[0])
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )
