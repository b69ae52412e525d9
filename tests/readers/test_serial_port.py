"""Every serial profile on a real pty with a far end that speaks the reader's side: cards, noise, signals, the port going and coming."""

import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from agent.domain.card import CardId
from agent.readers.events import (
    CardPresented,
    CardUnreadable,
    ReaderDown,
    ReaderEvent,
    ReaderUp,
    Signal,
    SignalFailed,
)
from agent.readers.open import ReaderConfig, reader_thread
from agent.readers.presence import LateTaps
from agent.readers.profile import Profile, given
from agent.readers.profile_rules import load_profile
from agent.readers.thread import ReaderThread
from tests.parts.process import wait_for
from tests.parts.serial_line import (
    ASKED,
    PUSHING,
    AskedFarEnd,
    FarEnd,
    Pn532,
    Rdm6300,
    SerialLine,
    Twn4,
    Yhy632,
    rdm6300_frame,
)

TAG = bytes.fromhex("010063e9ae")
PAUSE_S = 0.15  # longer than any profile's max_gap_ms
every_serial_reader = pytest.mark.parametrize(
    "kind", [*PUSHING, *ASKED], ids=lambda kind: kind.profile
)


@dataclass
class Bench:
    line: SerialLine
    far: FarEnd
    thread: ReaderThread
    events: "queue.Queue[ReaderEvent]"

    def next(self) -> ReaderEvent:
        return self.events.get(timeout=10)

    def card(self) -> str:
        event = self.next()
        assert isinstance(event, CardPresented), event
        self.thread.show(event.tap, Signal.SERVED)
        return event.card.text

    def pause(self) -> None:
        """Let the line be quiet for longer than a frame's longest gap."""
        threading.Event().wait(PAUSE_S)


@contextmanager
def bench_of(kind: type[FarEnd], folder: Path, profile: Profile | None = None) -> Iterator[Bench]:
    profile = profile or load_profile(kind.profile)
    line = SerialLine(folder / "by-path")
    line.plug()
    events: queue.Queue[ReaderEvent] = queue.Queue()
    config = ReaderConfig(name="counter", profile=profile, port=str(line.path), device=None)
    thread = reader_thread(config, events.put, LateTaps(threading.Lock()))
    with ExitStack() as stack:
        stack.callback(line.unplug)
        far = stack.enter_context(kind(line))
        thread.start()
        stack.callback(thread.stop)
        bench = Bench(line, far, thread, events)
        assert bench.next() == ReaderUp(reader="counter", at=str(line.path))
        bench.pause()
        yield bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_of(Rdm6300, tmp_path) as bench:
        yield bench


def expected(far: FarEnd, uid: bytes) -> str:
    return CardId(far.prefix if len(uid) != 4 else "a", uid).text


@every_serial_reader
def test_each_card_held_to_a_reader_is_one_tap(kind: type[FarEnd], tmp_path: Path) -> None:
    with bench_of(kind, tmp_path) as bench:
        for uid in bench.far.cards:
            bench.far.hold(uid)
            assert bench.card() == expected(bench.far, uid)
        assert bench.events.empty()


@every_serial_reader
def test_noise_and_half_frames_cost_no_card_that_comes_after_a_pause(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        uid = bench.far.cards[0]
        bench.line.write(b"\x02\x00\xff\xaa\xbb\x03 \x7f")
        if not isinstance(bench.far, AskedFarEnd):
            bench.line.write(bench.far.frame(uid)[:-3])
        bench.pause()
        bench.far.hold(uid)
        assert bench.card() == expected(bench.far, uid)


@every_serial_reader
def test_unplugged_and_plugged_in_again_is_one_down_and_one_up(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        bench.line.unplug()
        down = bench.next()
        assert isinstance(down, ReaderDown) and "by-path" in down.reason
        bench.line.plug()
        assert isinstance(bench.next(), ReaderUp)
        bench.pause()
        bench.far.hold(bench.far.cards[0])
        assert bench.card() == expected(bench.far, bench.far.cards[0])
        assert bench.events.empty()


@pytest.mark.parametrize("kind", [Twn4, Yhy632], ids=lambda kind: kind.profile)
def test_a_signal_is_shown_while_the_reader_goes_on_reading(
    kind: type[AskedFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        ok = load_profile(kind.profile).feedback.ok
        sends = [text.replace(" ", "") for text in given(ok).sends]
        bench.far.hold(bench.far.cards[0])
        bench.card()
        wait_for(lambda: len(bench.far.shown) == len(sends), "the signal")
        shown = [
            sent.decode("ascii") if kind is Twn4 else sent.hex().upper() for sent in bench.far.shown
        ]
        assert shown == sends
        bench.far.hold(bench.far.cards[1])
        assert bench.card() == expected(bench.far, bench.far.cards[1])


def test_a_signal_that_is_not_taken_is_counted_and_not_fatal(tmp_path: Path) -> None:
    ok = msgspec.structs.replace(
        given(load_profile("yhy632").feedback.ok), expect="AA BB .. .. .. .. .. 09 09"
    )
    odd = msgspec.structs.replace(
        load_profile("yhy632"),
        feedback=msgspec.structs.replace(load_profile("yhy632").feedback, ok=ok),
    )
    with bench_of(Yhy632, tmp_path, odd) as bench:
        bench.far.hold(bench.far.cards[0])
        bench.card()
        failed = bench.next()
        assert isinstance(failed, SignalFailed) and "another answer" in failed.reason


def test_two_cards_in_the_field_are_refused_and_none_of_them_counts_until_both_have_gone(
    tmp_path: Path,
) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        assert isinstance(bench.far, Pn532)
        bench.far.field = [*bench.far.cards]
        event = bench.next()
        assert isinstance(event, CardUnreadable) and (
            event.fault,
            "one card only" in event.sentence,
        ) == ("many", True)
        bench.far.field = [bench.far.cards[0]]  # one is taken away: nobody has chosen the other
        asked = bench.far.asked
        wait_for(lambda: bench.far.asked > asked + 8, "some polls")  # type: ignore[attr-defined]
        assert bench.events.empty()
        bench.far.take_away()
        asked = bench.far.asked
        wait_for(lambda: bench.far.asked > asked + 5, "some polls")  # type: ignore[attr-defined]
        bench.far.hold(bench.far.cards[0])
        assert bench.card() == "a:04a1b2c3d4e5f6"


def test_a_card_that_stays_is_one_tap_and_one_that_comes_back_another(tmp_path: Path) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        assert isinstance(bench.far, Pn532)
        bench.far.hold(bench.far.cards[0])
        bench.card()
        asked = bench.far.asked
        wait_for(lambda: bench.far.asked > asked + 12, "some polls")  # type: ignore[attr-defined]
        assert bench.events.empty()
        bench.far.take_away()
        asked = bench.far.asked
        wait_for(lambda: bench.far.asked > asked + 5, "some polls")  # type: ignore[attr-defined]
        bench.far.hold(bench.far.cards[0])
        assert bench.card() == "a:04a1b2c3d4e5f6"


@pytest.mark.parametrize("kind", ASKED, ids=lambda kind: kind.profile)
def test_an_answer_that_is_lost_makes_no_second_tap_of_a_card_that_lies(
    kind: type[AskedFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        far = bench.far
        assert isinstance(far, AskedFarEnd)
        far.hold(far.cards[0])
        bench.card()
        for _ in range(3):
            far.lost = 1
            asked = far.asked
            wait_for(lambda: far.asked > asked + 12, "polls after a lost answer")
        while not bench.events.empty():
            assert isinstance(
                bench.next(), SignalFailed
            )  # the answer to the signal may be the one that is lost


@pytest.mark.parametrize("kind", [Twn4, Yhy632], ids=lambda kind: kind.profile)
def test_out_of_order_is_shown_when_the_agent_stops_by_a_fault(
    kind: type[AskedFarEnd], tmp_path: Path
) -> None:
    with bench_of(kind, tmp_path) as bench:
        bench.far.hold(bench.far.cards[0])
        assert isinstance(bench.next(), CardPresented)
        bench.thread.show_out_of_order()
        bench.thread.stop()
        sends = [
            text.replace(" ", "") for text in given(load_profile(kind.profile).feedback.deny).sends
        ]
        assert [
            sent.decode("ascii") if kind is Twn4 else sent.hex().upper() for sent in bench.far.shown
        ] == sends


@pytest.mark.parametrize(
    "noise", [b"\0", bytes.fromhex("0000ff00ff00")], ids=["noise", "acknowledgements alone"]
)
def test_a_reader_that_says_something_and_answers_nothing_is_opened_anew(
    noise: bytes, tmp_path: Path
) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        assert isinstance(bench.far, Pn532)
        bench.far.deaf = True
        for _ in range(200):
            bench.line.write(noise)
            if not bench.events.empty():
                break
            bench.pause()
        down = bench.next()
        assert isinstance(down, ReaderDown) and "silent" in down.reason


def test_a_reader_that_falls_silent_is_asked_whether_it_lives_and_opened_anew(
    tmp_path: Path,
) -> None:
    with bench_of(Pn532, tmp_path) as bench:
        assert isinstance(bench.far, Pn532)
        bench.far.deaf = True
        down = bench.next()
        assert isinstance(down, ReaderDown) and "silent" in down.reason
        bench.far.deaf = False
        assert isinstance(bench.next(), ReaderUp)
        bench.far.hold(bench.far.cards[0])
        bench.card()


def test_another_model_or_another_speed_on_the_port_is_said_at_start_up(tmp_path: Path) -> None:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    events: queue.Queue[ReaderEvent] = queue.Queue()
    config = ReaderConfig(
        name="counter", profile=load_profile("yhy632"), port=str(line.path), device=None
    )
    thread = reader_thread(config, events.put, LateTaps(threading.Lock()))
    with Twn4(line):  # speaks another protocol
        thread.start()
        down = events.get(timeout=20)
        thread.stop()
    line.unplug()
    assert isinstance(down, ReaderDown) and "is it this model, at this speed?" in down.reason


def test_a_reader_at_another_speed_is_told_of_once_and_read_when_it_is_right(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    garbled = bytes(byte >> 1 | 0x80 for byte in rdm6300_frame(TAG))
    for _ in range(40):
        bench.line.write(garbled)
        bench.pause()
    assert [record.message for record in caplog.records if "another speed?" in record.message] == [
        f"reader 'counter': RDM6300: {bench.line.path}: no frame of this model comes: another model, or another speed?"
    ]
    bench.line.hold(TAG)
    assert bench.card() == "em:010063e9ae"


def test_a_board_that_starts_anew_when_its_port_is_opened_is_waited_for(tmp_path: Path) -> None:
    serial_ = msgspec.structs.replace(
        given(load_profile("rdm6300").serial), dtr=False, open_delay_ms=400
    )
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    events: queue.Queue[ReaderEvent] = queue.Queue()
    profile = msgspec.structs.replace(load_profile("rdm6300"), serial=serial_)
    config = ReaderConfig(name="counter", profile=profile, port=str(line.path), device=None)
    thread = reader_thread(config, events.put, LateTaps(threading.Lock()))
    thread.start()
    threading.Event().wait(0.1)
    line.write(
        b"ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n"
        + rdm6300_frame(bytes.fromhex("62e3086ced"))
    )  # said while it starts
    assert isinstance(events.get(timeout=5), ReaderUp)
    line.hold(TAG)
    event = events.get(timeout=5)
    thread.stop()
    line.unplug()
    assert isinstance(event, CardPresented) and event.card.text == "em:010063e9ae"


def test_stale_bytes_from_before_the_opening_are_no_card(tmp_path: Path) -> None:
    line = SerialLine(tmp_path / "by-path")
    line.plug()
    events: queue.Queue[ReaderEvent] = queue.Queue()
    thread = reader_thread(
        ReaderConfig(
            name="counter", profile=load_profile("rdm6300"), port=str(line.path), device=None
        ),
        events.put,
        LateTaps(threading.Lock()),
    )
    line.hold(TAG)
    thread.start()
    assert isinstance(events.get(timeout=10), ReaderUp)
    line.hold(bytes.fromhex("62e3086ced"))
    event = events.get(timeout=10)
    thread.stop()
    line.unplug()
    assert isinstance(event, CardPresented) and event.card.text == "em:62e3086ced"


def test_a_tag_held_to_the_antenna_for_long_is_one_tap(bench: Bench) -> None:
    bench.line.hold(TAG, repeats=40)  # longer than the debounce
    assert bench.card() == "em:010063e9ae"
    assert bench.events.empty()


def test_an_all_zero_frame_with_a_right_checksum_is_refused_with_its_reason(bench: Bench) -> None:
    bench.line.write(b"\x02\x02\xff" + rdm6300_frame(bytes(5)) + b"\x0201" + rdm6300_frame(TAG))
    event = bench.next()
    assert isinstance(event, CardUnreadable) and event.fault == "rejected-uid" and event.sentence
    assert bench.card() == "em:010063e9ae"
    assert bench.events.empty()


def test_a_port_that_is_not_there_at_the_start_is_waited_for(tmp_path: Path) -> None:
    events: queue.Queue[ReaderEvent] = queue.Queue()
    line = SerialLine(tmp_path / "late")
    config = ReaderConfig(
        name="counter", profile=load_profile("rdm6300"), port=str(line.path), device=None
    )
    thread = reader_thread(config, events.put, LateTaps(threading.Lock()))
    thread.start()
    down = events.get(timeout=10)
    assert isinstance(down, ReaderDown) and "No such file" in down.reason
    line.plug()
    assert isinstance(events.get(timeout=10), ReaderUp)
    thread.stop()
    wait_for(events.empty, "silence")
    line.unplug()
