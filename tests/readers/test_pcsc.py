"""The PC/SC loop on a real pcscd with vpcd's virtual reader: cards, lights, and pcscd going and coming."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts.pcsc import Pcscd, VirtualCard
from tests.parts.process import Process, wait_for

UID = bytes.fromhex("04a1b2c3d4e5f6")
GREEN = bytes.fromhex("FF00402E0401000101")
WAIT = bytes.fromhex("FF00400C0400000000")
RED = bytes.fromhex("FF00405D0401010201")


@dataclass
class Bench:
    card: VirtualCard
    pcscd: Pcscd
    probe: Process

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.probe.output().splitlines() if line.startswith("{")]

    def wait_for_event(self, name: str, count: int = 1) -> Any:
        wait_for(lambda: sum(name in event for event in self.events()) >= count, f"{count} × {name}: {self.probe.output()}")
        return [event[name] for event in self.events() if name in event][count - 1]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    card = VirtualCard()
    with (
        Pcscd(tmp_path / "pcscd", card.port) as pcscd,
        Process(pcscd.namespace.command(sys.executable, "-m", "tests.parts.reader_probe", "100"), tmp_path / "probe.log") as probe,
    ):
        bench = Bench(card, pcscd, probe)
        bench.wait_for_event("up")
        yield bench
        card.take_away()


def test_a_card_is_read_once_and_shown_green(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    assert bench.wait_for_event("tap") == "a:04a1b2c3d4e5f6"
    assert len(bench.events()) == 2


def test_taps_in_a_row_are_each_read(bench: Bench) -> None:
    for n in range(5):
        assert bench.card.tap(UID[:-1] + bytes([n])) == GREEN
    assert [event["tap"][-2:] for event in bench.events() if "tap" in event] == ["00", "01", "02", "03", "04"]


def test_a_phone_is_refused_with_its_reason(bench: Bench) -> None:
    assert bench.card.tap(bytes.fromhex("08123456")) == RED
    assert bench.wait_for_event("fault") == "random"


@pytest.mark.parametrize("answer", [b"\x63\x00", b"\x90\x00", b"\xff" * 64])
def test_a_card_that_answers_nonsense_is_refused_and_the_next_one_read(bench: Bench, answer: bytes) -> None:
    bench.card.answer_to_uid = answer
    assert bench.card.tap(UID) == RED
    bench.card.answer_to_uid = None
    assert bench.card.tap(UID) == GREEN


def test_while_the_answer_is_late_the_reader_says_wait_and_then_what_became_of_it(tmp_path: Path) -> None:
    card = VirtualCard()
    with (
        Pcscd(tmp_path / "pcscd", card.port) as pcscd,
        Process(pcscd.namespace.command(sys.executable, "-m", "tests.parts.reader_probe", "100", "1"), tmp_path / "probe.log") as probe,
    ):
        Bench(card, pcscd, probe).wait_for_event("up")
        card.present(UID)
        wait_for(lambda: len(card.shown) == 2, "two signals")
        card.take_away()
    assert [light for _, light in card.shown] == [WAIT, GREEN]


def test_pcscd_restarted_is_one_down_and_one_up(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    bench.pcscd.stop()
    assert "counter" in bench.wait_for_event("down")
    bench.pcscd.start()
    bench.wait_for_event("up", 2)
    assert bench.card.tap(UID[::-1]) == GREEN
    assert [name for event in bench.events() for name in event] == ["up", "tap", "down", "up", "tap"]


def test_pcscd_killed_is_survived_too(bench: Bench) -> None:
    bench.pcscd.process.kill()
    bench.wait_for_event("down")
    bench.pcscd.start()
    bench.wait_for_event("up", 2)
    assert bench.card.tap(UID) == GREEN
