"""Traces are recorded within a limit, read with one sentence for an error, and replayed."""

from pathlib import Path

import msgspec
import pytest

from agent.errors import ReaderError
from agent.readers.profile_rules import load_profile
from agent.readers.trace import (
    HEAD,
    LINES_MAX,
    Trace,
    TraceLine,
    TraceRecorder,
    parse_trace,
    read_trace,
    replay,
    trace_text,
)
from tests.parts.record_traces import TRACES

RDM6300 = f"{HEAD}\n# profile rdm6300\n"
FRAME = b"\x02010063E9AE25\x03"


def test_a_recording_begins_at_zero_and_names_its_profile() -> None:
    profile = load_profile("rdm6300")
    recorder = TraceRecorder(profile)
    recorder.add(5_000, "open", b"")
    recorder.add(5_700, "<", FRAME)
    assert recorder.trace.lines == [TraceLine(0, "open"), TraceLine(700, "<", FRAME)]
    assert recorder.trace.remarks == [f"revision {profile.revision}, sha256 {profile.digest}"]


def test_a_recording_keeps_no_more_lines_than_its_limit() -> None:
    recorder = TraceRecorder(load_profile("rdm6300"))
    for n in range(LINES_MAX + 10):
        recorder.add(n, "<", b"\0")
    assert len(recorder.trace.lines) == LINES_MAX
    assert recorder.trace.lines[-1].ms == LINES_MAX - 1


def test_a_trace_is_written_as_text_and_read_again() -> None:
    lines = [TraceLine(0, "open"), TraceLine(7, "<", FRAME), TraceLine(8, "show", b"served")]
    trace = Trace("rdm6300", [*lines, TraceLine(8, "=", b"em:010063e9ae")], ["by hand"])
    text = trace_text(trace)
    assert text.splitlines()[:4] == [HEAD, "# profile rdm6300", "# by hand", "0 open"]
    assert parse_trace(text, "a.trace") == trace


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: not a trace; a trace begins with '# canteen reader trace 1'"),
        (f"{HEAD}\n0 open\n", r"the line '# profile ID' is missing"),
        (f"{RDM6300}x < 02\n", r"line 3: write milliseconds, one of open > <"),
        (f"{RDM6300}1 ? 02\n", r"line 3: write milliseconds"),
        (f"{RDM6300}\n1\n", r"line 4: write milliseconds"),
        (f"{RDM6300}1 < 0\n", r"line 3: write milliseconds"),
        (f"{RDM6300}² < 02\n", r"line 3: write milliseconds"),
        (f"{RDM6300}1 show hello\n", r"line 3: write milliseconds"),
        (f"{RDM6300}{'9' * 13} < 02\n", r"line 3: write milliseconds"),
        (f"{RDM6300}{'9' * 5_000} < 02\n", r"line 3: write milliseconds"),
    ],
)
def test_a_text_that_is_no_trace_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ReaderError, match=f"^a.trace: {sentence}"):
        parse_trace(text, "a.trace")


def test_a_time_has_12_digits_at_most() -> None:
    (line,) = parse_trace(f"{RDM6300}{'9' * 12} < 02\n", "a.trace").lines
    assert line == TraceLine(10**12 - 1, "<", b"\x02")


def test_the_error_for_a_damaged_line_contains_no_bytes_of_it() -> None:
    with pytest.raises(ReaderError) as raised:
        parse_trace(f"{RDM6300}1 < 04 A1 B2 C3 D\n", "a.trace")
    assert "A1" not in str(raised.value)


def test_the_representation_of_a_line_contains_no_card_number() -> None:
    assert "63E9" not in repr(Trace("rdm6300", [TraceLine(7, "<", FRAME)]))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.trace"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReaderError, match=f"{path}: cannot be read"):
        read_trace(path)


def test_repeats_of_a_frame_replay_as_one_tap() -> None:
    lines = [TraceLine(0, "open")] + [TraceLine(1_000 + 65 * n, "<", FRAME) for n in range(20)]
    taps = list(replay(load_profile("rdm6300"), Trace("rdm6300", lines)))
    assert taps == [TraceLine(1_065, "=", b"em:010063e9ae")]


def test_a_mute_card_replays_as_a_fault() -> None:
    lines = [TraceLine(0, "card", b"\x3b"), TraceLine(1, "mute")]
    trace = Trace("acs-acr122u", lines)
    assert list(replay(load_profile("acs-acr122u"), trace)) == [TraceLine(1, "=", b"mute")]


def test_a_replay_ends_at_the_first_bytes_that_today_are_not_sent() -> None:
    trace = read_trace(TRACES / "elatec-twn4-simple.trace")
    lines = [
        TraceLine(line.ms, ">", b"0006\r") if line.data == b"0004FF\r" else line
        for line in trace.lines
    ]
    sentence = "the code sends 30 30 30 34 46 46 0d, the trace has 30 30 30 36 0d"
    with pytest.raises(ReaderError, match=sentence):
        list(replay(load_profile("elatec-twn4-simple"), Trace(trace.profile, lines)))


def test_a_replay_ends_at_another_signal_of_a_pcsc_reader_too() -> None:
    profile = load_profile("acs-acr122u")
    exchanged = msgspec.structs.replace(profile.feedback, deny=profile.feedback.ok)
    trace = read_trace(TRACES / "acs-acr122u.trace")
    sentence = "sends ff 00 40 2e 04 01 00 01 01, the trace has ff 00 40 5d"
    with pytest.raises(ReaderError, match=sentence):
        list(replay(msgspec.structs.replace(profile, feedback=exchanged), trace))


def test_a_replay_goes_on_after_a_failed_start_up() -> None:
    lines = [
        TraceLine(0, "open"),
        TraceLine(0, ">", b"0004FF\r"),
        TraceLine(5, "<", b"01\r"),  # the reader's code gives up here
        TraceLine(6, ">", b"050010\r"),
        TraceLine(900, "open"),
        TraceLine(900, ">", b"0004FF\r"),
        TraceLine(905, "<", b"00\r"),
        TraceLine(906, ">", b"050010\r"),
        TraceLine(910, "<", b"00018020041C78F2BF\r"),
        TraceLine(911, ">", b"050010\r"),
        TraceLine(915, "<", b"00018020041C78F2BF\r"),
    ]
    taps = list(replay(load_profile("elatec-twn4-simple"), Trace("elatec-twn4-simple", lines)))
    assert taps == [TraceLine(915, "=", b"a:1c78f2bf")]
