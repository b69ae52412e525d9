"""The PC/SC loop on a real pcscd with vpcd's virtual reader: cards that misbehave, lights, and pcscd going, coming and freezing."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.readers.pcsc import escape_code_of
from tests.parts.pcsc import Pcscd, VirtualCard, escape_driver
from tests.parts.process import Process, wait_for
from tests.parts.serial_line import SerialLine

UID = bytes.fromhex("04a1b2c3d4e5f6")
GREEN = bytes.fromhex("FF00402E0401000101")
WAIT = bytes.fromhex("FF00400C0400000000")
RED = bytes.fromhex("FF00405D0401010201")


@dataclass
class Bench:
    card: VirtualCard
    pcscd: Pcscd
    probe: Process
    cards: list[VirtualCard] = field(default_factory=list)

    def events(self, reader: str = "counter") -> list[dict[str, Any]]:
        told = [
            json.loads(line) for line in self.probe.output().splitlines() if line.startswith("{")
        ]
        return [event for event in told if event["reader"] == reader]

    def wait_for_event(
        self, name: str, count: int = 1, *, reader: str = "counter", seconds: float = 20
    ) -> Any:
        wait_for(
            lambda: sum(name in event for event in self.events(reader)) >= count,
            f"{count} × {name} of {reader}: {self.probe.output()}",
            seconds,
        )
        return [event[name] for event in self.events(reader) if name in event][count - 1]

    def words(self, reader: str = "counter") -> list[str]:
        """Return what was told of a reader, in order, by name."""
        return [
            name
            for event in self.events(reader)
            for name in event
            if name not in ("reader", "at_ns")
        ]


@contextlib.contextmanager
def bench_of(
    folder: Path,
    *readers: str,
    answer_after_s: float = 0,
    cards: int = 1,
    driver: Path | None = None,
    wait: bool = True,
) -> Iterator[Bench]:
    """Yield a private pcscd with a reader for each card, and a process that serves `readers`."""
    made = [VirtualCard() for _ in range(cards)]
    with contextlib.ExitStack() as stack:
        ports = [card.port for card in made]
        pcscd = stack.enter_context(
            Pcscd(folder / "pcscd", *ports, **({"driver": driver} if driver else {}))
        )
        command = pcscd.namespace.command(
            sys.executable,
            "-m",
            "tests.parts.reader_probe",
            "300",
            str(answer_after_s),
            *(readers or ("counter=acs-acr122u",)),
        )
        probe = stack.enter_context(Process(command, folder / "probe.log"))
        for card in made:
            stack.callback(card.take_away)
        bench = Bench(made[0], pcscd, probe, made)
        if wait:
            bench.wait_for_event("up", reader=(readers or ("counter=",))[0].partition("=")[0])
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_of(tmp_path) as bench:
        yield bench


def test_a_card_is_read_once_and_shown_green(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    assert bench.wait_for_event("tap") == "a:04a1b2c3d4e5f6"
    assert bench.words() == ["up", "tap"]


def test_taps_in_a_row_are_each_read(bench: Bench) -> None:
    for n in range(5):
        assert bench.card.tap(UID[:-1] + bytes([n])) == GREEN
    assert [event["tap"][-2:] for event in bench.events() if "tap" in event] == [
        "00",
        "01",
        "02",
        "03",
        "04",
    ]


def test_cards_swapped_within_one_poll_are_each_read(bench: Bench) -> None:
    for n in range(6):
        uid = UID[:-1] + bytes([n])
        bench.card.present(uid)  # the one before is taken away in the same moment
        wait_for(lambda: (uid.hex(), GREEN) in bench.card.shown, "the light")
    assert [uid[-2:] for uid, light in bench.card.shown if light == GREEN] == [
        "00",
        "01",
        "02",
        "03",
        "04",
        "05",
    ]


def test_a_phone_is_refused_with_its_reason(bench: Bench) -> None:
    assert bench.card.tap(bytes.fromhex("08123456")) == RED
    assert bench.wait_for_event("fault") == "random"


@pytest.mark.parametrize("answer", [b"\x63\x00", b"\x90\x00", b"\xff" * 64])
def test_a_card_that_answers_nonsense_is_refused_and_the_next_one_read(
    bench: Bench, answer: bytes
) -> None:
    bench.card.answer_to_uid = answer
    assert bench.card.tap(UID) == RED
    bench.card.answer_to_uid = None
    assert bench.card.tap(UID) == GREEN


def test_a_card_pulled_in_the_middle_of_the_command_is_no_tap_and_the_next_one_read(
    bench: Bench,
) -> None:
    bench.card.pulled = True
    bench.card.present(UID)
    wait_for(lambda: not bench.card.is_present, "the card pulled")
    bench.card.take_away()
    bench.card.pulled = False
    assert bench.card.tap(UID) == GREEN
    assert bench.words() == ["up", "tap"], bench.events()


def test_a_slow_card_is_waited_for(bench: Bench) -> None:
    bench.card.delay_s = 1.5
    assert bench.card.tap(UID) == GREEN
    assert bench.words() == ["up", "tap"]


def test_a_card_without_an_answer_to_reset_is_refused_in_words(tmp_path: Path) -> None:
    driver, _ = escape_driver(tmp_path / "driver")
    with bench_of(tmp_path, driver=driver) as bench:
        bench.card.mute = True
        bench.card.present(UID)
        assert bench.wait_for_event("fault") == "mute"
        bench.card.take_away()
        bench.card.mute = False
        assert bench.card.tap(UID) == GREEN
        assert bench.words() == ["up", "fault", "tap"]


def test_while_the_answer_is_late_the_reader_says_wait_and_then_what_became_of_it(
    tmp_path: Path,
) -> None:
    with bench_of(tmp_path, answer_after_s=1) as bench:
        bench.card.present(UID)
        wait_for(lambda: len(bench.card.shown) == 2, "two signals")
        bench.card.take_away()
    assert [light for _, light in bench.card.shown] == [WAIT, GREEN]


def test_a_signal_that_is_late_does_not_hold_up_the_next_card(tmp_path: Path) -> None:
    with bench_of(tmp_path, answer_after_s=3) as bench:
        bench.card.present(UID)
        bench.wait_for_event("tap")
        bench.card.present(UID[::-1])
        bench.wait_for_event("tap", 2)
        first, second = (event["at_ns"] for event in bench.events() if "tap" in event)
        assert second - first < 2_500_000_000  # before the first had its signal


def test_a_card_that_went_before_its_light_gets_it_when_it_is_back_at_once(tmp_path: Path) -> None:
    with bench_of(tmp_path, answer_after_s=0.6) as bench:
        bench.card.present(UID)
        bench.wait_for_event("tap")
        bench.card.take_away()
        bench.card.present(UID)
        wait_for(lambda: (UID.hex(), GREEN) in bench.card.shown, "the light")
        assert bench.words() == ["up", "tap"] or bench.words() == [
            "up",
            "tap",
            "tap",
        ]  # pcscd may have looked late


def test_no_child_sees_the_light_of_another(tmp_path: Path) -> None:
    """The first child's answer is late; meanwhile the second, who has tapped at the other reader, lays the same card here: no tap."""
    with bench_of(
        tmp_path,
        "counter=acs-acr122u@* A *",
        "other=acs-acr122u@* B *",
        answer_after_s=2.5,
        cards=2,
    ) as bench:
        bench.wait_for_event("up", reader="other")
        here, there = bench.cards
        first, second = UID, UID[::-1]
        here.present(first)
        bench.wait_for_event("tap")
        here.take_away()
        wait_for(lambda: not here.is_present, "the first card gone")
        there.present(second)
        bench.wait_for_event("tap", reader="other")
        here.present(second)
        wait_for(
            lambda: any(light == GREEN for _, light in there.shown),
            "the second child's own light",
            10,
        )
        assert bench.words("counter") == ["up", "tap"]
        assert [(uid, light) for uid, light in here.shown if light != WAIT] == []


def test_pcscd_restarted_is_one_down_and_one_up(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    bench.pcscd.stop()
    assert "ACR122U" in bench.wait_for_event("down")
    bench.pcscd.start()
    bench.wait_for_event("up", 2)
    assert bench.card.tap(UID[::-1]) == GREEN
    assert bench.words() == ["up", "tap", "down", "up", "tap"]


def test_pcscd_killed_is_survived_too(bench: Bench) -> None:
    bench.pcscd.process.kill()
    bench.wait_for_event("down")
    bench.pcscd.start()
    bench.wait_for_event("up", 2)
    assert bench.card.tap(UID) == GREEN


def test_pcscd_frozen_is_reported_within_five_seconds_and_goes_on_when_it_thaws(
    bench: Bench,
) -> None:
    frozen = time.monotonic_ns()
    os.kill(bench.pcscd.process.pid, signal.SIGSTOP)
    try:
        assert "hangs in its driver" in bench.wait_for_event("down", seconds=10)
        (at_ns,) = (event["at_ns"] for event in bench.events() if "down" in event)
        assert at_ns - frozen < 5_000_000_000
    finally:
        os.kill(bench.pcscd.process.pid, signal.SIGCONT)
    bench.wait_for_event("up", 2)
    assert bench.card.tap(UID) == GREEN
    assert bench.words() == ["up", "down", "up", "tap"]


def test_a_reader_stuck_in_a_transmit_is_reported_and_rebuilt_and_the_others_never_notice(
    tmp_path: Path,
) -> None:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    readers = ("counter=acs-acr122u@* A *", "other=acs-acr122u@* B *", f"tags=rdm6300@{line.path}")
    with bench_of(tmp_path, *readers, cards=2) as bench:
        bench.wait_for_event("up", reader="other")
        bench.wait_for_event("up", reader="tags")
        stuck, other = bench.cards
        stuck.silent = True
        stuck.present(UID)
        for n in range(6):  # meals go on at the others, while one is stuck and while it is rebuilt
            assert other.tap(UID[:-1] + bytes([n])) == GREEN
            line.hold(bytes([1, 0, 0, 0, n + 1]))
        assert "hangs in its driver" in bench.wait_for_event("down")
        stuck.take_away()
        stuck.silent = False
        assert stuck.tap(UID) == GREEN
        assert bench.words("counter") == ["up", "down", "up", "tap"]
        wait_for(lambda: bench.words("tags") == ["up"] + ["tap"] * 6, "the tags")
        assert bench.words("other") == ["up"] + ["tap"] * 6
    line.unplug()


def test_another_program_that_resets_the_card_or_holds_it_alone_costs_no_tap(bench: Bench) -> None:
    script = """
import sys, time
from smartcard import scard as s
_, c = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
_, names = s.SCardListReaders(c, [])
known, ends = s.SCARD_STATE_UNAWARE, time.monotonic() + 20
while time.monotonic() < ends:
    code, states = s.SCardGetStatusChange(c, 100, [(names[0], known)])
    if code != 0:
        continue
    came, known = states[0][1] & s.SCARD_STATE_PRESENT, states[0][1] & ~s.SCARD_STATE_CHANGED
    for n in range(20 if came else 0):
        code, h, p = s.SCardConnect(c, names[0], s.SCARD_SHARE_SHARED if sys.argv[1] == "reset" else s.SCARD_SHARE_EXCLUSIVE, 3)
        if code == 0:
            s.SCardStatus(h) if sys.argv[1] == "reset" else s.SCardGetStatusChange(c, 20, [(names[0], known)])
            s.SCardDisconnect(h, s.SCARD_RESET_CARD if sys.argv[1] == "reset" else s.SCARD_LEAVE_CARD)
    if came:
        print("left alone", flush=True)
"""
    for n, how in enumerate(("reset", "alone")):
        log = bench.probe.log.with_name(f"{how}.log")
        with Process(bench.pcscd.namespace.command(sys.executable, "-c", script, how), log):
            for k in range(3):
                bench.card.present(UID[:-1] + bytes([10 * n + k]))
                lights = 3 * n + k + 1
                wait_for(
                    lambda: len([1 for _, light in bench.card.shown if light == GREEN]) == lights,
                    "the light",
                )
                wait_for(lambda: log.read_text().count("left alone") > k, "the other program's end")
                bench.card.take_away()
    assert [event["tap"][-2:] for event in bench.events() if "tap" in event] == [
        "00",
        "01",
        "02",
        "0a",
        "0b",
        "0c",
    ]
    assert bench.words() == ["up"] + ["tap"] * 6


def test_escape_goes_by_the_code_that_the_driver_itself_names(tmp_path: Path) -> None:
    driver, said = escape_driver(tmp_path / "driver")
    with bench_of(tmp_path / "122", "counter=acs-acr122u", driver=driver):
        assert said.read_text().splitlines() == ["FF00520000"]  # start-up, without a card
    with bench_of(tmp_path / "1252", "counter=acs-acr1252u@*", driver=driver) as bench:
        bench.card.present(UID)
        wait_for(lambda: len(said.read_text().splitlines()) == 3, "light and buzzer")
    assert said.read_text().splitlines()[1:] == ["E00000290102", "E0000028010A"]


def test_without_the_drivers_leave_the_reader_reads_and_its_silence_is_told(tmp_path: Path) -> None:
    driver, said = escape_driver(tmp_path / "driver", allowed=False)
    with bench_of(tmp_path, "counter=acs-acr1252u@*", driver=driver) as bench:
        bench.card.present(UID)
        bench.wait_for_event("tap")
        assert "lets no escape commands pass" in bench.wait_for_event("failed")
    assert said.read_text() == ""


@pytest.mark.parametrize(
    ("features", "code"),
    [
        (b"\x13\x04\x42\x00\x00\x01", 0x42000001),
        (b"\x06\x04\x42\x33\x00\x06\x13\x04\x42\x00\x0d\xac", 0x42000DAC),
        (b"\x06\x04\x42\x33\x00\x06", None),
        (b"\x13\x04\x42\x00", None),
        (b"\x13\x02\x42\x00\x00\x00", None),
        (b"", None),
    ],
)
def test_the_drivers_features_name_its_escape_code_or_none(
    features: bytes, code: int | None
) -> None:
    assert escape_code_of(features) == code


@pytest.mark.timeout(400)
def test_five_hundred_taps_in_a_row_leave_no_context_behind(tmp_path: Path) -> None:
    """Seven readers in turn, so that pcscd's look every 0.4 s is waited for by all at once."""
    letters = "ABCDEFG"
    readers = tuple(f"r{letter}=acs-acr122u@* {letter} *" for letter in letters)
    with bench_of(tmp_path, *readers, cards=len(letters)) as bench:
        for letter in letters:
            bench.wait_for_event("up", reader=f"r{letter}")
        before = 0
        for n in range(72):
            uids = [bytes([4, k]) + n.to_bytes(5, "big") for k in range(len(letters))]
            for card, uid in zip(bench.cards, uids, strict=True):
                card.present(uid)
            for card, uid in zip(bench.cards, uids, strict=True):
                wait_for(lambda: (uid.hex(), GREEN) in card.shown, f"light {n}")
            if n == 4:
                before = descriptors(bench)
        taps = [
            len([event for event in bench.events(f"r{letter}") if "tap" in event])
            for letter in letters
        ]
        assert taps == [72] * len(letters)
        assert descriptors(bench) <= before


def descriptors(bench: Bench) -> int:
    """Return how many files the reading process and pcscd hold open: a context is a socket on both sides."""
    pids = [bench.probe.pid, bench.pcscd.process.pid]
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
