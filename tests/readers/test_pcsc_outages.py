"""PC/SC readers while pcscd fails, and while a driver call does not return."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.pcsc_bench import COUNTER, GREEN, UID, Bench, bench_of
from tests.parts.process import wait_for
from tests.parts.serial_line import SerialLine


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_of(tmp_path) as bench:
        yield bench


def test_a_restart_of_pcscd_is_one_down_and_one_up(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    bench.pcscd.stop()
    assert "ACR122U" in bench.wait_for("down").text
    bench.pcscd.start()
    bench.wait_for("up", 2)
    assert bench.card.tap(UID[::-1]) == GREEN
    assert bench.kinds() == ["up", "tap", "down", "up", "tap"]


def test_a_card_that_stays_while_pcscd_starts_again_is_one_tap(bench: Bench) -> None:
    bench.card.present(UID)
    bench.wait_for_light(bench.card, UID)
    bench.pcscd.stop()
    bench.wait_for("down")
    bench.card.take_away()
    bench.pcscd.start()
    bench.card.present(UID)
    wait_for(lambda: len(bench.card.shown) == 2, "the light again")
    assert [light for _, light in bench.card.shown] == [GREEN] * 2
    assert bench.kinds() in (["up", "tap", "down", "up"], ["up", "tap", "down", "down", "up"])


def test_a_killed_pcscd_is_survived_too(bench: Bench) -> None:
    bench.pcscd.process.kill()
    bench.wait_for("down")
    bench.pcscd.start()
    bench.wait_for("up", 2)
    assert bench.card.tap(UID) == GREEN


def test_a_frozen_pcscd_is_reported_within_five_seconds_and_used_when_it_goes_on(
    bench: Bench,
) -> None:
    frozen_ns = time.monotonic_ns()
    os.kill(bench.pcscd.process.pid, signal.SIGSTOP)
    try:
        down = bench.wait_for("down", seconds=10)
        assert "blocked in a driver call" in down.text and down.at_ns - frozen_ns < 5_000_000_000
    finally:
        os.kill(bench.pcscd.process.pid, signal.SIGCONT)
    bench.wait_for("up", 2)
    assert bench.card.tap(UID) == GREEN
    assert bench.kinds() == ["up", "down", "up", "tap"]


def test_a_reader_blocked_in_a_command_is_started_again_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    readers = (f"{COUNTER}@* A *", "other=acs-acr122u@* B *", f"serial=rdm6300@{line.path}")
    with bench_of(tmp_path, *readers, cards=2) as bench:
        bench.wait_for("up", reader="other")
        bench.wait_for("up", reader="serial")
        blocked, other = bench.cards
        blocked.silent = True
        blocked.present(UID)
        for n in range(6):  # meals go on at the others, before and after the new start
            assert other.tap(UID[:-1] + bytes([n])) == GREEN
            line.hold(bytes([1, 0, 0, 0, n + 1]))
        assert "blocked in a driver call" in bench.wait_for("down").text
        blocked.take_away()
        blocked.silent = False
        assert blocked.tap(UID) == GREEN
        assert bench.kinds("counter") == ["up", "down", "up", "tap"]
        wait_for(lambda: bench.kinds("serial") == ["up"] + ["tap"] * 6, "the serial taps")
        assert bench.kinds("other") == ["up"] + ["tap"] * 6
    line.unplug()
