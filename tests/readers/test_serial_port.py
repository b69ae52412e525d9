"""Every serial profile on a real pty: cards, noise, signals, and a port that is unplugged."""

import termios
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import serial

from agent.errors import ReaderError
from agent.readers.channel import SIGNAL_SOON_MS
from agent.readers.dialogue import FAULTS_MAX, GARBLED_CHUNKS
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderUp,
    Signal,
    SignalFailed,
)
from agent.readers.profile import Feedback, Step, given
from agent.readers.profile_kinds import SAME_PRESENCE_MS, Request
from agent.readers.profile_rules import load_profile
from agent.readers.serial_port import GOODBYE_MS_MAX, SerialReader
from tests.parts.clocked_channel import ClockedChannel
from tests.parts.process import wait_for
from tests.parts.serial_bench import (
    Bench,
    bench_of,
    card_of,
    pause,
    sends_of,
    shown_texts,
    thread_on,
)
from tests.parts.serial_line import (
    POLLED,
    PUSHING,
    FarEnd,
    Pn532,
    PolledFarEnd,
    Rdm880,
    Rdm6300,
    SerialLine,
    Twn4,
    Yhy632,
    rdm6300_frame,
)

CARD, OTHER_CARD = bytes.fromhex("010063e9ae"), bytes.fromhex("62e3086ced")


def each(*kinds: type[FarEnd]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.profile)


every_reader, every_polled_reader = each(*PUSHING, *POLLED), each(*POLLED)
every_reader_with_lights = each(Twn4, Yhy632)


@pytest.fixture
def line(tmp_path: Path) -> SerialLine:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    return line


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_of(Rdm6300, tmp_path) as bench:
        yield bench


@every_reader
def test_each_card_held_to_a_reader_is_one_tap(kind: type[FarEnd], tmp_path: Path) -> None:
    with bench_of(kind, tmp_path) as bench:
        for uid in bench.far_end.cards:
            bench.far_end.hold(uid)
            assert bench.card() == card_of(bench.far_end, uid)
        assert bench.events.empty()


@every_reader
def test_noise_and_half_frames_cost_no_card_after_a_pause(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        uid = bench.far_end.cards[0]
        bench.line.write(b"\x03\x00\xff\xaa\xbb\x02 \x7f")
        if not isinstance(bench.far_end, PolledFarEnd):
            bench.line.write(bench.far_end.frame(uid)[:-3])
        pause()
        bench.far_end.hold(uid)
        event = bench.next()
        if isinstance(event, CardUnreadable):  # a light for the half frame, if the pause let it end
            event = bench.next()
        assert isinstance(event, CardPresented)
        assert event.card.text == card_of(bench.far_end, uid)


@every_reader
def test_unplugged_and_plugged_in_again_is_one_down_and_one_up(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        bench.line.unplug()
        assert "by-path" in bench.down_reason()
        bench.line.plug()
        assert isinstance(bench.next(), ReaderUp)
        pause()
        bench.far_end.hold(bench.far_end.cards[0])
        assert bench.card() == card_of(bench.far_end, bench.far_end.cards[0])
        assert bench.events.empty()


@every_reader_with_lights
def test_a_signal_is_shown_while_the_reader_goes_on_reading(
    kind: type[PolledFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        first, second = bench.far_end.cards
        sends = sends_of(given(load_profile(kind.profile).feedback.ok))
        bench.far_end.hold(first)
        bench.card()
        wait_for(lambda: len(bench.far_end.shown) == len(sends), "the signal")
        assert shown_texts(bench.far_end) == sends
        bench.far_end.hold(second)
        assert bench.card() == card_of(bench.far_end, second)


def test_a_signal_with_another_answer_is_reported_and_the_reader_goes_on(tmp_path: Path) -> None:
    profile = load_profile("yhy632")
    ok = msgspec.structs.replace(given(profile.feedback.ok), expect="AA BB .. .. .. .. .. 09 09")
    feedback = msgspec.structs.replace(profile.feedback, ok=ok)
    odd = msgspec.structs.replace(profile, feedback=feedback)
    with bench_of(Yhy632, tmp_path, odd) as bench:
        first, second = bench.far_end.cards
        bench.far_end.hold(first)
        bench.card()
        for _ in ok.sends:
            failed = bench.next()
            assert isinstance(failed, SignalFailed) and "unexpected answer" in failed.reason
        bench.far_end.hold(second)
        assert bench.card() == card_of(bench.far_end, second)


def test_two_cards_are_refused_and_none_of_them_is_a_tap_until_both_are_removed(
    tmp_path: Path,
) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        first, second = bench.polled.cards
        bench.polled.field = [first, second]
        event = bench.next()
        assert isinstance(event, CardUnreadable) and event.fault == "many"
        bench.polled.field = [first]
        bench.wait_for_polls(9)
        assert bench.events.empty()
        bench.polled.take_away()
        bench.wait_for_polls(6)
        bench.polled.hold(first)
        assert bench.card() == card_of(bench.far_end, first)


def test_an_answer_that_reports_several_cards_keeps_the_reader_up(tmp_path: Path) -> None:
    with bench_of(Rdm880, tmp_path) as bench:
        first, second = bench.polled.cards
        bench.polled.field = [first, second]
        event = bench.next()
        assert isinstance(event, CardUnreadable) and event.fault == "many"
        bench.wait_for_polls(2 * FAULTS_MAX)
        assert bench.events.empty()
        bench.polled.take_away()
        bench.wait_for_polls(6)
        bench.polled.hold(second)
        assert bench.card() == card_of(bench.far_end, second)


def test_a_card_that_stays_is_one_tap_and_one_that_comes_back_another(tmp_path: Path) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        uid = bench.polled.cards[0]
        bench.polled.hold(uid)
        bench.card()
        bench.wait_for_polls(13)
        assert bench.events.empty()
        bench.polled.take_away()
        poll = load_profile("pn532-hsu").poll
        assert isinstance(poll, Request)
        bench.wait_for_polls(SAME_PRESENCE_MS // poll.interval_ms + 3)
        bench.polled.hold(uid)
        assert bench.card() == card_of(bench.far_end, uid)


@every_polled_reader
def test_a_lost_answer_makes_no_second_tap_of_a_card_that_stays(
    kind: type[PolledFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        bench.polled.hold(bench.polled.cards[0])
        bench.card()
        for _ in range(3):
            bench.polled.lost = 1
            bench.wait_for_polls(13)
        while not bench.events.empty():
            # The lost answer may be the one to the signal.
            assert isinstance(bench.next(), SignalFailed)


@every_reader_with_lights
def test_out_of_order_is_shown_when_the_agent_stops_by_a_fault(
    kind: type[PolledFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        bench.far_end.hold(bench.far_end.cards[0])
        assert isinstance(bench.next(), CardPresented)
        bench.thread.show_out_of_order()
        bench.thread.stop()
        sends = sends_of(given(load_profile(kind.profile).feedback.deny))
        assert shown_texts(bench.far_end) == sends


def test_a_silent_reader_delays_the_stop_for_a_moment_only(tmp_path: Path) -> None:
    profile = load_profile("yhy632")
    deny = given(profile.feedback.deny)
    deny = msgspec.structs.replace(deny, send=deny.sends * 10)
    feedback = msgspec.structs.replace(profile.feedback, deny=deny)
    with bench_of(Yhy632, tmp_path, msgspec.structs.replace(profile, feedback=feedback)) as bench:
        bench.polled.hold(bench.polled.cards[0])
        assert isinstance(bench.next(), CardPresented)
        bench.polled.silent = True
        bench.thread.show_out_of_order()
        begun = time.monotonic()
        bench.thread.stop()
        # Without the limit each of the 20 commands waits half a second for its answer.
        assert time.monotonic() - begun < GOODBYE_MS_MAX / 1000 + 2
        assert 0 < len(bench.far_end.shown) < len(deny.sends)


def test_wait_is_shown_in_time_by_a_reader_that_sends_nothing_meanwhile(tmp_path: Path) -> None:
    feedback = Feedback(busy=Step(send="AA"))
    profile = msgspec.structs.replace(load_profile("rdm6300"), feedback=feedback)
    took_ms = []
    with bench_of(Rdm6300, tmp_path, profile) as bench:
        for n in range(3):
            bench.line.hold(bytes([1, 0, 0, 0, n]), repeats=2)
            begun = time.monotonic()
            event = bench.next()
            assert isinstance(event, CardPresented)
            wait_for(lambda: b"\xaa" in bench.line.read(0.1), "*wait*")
            took_ms.append(1000 * (time.monotonic() - begun))
            bench.thread.show(event.tap, Signal.SERVED)
    # A loop that sleeps until something comes would show it with the next card only.
    assert SIGNAL_SOON_MS - 50 <= min(took_ms) < SIGNAL_SOON_MS + 400


@pytest.mark.parametrize(
    "noise", [b"\0", bytes.fromhex("0000ff00ff00")], ids=["noise", "acknowledgements"]
)
def test_a_reader_that_sends_bytes_and_answers_nothing_is_opened_again(
    noise: bytes, tmp_path: Path
) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        bench.polled.silent = True
        for _ in range(200):
            bench.line.write(noise)
            if not bench.events.empty():
                break
            pause()
        assert "keepalives" in bench.down_reason()


def test_a_silent_reader_is_opened_again_until_it_answers(tmp_path: Path) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        bench.polled.silent = True
        assert "keepalives" in bench.down_reason()
        bench.polled.silent = False
        assert isinstance(bench.next(), ReaderUp)
        bench.far_end.hold(bench.far_end.cards[0])
        bench.card()


def test_another_model_on_the_port_is_reported_at_start_up(line: SerialLine) -> None:
    with thread_on(line, load_profile("yhy632")) as (thread, events), Twn4(line):
        thread.start()
        down = events.get(timeout=20)
        thread.stop()
    assert isinstance(down, ReaderDown)
    assert down.reason.endswith("check the profile's model and baud rate")


def test_a_wrong_baud_rate_is_logged_once_and_a_right_frame_is_still_read(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    garbled = bytes(byte >> 1 | 0x80 for byte in rdm6300_frame(CARD))
    for _ in range(2 * GARBLED_CHUNKS):
        bench.line.write(garbled)
        pause()
    messages = [record.message for record in caplog.records if "baud rate" in record.message]
    assert messages == [
        f"Reader 'counter': RDM6300: {bench.line.path}: bytes arrive but no frame;"
        " check the profile's model and baud rate"
    ]
    bench.line.hold(CARD)
    lights = 0
    while isinstance(event := bench.next(), CardUnreadable):
        lights += 1  # until it is known that no bytes are frames
    assert isinstance(event, CardPresented) and event.card.text == "em:010063e9ae"
    assert lights < GARBLED_CHUNKS


def test_a_board_that_restarts_when_its_port_opens_is_waited_for(line: SerialLine) -> None:
    profile = load_profile("rdm6300")
    slow = msgspec.structs.replace(given(profile.serial), dtr=False, open_delay_ms=400)
    with thread_on(line, msgspec.structs.replace(profile, serial=slow)) as (thread, events):
        thread.start()
        pause()
        boot_text = b"ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n"
        line.write(boot_text + rdm6300_frame(OTHER_CARD))  # while it starts
        assert isinstance(events.get(timeout=20), ReaderUp)
        line.hold(CARD)
        event = events.get(timeout=20)
    assert isinstance(event, CardPresented) and event.card.text == "em:010063e9ae"


def test_bytes_from_before_the_opening_are_no_card(line: SerialLine) -> None:
    with thread_on(line, load_profile("rdm6300")) as (thread, events):
        line.hold(CARD)
        thread.start()
        assert isinstance(events.get(timeout=10), ReaderUp)
        line.hold(OTHER_CARD)
        event = events.get(timeout=10)
    assert isinstance(event, CardPresented) and event.card.text == "em:62e3086ced"


def test_a_card_that_is_held_for_long_is_one_tap(bench: Bench) -> None:
    bench.line.hold(CARD, repeats=40)  # longer than the debounce
    assert bench.card() == "em:010063e9ae"
    assert bench.events.empty()


def test_an_all_zero_frame_with_a_right_checksum_is_refused(bench: Bench) -> None:
    bench.line.write(b"\x02\x02\xff" + 2 * rdm6300_frame(bytes(5)) + b"\x0201")
    bench.line.write(2 * rdm6300_frame(CARD))
    event = bench.next()
    assert isinstance(event, CardUnreadable) and event.fault == "rejected-uid"
    assert bench.card() == "em:010063e9ae"
    assert bench.events.empty()


def test_a_port_that_is_absent_at_the_start_is_waited_for(tmp_path: Path) -> None:
    line = SerialLine(tmp_path / "late")
    with thread_on(line, load_profile("rdm6300")) as (thread, events):
        thread.start()
        down = events.get(timeout=10)
        assert isinstance(down, ReaderDown) and "No such file" in down.reason
        line.plug()
        assert isinstance(events.get(timeout=10), ReaderUp)


def test_a_line_has_the_stop_bits_and_the_parity_of_its_profile(line: SerialLine) -> None:
    """A pty keeps the flags of stop bits and odd parity."""
    profile = load_profile("rdm6300")
    settings = given(profile.serial)
    flags = {}
    for name, changed in {
        "8N1": settings,
        "8N2": msgspec.structs.replace(settings, stop_bits=2),
        "8O1": msgspec.structs.replace(settings, parity="odd"),
    }.items():
        with thread_on(line, msgspec.structs.replace(profile, serial=changed)) as (thread, events):
            thread.start()
            assert isinstance(events.get(timeout=20), ReaderUp)
            with open(line.path, "rb", buffering=0) as port:
                flags[name] = termios.tcgetattr(port)[2]
        line.plug()
    kept = termios.CSTOPB | termios.PARODD
    assert {name: flag & kept for name, flag in flags.items()} == {
        "8N1": 0,
        "8N2": termios.CSTOPB,
        "8O1": termios.PARODD,
    }


def test_a_port_that_refuses_the_settings_of_its_line_is_an_error(line: SerialLine) -> None:
    """A pty has no parity: it refuses it where nothing else changes."""
    profile = load_profile("rdm6300")
    settings = msgspec.structs.replace(given(profile.serial), data_bits=7, parity="even")
    reader = SerialReader(msgspec.structs.replace(profile, serial=settings), str(line.path))
    serial.Serial(str(line.path), 9600).close()
    with pytest.raises(ReaderError, match="refuses 9600 baud, 7E1: "):
        reader.run(ClockedChannel(lambda event: None))


@pytest.mark.parametrize("port", ["/dev/null", "a\0b"])
def test_a_path_that_is_no_port_is_an_error_with_model_and_path(port: str) -> None:
    reader = SerialReader(load_profile("rdm6300"), port)
    with pytest.raises(ReaderError) as raised:
        reader.run(ClockedChannel(lambda event: None))
    assert str(raised.value).startswith(f"RDM6300: {port}: ")
