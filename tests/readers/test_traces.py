"""The recorded traces: every profile has one, and today's code gives the taps that it records."""

from pathlib import Path

import pytest

from agent.readers.profile_rules import all_profiles, load_profile
from agent.readers.trace import parse_trace, read_trace, replay, trace_text
from tests.parts.record_traces import TRACES, serial
from tests.parts.serial_line import POLLED, PUSHING, Rdm6300

PATHS = {path.stem: path for path in sorted(TRACES.glob("*.trace"))}
PCSC_UIDS = {bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("1c78f2bf")}
HELD = {uid for kind in (*PUSHING, *POLLED) for uid in kind.cards} | PCSC_UIDS
every_trace = pytest.mark.parametrize("path", PATHS.values(), ids=lambda path: path.stem)


def test_every_profile_has_a_trace() -> None:
    assert set(PATHS) == {profile.id for profile in all_profiles()}


@every_trace
def test_a_replay_gives_the_recorded_taps(path: Path) -> None:
    trace = read_trace(path)
    expected = [line for line in trace.lines if line.mark == "="]
    assert list(replay(load_profile(trace.profile), trace)) == expected and len(expected) >= 2


@every_trace
def test_a_trace_is_written_as_it_was_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert trace_text(parse_trace(text, "again")) == text


@every_trace
def test_no_card_that_was_held_to_a_reader_is_in_its_trace(path: Path) -> None:
    stream = b"".join(line.data for line in read_trace(path).lines if line.mark == "<")
    for uid in HELD:
        forms = (uid, uid.hex().encode(), uid.hex().upper().encode())
        assert not any(form in stream for form in forms)


def test_a_recording_of_a_running_reader_replays_as_it_was_detected(tmp_path: Path) -> None:
    printed = serial(tmp_path / "bench", Rdm6300, seconds=5, output=tmp_path / "out.trace")
    assert "3 taps" in printed and "the replay gives" not in printed
    trace = read_trace(tmp_path / "out.trace")
    taps = [line for line in trace.lines if line.mark == "="]
    assert list(replay(load_profile("rdm6300"), trace)) == taps
