"""Traces: every profile has one and it plays as it was recorded; what is written holds no card of anybody."""

import random
from pathlib import Path

import msgspec
import pytest

from agent.domain.card import CardId
from agent.errors import ReaderError
from agent.readers.framing import Frame
from agent.readers.identity import card_of_frame
from agent.readers.profile import Profile
from agent.readers.profile_rules import all_profiles, load_profile
from agent.readers.trace import Note, Trace, parse_trace, read_trace, replay, scrubbed, write_trace
from tests.parts.record_traces import TRACES, serial
from tests.parts.serial_line import ASKED, PUSHING, FarEnd, SerialLine, Yhy632

TRACED = {path.stem: path for path in sorted(TRACES.glob("*.trace"))}
REAL = {uid for kind in (*PUSHING, *ASKED) for uid in kind.cards} | {
    bytes.fromhex("04a1b2c3d4e5f6"),
    bytes.fromhex("1c78f2bf"),
}


def test_every_profile_has_a_trace() -> None:
    assert set(TRACED) == {profile.id for profile in all_profiles()}


@pytest.mark.parametrize("path", TRACED.values(), ids=lambda path: path.stem)
def test_a_trace_plays_as_it_was_recorded(path: Path) -> None:
    trace = read_trace(path)
    expected = [note for note in trace.notes if note.mark == "="]
    assert list(replay(load_profile(trace.profile), trace)) == expected and len(expected) >= 2
    assert write_trace(parse_trace(path.read_text(), "again")) == path.read_text()


@pytest.mark.parametrize("path", TRACED.values(), ids=lambda path: path.stem)
def test_no_card_that_was_held_to_a_reader_stands_in_its_trace(path: Path) -> None:
    stream = b"".join(note.data for note in read_trace(path).notes if note.mark == "<")
    for uid in REAL:
        assert not any(
            form in stream for form in (uid, uid.hex().encode(), uid.hex().upper().encode())
        )


def test_a_signal_of_other_bytes_now_is_told_for_a_pcsc_reader_too() -> None:
    trace = read_trace(TRACED["acs-acr122u"])
    profile = load_profile("acs-acr122u")
    swapped = msgspec.structs.replace(profile.feedback, deny=profile.feedback.ok)
    with pytest.raises(
        ReaderError, match="sends ff 00 40 2e 04 01 00 01 01, the trace has ff 00 40 5d"
    ):
        list(replay(msgspec.structs.replace(profile, feedback=swapped), trace))


def test_a_reader_that_answered_wrongly_at_start_up_leaves_a_trace_all_the_same() -> None:
    notes = [
        Note(0, "open"),
        Note(0, ">", b"0004FF\r"),
        Note(5, "<", b"01\r"),
        Note(900, "open"),
        Note(900, ">", b"0004FF\r"),
    ]
    clean = scrubbed(load_profile("elatec-twn4-simple"), Trace("elatec-twn4-simple", notes), b"key")
    assert [note.mark for note in clean.notes] == ["open", ">", "<", "open", ">"]


def test_stuffed_frames_are_exchanged_and_what_follows_stays_in_its_place() -> None:
    profile, source = load_profile("yhy632"), random.Random(1)
    far = Yhy632(SerialLine(Path("never-plugged")))
    for _ in range(200):
        far.field = [bytes([0x04, *(source.choice((0xAA, 0x00, 0x11)) for _ in range(3))])]
        answer, _ = far.answer(bytes.fromhex("AABB0600FFFF02020404"))
        raw = answer * 3
        cut = source.randint(1, len(raw) - 1)
        clean = scrubbed(
            profile, Trace(profile.id, [Note(10, "<", raw[:cut]), Note(12, "<", raw[cut:])]), b"key"
        )
        stream = b"".join(note.data for note in clean.notes if note.mark == "<")
        assert len(_cards(profile, stream)) == 3 and not any(
            card in _cards(profile, raw) for card in _cards(profile, stream)
        )


@pytest.mark.parametrize("kind", PUSHING, ids=lambda kind: kind.profile)
def test_whatever_the_numbers_and_however_the_stream_is_cut_they_are_exchanged_and_still_read(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    profile, source = load_profile(kind.profile), random.Random(kind.profile)
    far = kind(SerialLine(tmp_path / "never-plugged"))
    for round_ in range(60):
        uids = [_random_like(far.cards[0], source) for _ in range(3)]
        notes, ms = [Note(0, "open")], 1_000
        for uid in uids:
            raw = far.frame(uid)
            while raw:
                cut = source.randint(1, len(raw))
                notes.append(Note(ms, "<", raw[:cut]))
                raw, ms = raw[cut:], ms + 5
            ms += 3_000
        trace = Trace(profile.id, notes)
        before = [note.data for note in replay(profile, trace)]
        clean = scrubbed(profile, trace, round_.to_bytes(2))
        after = [note.data for note in clean.notes if note.mark == "="]
        assert [word.partition(b":")[0] for word in after] == [
            word.partition(b":")[0] for word in before
        ]
        assert [len(word) for word in after] == [len(word) for word in before] and len(
            before
        ) == len(uids)
        stream = b"".join(note.data for note in clean.notes if note.mark == "<")
        assert not any(uid in stream or uid.hex().upper().encode() in stream for uid in uids)


def test_half_a_frame_and_a_damaged_one_leave_no_number_behind() -> None:
    frame = b"\x02010063E9AE25\x03"
    notes = [
        Note(0, "open"),
        Note(100, "<", frame[:9]),
        Note(300, "<", frame.replace(b"25", b"26")),
        Note(600, "<", frame),
    ]
    clean = scrubbed(load_profile("rdm6300"), Trace("rdm6300", notes), b"key")
    assert b"63E9" not in b"".join(note.data for note in clean.notes)
    assert [note.data[:3] for note in clean.notes if note.mark == "="] == [b"em:"]


def test_two_cards_at_once_leave_no_number_behind() -> None:
    two = bytes.fromhex(
        "0000FF15EBD54B020100040804DEADBEEF020004080401020304 7900".replace(" ", "")
    )
    profile = load_profile("pn532-hsu")
    clean = scrubbed(profile, Trace(profile.id, [Note(0, "<", two)]), b"key")
    (data,) = (note.data for note in clean.notes if note.mark == "<")
    assert bytes.fromhex("DEADBEEF") not in data and bytes.fromhex("01020304") not in data
    assert _cards(profile, data) == ["many"]


def test_what_a_card_with_a_processor_tells_of_itself_is_struck_out() -> None:
    atr = bytes.fromhex("3B8E80018031806557420A0311DEADBEEF8290003B")
    notes = [
        Note(0, "card", atr),
        Note(1, ">", bytes.fromhex("FFCA000000")),
        Note(2, "<", bytes.fromhex("1C78F2BF9000")),
    ]
    clean = scrubbed(load_profile("acs-acr122u"), Trace("acs-acr122u", notes), b"key")
    assert not any(b"\xde\xad\xbe\xef" in note.data for note in clean.notes)
    target = bytes.fromhex("0000FF13EDD54B0101000828041234567807 77F78002DEADBEEF".replace(" ", ""))
    framed = target[:5] + target[5:] + bytes([-sum(target[5:]) & 0xFF, 0])
    clean = scrubbed(load_profile("pn532-hsu"), Trace("pn532-hsu", [Note(0, "<", framed)]), b"key")
    assert not any(
        b"\xde\xad\xbe\xef" in note.data or b"\x12\x34\x56\x78" in note.data for note in clean.notes
    )


def test_one_card_is_the_same_other_card_throughout_a_trace_and_another_in_the_next() -> None:
    frame = b"\x02010063E9AE25\x03"
    trace = Trace("rdm6300", [Note(0, "open"), Note(1_000, "<", frame), Note(9_000, "<", frame)])
    first, second = (scrubbed(load_profile("rdm6300"), trace, key) for key in (b"one", b"two"))
    words = [[note.data for note in clean.notes if note.mark == "="] for clean in (first, second)]
    assert len(set(words[0])) == len(set(words[1])) == 1 and words[0] != words[1]


def test_a_recording_of_a_living_reader_is_played_as_it_was_seen(tmp_path: Path) -> None:
    said = serial(tmp_path / "bench", PUSHING[0], seconds=5, output=tmp_path / "out.trace")
    assert "2 taps" in said and "played again it gives" not in said
    trace = read_trace(tmp_path / "out.trace")
    assert list(replay(load_profile("rdm6300"), trace)) == [
        note for note in trace.notes if note.mark == "="
    ]


def test_a_profile_that_sends_other_bytes_now_is_told_at_the_first_of_them() -> None:
    trace = read_trace(TRACED["elatec-twn4-simple"])
    notes = [
        Note(
            note.ms,
            note.mark,
            b"0006\r" if note.mark == ">" and note.data == b"0004FF\r" else note.data,
        )
        for note in trace.notes
    ]
    with pytest.raises(
        ReaderError, match="sends 30 30 30 34 46 46 0d, the trace has 30 30 30 36 0d"
    ):
        list(replay(load_profile("elatec-twn4-simple"), Trace(trace.profile, notes)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: is no trace; it begins with '# canteen reader trace 1'"),
        ("# canteen reader trace 1\n0 open\n", r"has no line '# profile ID'"),
        (
            "# canteen reader trace 1\n# profile rdm6300\nx < 02\n",
            r"line 3: write milliseconds, one of open > <",
        ),
        ("# canteen reader trace 1\n# profile rdm6300\n1 ? 02\n", r"line 3: write milliseconds"),
        ("# canteen reader trace 1\n# profile rdm6300\n1 < 0\n", r"line 3: write milliseconds"),
        ("# canteen reader trace 1\n# profile rdm6300\n² < 02\n", r"line 3: write milliseconds"),
        (
            "# canteen reader trace 1\n# profile rdm6300\n1 show hello\n",
            r"line 3: write milliseconds",
        ),
        (
            f"# canteen reader trace 1\n# profile rdm6300\n{'9' * 5_000} < 02\n",
            r"line 3: write milliseconds",
        ),
    ],
)
def test_what_is_no_trace_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ReaderError, match=sentence):
        parse_trace(text, "a.trace")


def _random_like(uid: bytes, source: random.Random) -> bytes:
    if uid.startswith(b"BF"):
        return b"BF-" + "".join(source.choice("0123456789ABCDEF") for _ in range(8)).encode()
    return bytes([0x04, *source.randbytes(len(uid) - 1)])


def _cards(profile: Profile, data: bytes) -> list[str]:
    seen = [
        card_of_frame(profile, frame.payload)
        for frame in profile.framer(0).feed(data, 0)
        if isinstance(frame, Frame)
    ]
    return [one.text if isinstance(one, CardId) else getattr(one, "value", "none") for one in seen]
