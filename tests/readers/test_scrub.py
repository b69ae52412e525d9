"""A scrubbed trace contains no card's number, and still gives the same taps."""

import random
from pathlib import Path

import pytest

from agent.domain.card import CardId
from agent.readers.events import Signal
from agent.readers.framing import Frame, Framed, Line, Pn53x, reseal
from agent.readers.identity import card_of_frame
from agent.readers.profile import Profile, given
from agent.readers.profile_rules import all_profiles, load_profile
from agent.readers.scrub import REMARK, answer_patterns, scrubbed
from agent.readers.trace import Trace, TraceLine, replay
from tests.parts.serial_line import PUSHING, FarEnd, SerialLine, Yhy632

FRAME = b"\x02010063E9AE25\x03"


def scrubbed_lines(profile_id: str, *lines: TraceLine, key: bytes = b"key") -> list[TraceLine]:
    return scrubbed(load_profile(profile_id), Trace(profile_id, list(lines)), key).lines


def received(lines: list[TraceLine]) -> bytes:
    return b"".join(line.data for line in lines if line.mark == "<")


def taps(lines: list[TraceLine]) -> list[bytes]:
    return [line.data for line in lines if line.mark == "="]


def words(profile: Profile, data: bytes) -> list[str]:
    """Return a word for each frame in a stream."""
    frames = [frame for frame in profile.framer(0).feed(data, 0) if isinstance(frame, Frame)]
    detections = [card_of_frame(profile, frame.payload) for frame in frames]
    return [
        detection.text if isinstance(detection, CardId) else getattr(detection, "value", "none")
        for detection in detections
    ]


def number_like(uid: bytes, source: random.Random) -> bytes:
    """Return a random number of the same kind."""
    if uid.startswith(b"BF"):
        return b"BF-" + "".join(source.choice("0123456789ABCDEF") for _ in range(8)).encode()
    return bytes([0x04, *source.randbytes(len(uid) - 1)])


@pytest.mark.parametrize("kind", PUSHING, ids=lambda kind: kind.profile)
def test_any_number_in_any_chunks_is_replaced_and_still_read(
    kind: type[FarEnd], tmp_path: Path
) -> None:
    profile, source = load_profile(kind.profile), random.Random(kind.profile)
    far_end = kind(SerialLine(tmp_path / "never-plugged"))
    for n in range(60):
        uids = [number_like(far_end.cards[0], source) for _ in range(3)]
        lines, ms = [TraceLine(0, "open")], 1_000
        for uid in uids:
            raw = far_end.frame(uid)
            while raw:
                cut = source.randint(1, len(raw))
                lines.append(TraceLine(ms, "<", raw[:cut]))
                raw, ms = raw[cut:], ms + 5
            ms += 3_000
        before = [line.data for line in replay(profile, Trace(profile.id, lines))]
        clean = scrubbed(profile, Trace(profile.id, lines), n.to_bytes(2)).lines
        assert len(before) == len(uids) and [len(tap) for tap in taps(clean)] == [
            len(tap) for tap in before
        ]
        assert [tap.partition(b":")[0] for tap in taps(clean)] == [
            tap.partition(b":")[0] for tap in before
        ]
        stream = received(clean)
        assert not any(uid in stream or uid.hex().upper().encode() in stream for uid in uids)


def forms_of(number: bytes) -> list[bytes]:
    """Return the forms in which a reader may send a number."""
    turned = number[::-1]
    texts = [number.hex(), turned.hex(), number.hex(" "), number.hex(":"), number.hex("-")]
    texts += [str(int.from_bytes(part, "big")) for part in (number, turned)]
    return [number, turned, *(text.encode() for text in texts), *(
        text.upper().encode() for text in texts
    )]  # fmt: skip


def pieces_of(form: bytes) -> set[bytes]:
    """Return the parts of a form that would tell three bytes of the number."""
    size = 3 if len(form) <= 7 else 8
    return {form[at : at + size] for at in range(len(form) - size + 1)}


def framed(profile: Profile, body: bytes, source: random.Random) -> bytes:
    """Return bytes in a frame of the profile, whatever they are; its checksum may be wrong."""
    framing = profile.frame_format()
    if isinstance(framing, Line):
        return body + b"\r"
    if isinstance(framing, Pn53x):
        head = bytes([len(body) + 1, -len(body) - 1 & 0xFF])
        return b"\0\0\xff" + head + b"\xd5" + body + bytes([-sum(b"\xd5" + body) & 0xFF, 0])
    assert isinstance(framing, Framed)
    checksum, seal, head = framing.checksum, b"", framing.start
    if checksum is not None:
        seal = b"00" if checksum.hexadecimal else b"\0"
    if framing.length_at is not None:
        first, size = framing.length_at[0], framing.length_at[1] - framing.length_at[0]
        head = head.ljust(first, b"\0")  # an address before the length
        whole = len(head + body + seal + framing.end) + size
        head += (whole - framing.length_adds).to_bytes(size, "little")
    raw = head + body + seal + framing.end
    return reseal(framing, raw) if source.random() < 0.8 else raw


def answers(profile: Profile, form: bytes, source: random.Random) -> list[TraceLine]:
    """Return a trace in which a PC/SC reader answers some command with a number."""
    green = profile.step_for(Signal.SERVED)
    sends = [given(profile.uid.send)] * 2 + [step.sends[0] for step in profile.init]
    sent = bytes.fromhex(source.choice(sends if green is None else [*sends, green.sends[0]]))
    status = source.choice([b"", b"\x63\x00", b"\x6a\x81", b"\x90\x00"])
    lead = source.choice([b"", b"\x90", b"\xe1\x00\x00\x00\x04"])
    show = TraceLine(0, "show", b"served")
    return [show, TraceLine(0, ">", sent), TraceLine(1, "<", lead + form + status)]


def chunks(profile: Profile, form: bytes, source: random.Random) -> list[TraceLine]:
    """Return a trace in which a serial reader sends a number, at the start of a frame or not."""
    leads = [b"", source.randbytes(3), *(
        bytes.fromhex(pattern.replace("..", "00")) for pattern in answer_patterns(profile)
    )]  # fmt: skip
    lead = source.choice(leads)
    framing = profile.frame_format()
    if isinstance(framing, Framed):
        lead = lead.removeprefix(framing.start + b"\0")
    if isinstance(framing, Line) and framing.hexadecimal:
        lead = lead.hex().encode()
    body = lead + form + source.choice([b"", b"\0", b" "])
    raw = source.choice([framed(profile, body, source), body, form])
    cut = source.randint(0, len(raw))
    return [TraceLine(0, "open"), TraceLine(900, "<", raw[:cut]), TraceLine(905, "<", raw[cut:])]


@pytest.mark.parametrize("profile", all_profiles(), ids=lambda profile: profile.id)
def test_a_trace_keeps_no_number_in_any_framing_and_form(profile: Profile) -> None:
    source, make = random.Random(profile.id), answers if profile.transport == "pcsc" else chunks
    for n in range(400):
        number = bytes(source.choice(range(0x10, 0xF0)) for _ in range(source.choice((4, 7))))
        forms = forms_of(number)
        lines = make(profile, source.choice(forms), source)
        stream = received(scrubbed(profile, Trace(profile.id, lines), n.to_bytes(2)).lines)
        left = {piece for form in forms for piece in pieces_of(form)} & pieces(stream)
        assert not left, (n, lines)


def pieces(stream: bytes) -> set[bytes]:
    """Return all parts of a stream that a piece of a form may be."""
    return {stream[at : at + size] for size in (3, 8) for at in range(len(stream))}


def test_a_line_of_hex_digits_with_blanks_leaves_no_number_behind() -> None:
    line = b"00 01 80 20 04 DE AD BE EF\r"
    stream = received(scrubbed_lines("elatec-twn4-simple", TraceLine(0, "<", line)))
    assert stream == b"Z" * 26 + b"\r"


def test_half_an_answer_before_the_next_request_costs_no_tap() -> None:
    clean = scrubbed_lines(
        "elatec-twn4-simple",
        TraceLine(0, "open"),
        TraceLine(0, ">", b"0004FF\r"),
        TraceLine(5, "<", b"00\r"),
        TraceLine(6, ">", b"050010\r"),
        TraceLine(10, "<", b"0001802004DEAD"),
        TraceLine(256, ">", b"050010\r"),
        TraceLine(260, "<", b"00018020041C78F2BF\r"),
        TraceLine(261, ">", b"050010\r"),
        TraceLine(265, "<", b"00018020041C78F2BF\r"),
    )
    assert [tap[:4] for tap in taps(clean)] == [b"a:04"]
    assert b"DEAD" not in received(clean) and b"1C78F2BF" not in received(clean)


def test_a_frame_that_is_not_about_a_card_keeps_only_its_named_bytes() -> None:
    line = TraceLine(100, "<", bytes.fromhex("AABB0652DEADBEEF76"))
    stream = received(scrubbed_lines("yhy52x", line))
    assert stream[:3] == bytes.fromhex("AABB06") and b"\xde\xad" not in stream


def test_an_answer_without_a_status_leaves_no_number_behind() -> None:
    clean = scrubbed_lines(
        "acs-acr122u",
        TraceLine(0, ">", bytes.fromhex("FFCA000000")),
        TraceLine(1, "<", bytes.fromhex("1C78F2BF")),
    )
    assert received(clean) == b"ZZZZ" and taps(clean) == [b"status"]


@pytest.mark.parametrize("status", ["6300", "6A81"])
def test_a_status_alone_stays(status: str) -> None:
    clean = scrubbed_lines(
        "acs-acr122u",
        TraceLine(0, ">", bytes.fromhex("FFCA000000")),
        TraceLine(1, "<", bytes.fromhex(status)),
    )
    assert received(clean) == bytes.fromhex(status)


def test_stuffed_frames_are_replaced_and_the_bytes_behind_them_keep_their_lines() -> None:
    profile, source = load_profile("yhy632"), random.Random(1)
    far_end = Yhy632(SerialLine(Path("never-plugged")))
    for _ in range(200):
        far_end.field = [bytes([0x04, *(source.choice((0xAA, 0x00, 0x11)) for _ in range(3))])]
        raw = far_end.reply(bytes.fromhex("AABB0600FFFF02020404")).answer * 3
        cut = source.randint(1, len(raw) - 1)
        clean = scrubbed_lines(
            "yhy632", TraceLine(10, "<", raw[:cut]), TraceLine(12, "<", raw[cut:])
        )
        cards = words(profile, received(clean))
        assert len(cards) == 3 and not set(cards) & set(words(profile, raw))


def test_half_a_frame_and_a_damaged_one_leave_no_number_behind() -> None:
    clean = scrubbed_lines(
        "rdm6300",
        TraceLine(0, "open"),
        TraceLine(100, "<", FRAME[:9]),
        TraceLine(300, "<", FRAME.replace(b"25", b"26")),
        TraceLine(600, "<", FRAME),
        TraceLine(665, "<", FRAME),
    )
    assert b"63E9" not in received(clean)
    assert [tap[:3] for tap in taps(clean)] == [b"em:"]


def test_two_cards_at_once_leave_no_number_behind() -> None:
    two = bytes.fromhex("0000FF15EBD54B020100040804DEADBEEF0200040804010203047900")
    stream = received(scrubbed_lines("pn532-hsu", TraceLine(0, "<", two)))
    assert bytes.fromhex("DEADBEEF") not in stream and bytes.fromhex("01020304") not in stream
    assert words(load_profile("pn532-hsu"), stream) == ["many"]


def test_the_atr_of_a_card_with_a_processor_is_overwritten() -> None:
    atr = bytes.fromhex("3B8E80018031806557420A0311DEADBEEF8290003B")
    clean = scrubbed_lines(
        "acs-acr122u",
        TraceLine(0, "card", atr),
        TraceLine(1, ">", bytes.fromhex("FFCA000000")),
        TraceLine(2, "<", bytes.fromhex("1C78F2BF9000")),
    )
    assert not any(b"\xde\xad\xbe\xef" in line.data for line in clean)
    assert bytes.fromhex("1C78F2BF") not in received(clean)


def test_the_atr_of_a_storage_card_stays_because_it_names_only_the_technology() -> None:
    atr = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
    (line,) = scrubbed_lines("acs-acr122u", TraceLine(0, "card", atr))
    assert line.data == atr


def test_the_ats_behind_a_uid_is_overwritten() -> None:
    target = bytes.fromhex("D54B010100082804123456780777F78002DEADBEEF")
    head = b"\0\0\xff" + bytes([len(target), -len(target) & 0xFF])
    frame = head + target + bytes([-sum(target) & 0xFF, 0])
    stream = received(scrubbed_lines("pn532-hsu", TraceLine(0, "<", frame)))
    assert bytes.fromhex("DEADBEEF") not in stream and bytes.fromhex("12345678") not in stream
    (card,) = words(load_profile("pn532-hsu"), stream)
    assert card.startswith("a:04")


def test_the_rest_of_a_cards_first_block_is_overwritten() -> None:
    block = bytes.fromhex("AABB12515EC0E07A04880400DEADBEEF6110280800")
    head, checksum = block[:-1], 0
    for byte in head[2:]:
        checksum ^= byte
    stream = received(scrubbed_lines("yhy52x", TraceLine(100, "<", head + bytes([checksum]))))
    assert bytes.fromhex("DEADBEEF") not in stream and bytes.fromhex("5EC0E07A") not in stream
    (card,) = words(load_profile("yhy52x"), stream)
    assert card.startswith("a:04")


def test_a_typed_number_is_replaced_by_another_with_as_many_digits() -> None:
    typed = [TraceLine(0, "open"), TraceLine(1_000, "<", b"3220338716\r")]
    clean = scrubbed_lines("keyboard-wedge", *typed)
    assert len(received(clean)) == 11 and b"3220338716" not in received(clean)
    assert [tap[:4] for tap in taps(clean)] == [b"a:04"]


def test_a_text_that_is_no_number_is_replaced_as_well() -> None:
    clean = scrubbed_lines("keyboard-wedge", TraceLine(1_000, "<", b"MARIO ROSSI 7\r"))
    assert b"MARIO" not in received(clean) and b"ROSSI" not in received(clean)


@pytest.mark.parametrize("number", ["0000000000", "FFFFFFFFFF"])
def test_the_number_of_no_card_stays(number: str) -> None:
    frame = b"\x02" + number.encode() + (b"00" if number[0] == "0" else b"FF") + b"\x03"
    clean = scrubbed_lines("rdm6300", TraceLine(0, "open"), TraceLine(100, "<", 2 * frame))
    assert received(clean) == 2 * frame and taps(clean) == [b"rejected-uid"]


FELICA_ATR = bytes.fromhex("3B8F8001804F0CA00000030603F011000000008A")


@pytest.mark.parametrize(
    ("uid", "atr", "tap"),
    [
        ("08123456", b"", b"random"),
        ("8804837F", b"", b"truncated"),
        ("01FE112233445566", FELICA_ATR, b"random-f"),
    ],
)
def test_the_first_bytes_that_tell_the_kind_of_a_number_stay(
    uid: str, atr: bytes, tap: bytes
) -> None:
    clean = scrubbed_lines(
        "acs-acr122u",
        TraceLine(0, "card", atr),
        TraceLine(0, ">", bytes.fromhex("FFCA000000")),
        TraceLine(1, "<", bytes.fromhex(uid + "9000")),
    )
    assert taps(clean) == [tap] and bytes.fromhex(uid) not in received(clean)


def test_a_card_gets_one_number_in_a_trace_and_another_in_the_next() -> None:
    lines = [TraceLine(0, "open"), *(TraceLine(ms, "<", 2 * FRAME) for ms in (1_000, 9_000))]
    first, second = (taps(scrubbed_lines("rdm6300", *lines, key=key)) for key in (b"1", b"2"))
    assert len(first) == len(second) == 2
    assert len(set(first)) == len(set(second)) == 1 and first != second


def test_earlier_taps_are_computed_again() -> None:
    stale = TraceLine(5, "=", b"em:010063e9ae")
    clean = scrubbed_lines("rdm6300", TraceLine(0, "open"), stale, TraceLine(100, "<", 2 * FRAME))
    assert [tap[:3] for tap in taps(clean)] == [b"em:"] and stale not in clean


def test_a_reader_that_failed_at_start_up_leaves_a_trace_all_the_same() -> None:
    lines = [
        TraceLine(0, "open"),
        TraceLine(0, ">", b"0004FF\r"),
        TraceLine(5, "<", b"01\r"),
        TraceLine(900, "open"),
        TraceLine(900, ">", b"0004FF\r"),
    ]
    clean = scrubbed_lines("elatec-twn4-simple", *lines)
    assert [line.mark for line in clean] == ["open", ">", "<", "open", ">"]


def test_a_scrubbed_trace_says_so() -> None:
    clean = scrubbed(load_profile("rdm6300"), Trace("rdm6300", [], ["by hand"]), b"key")
    assert clean.remarks == ["by hand", REMARK]
