"""PC/SC readers on a real pcscd with a virtual reader: odd cards and lights."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.readers.events import Signal
from agent.readers.pcsc import BUSY_WAIT_MS, RESETS_MAX, UNREAD_MS
from agent.readers.pending_signal import LIGHTS_MAX
from agent.readers.profile_rules import load_profile
from tests.parts.other_programs import HOLDER, OTHER_PROGRAM
from tests.parts.pcsc import GET_UID, escape_driver
from tests.parts.pcsc_bench import COUNTER, GREEN, RED, UID, WAIT, Bench, bench_of
from tests.parts.process import Process, wait_for
from tests.parts.profiles import edited


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_of(tmp_path) as bench:
        yield bench


def test_a_card_is_read_once_and_shown_green(bench: Bench) -> None:
    assert bench.card.tap(UID) == GREEN
    assert bench.taps() == ["a:04a1b2c3d4e5f6"]
    assert bench.kinds() == ["up", "tap"]


def test_taps_in_a_row_are_each_read(bench: Bench) -> None:
    for n in range(5):
        assert bench.card.tap(UID[:-1] + bytes([n])) == GREEN
    assert [tap[-2:] for tap in bench.taps()] == ["00", "01", "02", "03", "04"]


def test_cards_exchanged_within_one_poll_are_each_read(bench: Bench) -> None:
    for n in range(6):
        uid = UID[:-1] + bytes([n])
        bench.card.present(uid)  # takes the card before away in the same moment
        bench.wait_for_light(bench.card, uid)
    green = [uid[-2:] for uid, light in bench.card.shown if light == GREEN]
    assert green == ["00", "01", "02", "03", "04", "05"]


def test_a_card_that_takes_the_place_of_another_during_its_light_is_read(bench: Bench) -> None:
    """The driver answers the light with nothing, and pcscd has no event for the exchange."""
    bench.card.next_uid = UID[::-1]
    bench.card.present(UID)
    bench.wait_for_light(bench.card, UID[::-1])
    assert bench.kinds() == ["up", "tap", "tap"]


@pytest.mark.parametrize(
    ("atr", "uid", "fault"),
    [
        ("", "08123456", "random"),
        ("3B888001E1F35E117781A10000", "5ec0e07a", "random-b"),
        ("3B8F8001804F0CA0000003060600060000000000", "5ec0e07a", "random-b"),
        ("3B8F8001804F0CA00000030603F011000000008A", "01fe3d4c5b6a7988", "random-f"),
    ],
)
def test_a_card_with_a_random_number_is_refused_with_its_reason(
    bench: Bench, atr: str, uid: str, fault: str
) -> None:
    bench.card.atr = bytes.fromhex(atr) or bench.card.atr
    assert bench.card.tap(bytes.fromhex(uid)) == RED
    assert bench.wait_for("fault").text == fault


@pytest.mark.parametrize("answer", [b"\x63\x00", b"\x90\x00", b"\xff" * 64])
def test_a_card_with_a_wrong_answer_is_refused_and_the_next_one_read(
    bench: Bench, answer: bytes
) -> None:
    bench.card.answer_to_uid = answer
    assert bench.card.tap(UID) == RED
    bench.card.answer_to_uid = None
    assert bench.card.tap(UID) == GREEN


def test_a_card_without_a_complete_answer_is_asked_again_and_then_refused(bench: Bench) -> None:
    bench.card.answer_to_uid = b"\x90"
    assert bench.card.tap(UID) == RED
    assert bench.wait_for("fault").text == "status"
    first_ns, *others_ns = bench.card.answered_ns
    assert len(others_ns) > 1 and others_ns[-1] - first_ns >= (UNREAD_MS - BUSY_WAIT_MS) * 10**6


def test_a_card_that_is_read_at_last_is_a_tap_after_its_fault(bench: Bench) -> None:
    bench.card.answer_to_uid = b"\x90"
    bench.card.present(UID)
    bench.wait_for("fault")
    bench.card.answer_to_uid = None
    bench.wait_for_light(bench.card, UID)
    assert bench.kinds() == ["up", "fault", "tap"]


def test_a_card_removed_during_the_command_is_no_tap_and_the_next_one_is_read(
    bench: Bench,
) -> None:
    bench.card.pulled = True
    bench.card.present(UID)
    wait_for(lambda: not bench.card.is_present, "the card removed")
    bench.card.take_away()
    bench.card.pulled = False
    assert bench.card.tap(UID) == GREEN
    assert bench.kinds() == ["up", "tap"], bench.events()


def test_a_slow_card_is_waited_for(bench: Bench) -> None:
    bench.card.delay_s = 1.5
    assert bench.card.tap(UID) == GREEN
    assert bench.kinds() == ["up", "tap"]


def test_a_card_without_an_answer_to_reset_is_refused(tmp_path: Path) -> None:
    driver, _ = escape_driver(tmp_path / "driver")
    with bench_of(tmp_path, driver=driver) as bench:
        bench.card.mute = True
        bench.card.present(UID)
        assert bench.wait_for("fault").text == "mute"
        bench.card.take_away()
        bench.card.mute = False
        assert bench.card.tap(UID) == GREEN
        assert bench.kinds() == ["up", "fault", "tap"]


def test_a_card_that_cannot_be_connected_gets_the_lights_that_need_no_card(tmp_path: Path) -> None:
    driver, log = escape_driver(tmp_path / "driver")
    with bench_of(tmp_path, "counter=acs-acr1252u@*", driver=driver) as bench:
        bench.card.mute = True
        bench.card.present(UID)
        assert bench.wait_for("fault").text == "mute"
        deny = load_profile("acs-acr1252u").step_for(Signal.REFUSED)
        assert deny is not None
        sent = [send.replace(" ", "") for send in deny.sends]
        wait_for(lambda: log.read_text().splitlines() == sent, "the light of a refusal")
        assert bench.kinds() == ["up", "fault"]


def test_a_card_that_another_program_holds_is_one_sentence_soon_and_read_when_released(
    bench: Bench,
) -> None:
    """The probe is stopped while the other program takes the card: else the first one wins."""
    log = bench.probe.log.with_name("other.log")
    command = bench.pcscd.namespace.command(sys.executable, "-c", HOLDER)
    with Process(command, log):
        wait_for(lambda: "ready" in log.read_text(), "the other program ready")
        os.kill(bench.probe.pid, signal.SIGSTOP)
        bench.card.present(UID)
        wait_for(lambda: "held" in log.read_text(), "the card held")
        resumed_ns = time.monotonic_ns()
        os.kill(bench.probe.pid, signal.SIGCONT)
        fault = bench.wait_for("fault")
        assert fault.text == "taken" and fault.at_ns - resumed_ns < 2_000_000_000
        with pytest.raises(TimeoutError):  # for longer than two further tries
            wait_for(lambda: bench.kinds() != ["up", "fault"], "another line", 2.5)
    bench.wait_for_light(bench.card, UID)
    assert bench.kinds() == ["up", "fault", "tap"]


def test_a_late_answer_is_shown_after_wait(tmp_path: Path) -> None:
    with bench_of(tmp_path, answer_after_s=1) as bench:
        bench.card.present(UID)
        wait_for(lambda: len(bench.card.shown) == 2, "two signals")
        bench.card.take_away()
    assert [light for _, light in bench.card.shown] == [WAIT, GREEN]


def test_a_late_signal_does_not_delay_the_next_card(tmp_path: Path) -> None:
    with bench_of(tmp_path, answer_after_s=3) as bench:
        bench.card.present(UID)
        first = bench.wait_for("tap")
        bench.card.present(UID[::-1])
        second = bench.wait_for("tap", 2)
        assert second.at_ns - first.at_ns < 2_500_000_000  # before the first had its signal


def test_a_card_removed_before_its_light_gets_it_when_it_is_back(tmp_path: Path) -> None:
    with bench_of(tmp_path, answer_after_s=0.6) as bench:
        bench.card.present(UID)
        bench.wait_for("tap")
        bench.card.take_away()
        bench.card.present(UID)
        bench.wait_for_light(bench.card, UID)
        assert bench.kinds() == ["up", "tap"]


def test_a_card_in_a_field_with_glitches_is_one_tap_and_its_light_stays_the_same(
    bench: Bench,
) -> None:
    for _ in range(5):
        assert bench.card.tap(UID) == GREEN
    assert [light for _, light in bench.card.shown] == [GREEN] * 5
    assert bench.kinds() == ["up", "tap"]


def test_a_light_that_always_fails_is_not_shown_for_ever(bench: Bench) -> None:
    bench.card.answer_to_light = b"\x90"  # as if the card were removed
    bench.card.present(UID)
    wait_for(lambda: len(bench.card.shown) == LIGHTS_MAX, "the last light")
    answered = len(bench.card.answered_ns)
    wait_for(lambda: len(bench.card.answered_ns) > answered, "the card read once more")
    bench.card.take_away()
    bench.card.answer_to_light = b"\x90\x02"
    assert bench.card.tap(UID[::-1]) == GREEN
    assert [uid for uid, _ in bench.card.shown] == [UID.hex()] * LIGHTS_MAX + [UID[::-1].hex()]
    assert bench.kinds() == ["up", "tap", "tap"]


def test_no_child_sees_the_light_of_another(tmp_path: Path) -> None:
    """The first child's answer is late. Meanwhile the second, who tapped at the other reader, holds
    the same card here, which is no new tap."""
    readers = (f"{COUNTER}@* A *", "other=acs-acr122u@* B *")
    with bench_of(tmp_path, *readers, answer_after_s=2.5, cards=2) as bench:
        bench.wait_for("up", reader="other")
        counter, other = bench.cards
        first, second = UID, UID[::-1]
        counter.present(first)
        bench.wait_for("tap")
        counter.take_away()
        wait_for(lambda: not counter.is_present, "the first card gone")
        other.present(second)
        bench.wait_for("tap", reader="other")
        counter.present(second)
        bench.wait_for_light(other, second, 10)
        assert bench.kinds("counter") == ["up", "tap"]
        assert [light for _, light in counter.shown if light != WAIT] == []


@pytest.mark.parametrize("how", ["reset", "exclusive"])
def test_another_program_that_uses_the_card_costs_no_tap(bench: Bench, how: str) -> None:
    """It resets the card twenty times, fewer than `RESETS_MAX`: each light is sent all the same."""
    assert RESETS_MAX > 20
    log = bench.probe.log.with_name("other.log")
    command = bench.pcscd.namespace.command(sys.executable, "-c", OTHER_PROGRAM, how)
    uids = [UID[:-1] + bytes([n]) for n in range(3)]
    with Process(command, log):
        for n, uid in enumerate(uids, start=1):
            bench.card.present(uid)
            bench.hold_until_light(bench.card, uid)
            _wait_for_lines(log, n)
            bench.card.take_away()
    assert bench.taps() == [f"a:{uid.hex()}" for uid in uids]
    assert bench.kinds() == ["up", "tap", "tap", "tap"]


def _wait_for_lines(log: Path, count: int) -> None:
    wait_for(lambda: log.read_text().count("left alone") >= count, "the other program's end")


def test_escape_commands_use_the_code_that_the_driver_names(tmp_path: Path) -> None:
    driver, log = escape_driver(tmp_path / "driver")
    with bench_of(tmp_path / "122", COUNTER, driver=driver):
        assert log.read_text().splitlines() == ["FF00520000"]  # start-up, without a card
    with bench_of(tmp_path / "1252", "counter=acs-acr1252u@*", driver=driver) as bench:
        bench.card.present(UID)
        wait_for(lambda: len(log.read_text().splitlines()) == 3, "light and buzzer")
    assert log.read_text().splitlines()[1:] == ["E00000290102", "E0000028010A"]


def test_without_escape_commands_the_reader_reads_and_the_missing_signal_is_reported(
    tmp_path: Path,
) -> None:
    driver, log = escape_driver(tmp_path / "driver", allowed=False)
    with bench_of(tmp_path, "counter=acs-acr1252u@*", driver=driver) as bench:
        bench.card.present(UID)
        bench.wait_for("tap")
        assert "the driver allows no escape commands" in bench.wait_for("failed").text
    assert log.read_text() == ""


def test_the_failure_of_a_signal_contains_no_card_number(tmp_path: Path) -> None:
    """The signal's command is answered with the card's number, as an odd reader might do."""
    green, get_uid = "FF 00 40 2E 04 01 00 01 01", GET_UID.hex(" ")
    profile = edited(tmp_path, "acs-acr122u", green, get_uid)
    with bench_of(tmp_path, f"counter={profile}") as bench:
        bench.card.present(UID)
        failed = bench.wait_for("failed")
    assert failed.text == f"{get_uid}: expected 90.., received 9 other bytes"


@pytest.mark.timeout(400)
def test_five_hundred_taps_leave_no_context_behind(tmp_path: Path) -> None:
    """Seven readers take turns, so that all wait together for pcscd, which looks every 0.4 s."""
    names = [f"r{letter}" for letter in "ABCDEFG"]
    readers = tuple(f"{name}=acs-acr122u@* {name[1]} *" for name in names)
    with bench_of(tmp_path, *readers, cards=len(names)) as bench:
        for name in names:
            bench.wait_for("up", reader=name)
        before = 0
        for n in range(72):
            uids = [bytes([4, k]) + n.to_bytes(5, "big") for k in range(len(names))]
            for card, uid in zip(bench.cards, uids, strict=True):
                card.present(uid)
            for card, uid in zip(bench.cards, uids, strict=True):
                bench.hold_until_light(card, uid)
            before = descriptors(bench) if n == 4 else before
        assert [len(set(bench.taps(name))) for name in names] == [72] * len(names)
        assert descriptors(bench) <= before


def descriptors(bench: Bench) -> int:
    """Return how many files the probe and pcscd hold open: a context is a socket on both sides."""
    pids = [bench.probe.pid, bench.pcscd.process.pid]
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
