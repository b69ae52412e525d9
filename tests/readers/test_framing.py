"""Noise raises nothing, invents no card, and costs no good frame behind it.

The first tests try every framing that a profile uses, the others each format.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.card import CardId
from agent.readers.apdu import parse_hex
from agent.readers.faults import Fault
from agent.readers.framing import (
    STALL_MS_MAX,
    Frame,
    Framed,
    Framer,
    Line,
    Pn53x,
    Xor8,
    pn53x_command,
    reseal,
    resolve_span,
)
from agent.readers.identity import card_of_frame
from agent.readers.profile import Profile
from agent.readers.profile_kinds import Frames, Lines
from agent.readers.profile_rules import all_profiles, load_profile
from tests.parts.serial_line import rdm6300_frame

FRAMED = [profile for profile in all_profiles() if profile.transport != "pcsc"]
GOOD = rdm6300_frame(bytes.fromhex("010063e9ae"))
every_framing = pytest.mark.parametrize("profile", FRAMED, ids=lambda profile: profile.id)


def frames_of(results: list[Frame | Fault]) -> list[Frame]:
    """Return the frames that are not empty."""
    return [result for result in results if isinstance(result, Frame) and result.payload]


def good_frames(profile: Profile) -> list[tuple[bytes, str]]:
    """Return frames and the UIDs in them: the self-tests that are one good frame."""
    good = []
    for test in profile.selftest:
        raw = parse_hex(test.rx)
        frames = frames_of(profile.framer(0).feed(raw, 1_000))
        if isinstance(test.uid, str) and len(frames) == 1 and len(frames[0].raw) >= len(raw) - 1:
            good.append((raw, test.uid))
    assert good
    return good


def uids(profile: Profile, results: list[Frame | Fault]) -> list[str]:
    """Return the UIDs of the cards in these frames."""
    detections = [card_of_frame(profile, frame.payload) for frame in frames_of(results)]
    return [card.uid.hex() for card in detections if isinstance(card, CardId)]


@every_framing
@settings(max_examples=40)
@given(
    noise=st.binary(max_size=80),
    cuts=st.lists(st.integers(1, 20), max_size=8),
    pick=st.integers(0, 99),
)
def test_after_any_noise_and_a_pause_the_next_good_frame_is_read_in_any_chunks(
    profile: Profile, noise: bytes, cuts: list[int], pick: int
) -> None:
    frames = good_frames(profile)
    raw, uid = frames[pick % len(frames)]
    framer = profile.framer(0)
    framer.feed(noise, 500)
    results: list[Frame | Fault] = []
    rest, now_ms = raw, 2_000
    for cut in [*cuts, len(raw)]:
        results += framer.feed(rest[:cut], now_ms)
        rest, now_ms = rest[cut:], now_ms + 10
    assert uids(profile, results) == [uid]


@every_framing
def test_a_million_random_bytes_invent_no_card_and_the_next_good_frame_is_read(
    profile: Profile,
) -> None:
    source = random.Random(profile.id)
    framer = profile.framer(0)
    invented: list[str] = []
    for n in range(1_000):
        invented += uids(profile, framer.feed(source.randbytes(1_000), 200 * n))
    assert invented == []
    raw, uid = good_frames(profile)[0]
    assert uids(profile, framer.feed(raw, 1_000_000)) == [uid]


@every_framing
@settings(max_examples=40)
@given(noise=st.binary(max_size=5_000))
def test_memory_stays_within_one_frame(profile: Profile, noise: bytes) -> None:
    framer = profile.framer(0)
    framer.feed(noise, 1_000)
    framing = profile.framing
    longest = framing.length if isinstance(framing, Frames | Lines) else 260
    assert len(framer._buffer) <= 2 * longest  # twice, where bytes may be stuffed


@every_framing
@settings(max_examples=60)
@given(pick=st.integers(0, 99), at=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_frame_with_a_flipped_bit_is_never_another_card(
    profile: Profile, pick: int, at: int, bit: int
) -> None:
    framing = profile.framing
    if isinstance(framing, Lines) or (isinstance(framing, Frames) and not framing.checksum):
        return  # without a checksum of its own: USB and the printed code have one
    frames = good_frames(profile)
    raw, uid = frames[pick % len(frames)]
    damaged = bytearray(raw)
    damaged[at % len(raw)] ^= 1 << bit
    assert uids(profile, profile.framer(0).feed(bytes(damaged), 1_000)) in ([], [uid])


@every_framing
def test_a_resealed_frame_passes_its_checksum(profile: Profile) -> None:
    for raw, uid in good_frames(profile):
        (frame,) = frames_of(profile.framer(0).feed(raw, 1_000))
        changed = frame.raw.replace(bytes.fromhex(uid)[1:2], b"\x11")
        other = reseal(profile.frame_format(), changed)
        needs_end = isinstance(profile.framing, Lines) and not other.endswith(b"\r")
        again = profile.framer(0).feed(other + (b"\r" if needs_end else b""), 1_000)
        assert all(isinstance(result, Frame) for result in again), (other.hex(" "), again)


@given(noise=st.binary(max_size=200).filter(lambda noise: b"\x02" not in noise))
def test_noise_without_a_start_byte_costs_nothing_even_without_a_pause(noise: bytes) -> None:
    assert load_profile("rdm6300").framer(0).feed(noise + GOOD, 0) == [Frame(GOOD, GOOD)]


def test_a_frame_cut_off_costs_only_itself() -> None:
    framer = load_profile("rdm6300").framer(0)
    assert framer.feed(GOOD[:9] + GOOD + GOOD, 0) == [Frame(GOOD, GOOD)] * 2


def test_a_pause_longer_than_a_stall_drops_a_partial_frame() -> None:
    framer = load_profile("rdm6300").framer(0)
    assert framer.feed(GOOD[:7], 0) == []
    assert framer.feed(GOOD[7:], STALL_MS_MAX) == [Frame(GOOD, GOOD)]
    assert framer.feed(GOOD[:7], 1_000) == []
    assert framer.feed(GOOD[7:], 1_001 + STALL_MS_MAX) == []


@every_framing
@pytest.mark.parametrize("stall_ms", [80, 255])
def test_a_stall_at_any_place_of_a_frame_loses_no_card(profile: Profile, stall_ms: int) -> None:
    for raw, uid in good_frames(profile):
        for cut in range(1, len(raw)):
            framer = profile.framer(0)
            results = framer.feed(raw[:cut], 1_000) + framer.feed(raw[cut:], 1_000 + stall_ms)
            assert uids(profile, results) == [uid], cut


def test_two_stalls_in_a_number_without_delimiters_lose_no_card() -> None:
    number, framer = GOOD[1:-1], load_profile("em-18").framer(0)
    assert framer.feed(number[:3], 1_000) == framer.feed(number[3:7], 1_080) == []
    assert framer.feed(number[7:], 1_200) == [Frame(number, number)]


def test_noise_before_a_number_without_delimiters_is_not_joined_with_it() -> None:
    number, framer = GOOD[1:-1], load_profile("em-18").framer(0)
    assert framer.feed(b"\xff" * 5, 1_000) == []
    assert framer.feed(number, 1_080) == [Frame(number, number)]
    assert framer.feed(number[:5], 2_000) == []
    assert framer.feed(number[5:], 2_001 + STALL_MS_MAX) == []


def test_a_wrong_checksum_is_a_fault_and_no_card() -> None:
    damaged = GOOD.replace(b"AE", b"AF", 1)
    assert load_profile("rdm6300").framer(0).feed(damaged, 0) == [Fault.CHECKSUM]


def test_a_number_without_delimiters_counts_only_after_a_pause() -> None:
    number = GOOD[1:-1]
    framer = load_profile("em-18").framer(0)
    assert framer.feed(number, 10) == []  # the port may have been opened in the middle of one
    assert framer.feed(number, 100) == [Frame(number, number)]
    assert framer.feed(b"9" + number, 200) == [Fault.CHECKSUM]
    assert framer.feed(number, 210) == []  # without a pause, nothing marks its beginning


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_a_line_ends_with_either_or_both_and_empty_lines_are_nothing(end: bytes) -> None:
    scanner = load_profile("serial-scanner")
    results = scanner.framer(0).feed(end + b"BF-000417" + end + b"BF-000418" + end, 1_000)
    assert uids(scanner, results) == [b"BF-000417".hex(), b"BF-000418".hex()]


def test_a_line_that_is_too_long_is_no_card_nor_is_its_end() -> None:
    scanner = load_profile("serial-scanner")
    framer = scanner.framer(0)
    assert uids(scanner, framer.feed(b"A" * 100, 1_000)) == []
    assert uids(scanner, framer.feed(b"BF-000417\r", 1_010)) == []
    assert uids(scanner, framer.feed(b"BF-000417\r", 1_111)) == [b"BF-000417".hex()]


@pytest.mark.parametrize("end", [b"\r", b""])
def test_a_line_reaches_its_longest_length_and_not_more(end: bytes) -> None:
    line = Line(length_max=5, hexadecimal=False)
    assert line.parse(b"12345" + end) == ((6, Frame(b"12345", b"12345\r")) if end else None)
    assert line.parse(b"123456" + end) == (6 + len(end), Fault.FORM)


def test_a_line_of_hex_digits_is_the_bytes_that_they_stand_for() -> None:
    line = Line(length_max=8, hexadecimal=True)
    assert line.parse(b"0aFF\r") == (5, Frame(b"\x0a\xff", b"0aFF\r"))
    assert line.parse(b"0aF\r") == (4, Fault.CHECKSUM)
    assert line.parse(b"0a FF\r") == (6, Fault.CHECKSUM)


def test_blanks_are_no_hex_digits_of_a_checksum() -> None:
    checksum = Xor8(over=(0, 4), at=(4, 6), hexadecimal=True)
    assert checksum.holds(b"0aFFF5") and not checksum.holds(b"0a  0A")


XOR = Xor8(over=(1, 3), at=(3, 4), hexadecimal=False)


def test_frames_of_one_length_have_exactly_that_length() -> None:
    delimited = Framed(start=b"\x02", end=b"\x03", length_max=5, checksum=XOR)
    counted = Framed(length_max=4, checksum=Xor8(over=(0, 3), at=(3, 4), hexadecimal=False))
    assert delimited.parse(b"\x02\x11\x22\x33") is None
    assert delimited.parse(b"\x02\x11\x22\x33\x03") is not None
    assert counted.parse(b"\x11\x22\x44") is None
    assert counted.parse(b"\x11\x22\x44\x77") == (4, Frame(b"\x11\x22\x44w", b"\x11\x22\x44w"))


@pytest.mark.parametrize(("length", "is_waited_for"), [(8, True), (9, False), (1, False)])
def test_a_stated_length_beyond_the_limit_or_shorter_than_the_head_begins_no_frame(
    length: int, is_waited_for: bool
) -> None:
    frames = Framed(
        start=b"\xaa",
        length_at=(1, 2),
        length_max=8,
        checksum=Xor8(over=(1, -1), at=(-1, 0), hexadecimal=False),
    )
    expected = None if is_waited_for else (1, None)
    assert frames.parse(bytes([0xAA, length, 0, 0])) == expected


TEXT = Framed(start=b"\x02", end=b"\x03", length_min=2, length_max=10)


@pytest.mark.parametrize(
    ("received", "parsed"),
    [
        (b"\x02\x03", (2, Frame(b"\x02\x03", b"\x02\x03"))),
        (b"\x0212345678\x03", (10, Frame(b"\x0212345678\x03", b"\x0212345678\x03"))),
        (b"\x0212345678", None),
        (b"\x02123456789", (1, None)),  # ten bytes without an end
        (b"\x02123456789\x03", (1, None)),
        (b"\x0212\x021234\x03", (3, None)),  # the first one was cut off
        (b"noise\x02", (5, None)),
    ],
)
def test_a_frame_of_any_length_ends_with_the_first_end(
    received: bytes, parsed: tuple[int, Frame | None] | None
) -> None:
    assert TEXT.parse(received) == parsed


def test_a_frame_without_a_checksum_is_not_resealed() -> None:
    assert reseal(TEXT, b"\x0212\x03") == b"\x0212\x03"


def test_a_frame_that_ends_with_the_stuffed_byte_is_read() -> None:
    body = bytes.fromhex("FFFF0202004CD9013E")
    frame = bytes.fromhex("AABB0A00") + body + bytes([0xAA])
    for raw in (frame, frame + b"\0"):
        (result,) = load_profile("yhy632").framer(0).feed(raw, 1_000)
        assert isinstance(result, Frame) and result.payload == frame


def test_a_pn53x_command_is_framed_as_its_manual_says() -> None:
    assert pn53x_command(b"\x02") == bytes.fromhex("0000FF02FED4022A00")
    assert pn53x_command(bytes.fromhex("3205FF0102")) == bytes.fromhex("0000FF06FAD43205FF0102F300")
    assert pn53x_command(bytes.fromhex("4A0200")) == bytes.fromhex("0000FF04FCD44A0200E000")


def test_an_acknowledgement_is_an_empty_frame_and_error_frames_are_faults() -> None:
    framer = load_profile("pn532-hsu").framer(0)
    assert isinstance(load_profile("pn532-hsu").frame_format(), Pn53x)
    acknowledgement = Frame(b"", bytes.fromhex("0000FF00FF"))
    assert framer.feed(bytes.fromhex("0000FF00FF00"), 0) == [acknowledgement]
    assert framer.feed(bytes.fromhex("0000FFFF0000"), 0) == [Fault.DEVICE]  # NAK
    assert framer.feed(bytes.fromhex("0000FF01FF7F8100"), 0) == [Fault.DEVICE]


def test_the_end_of_a_frame_counts_all_bytes_that_were_received() -> None:
    framer = Framer(
        Line(length_max=9, hexadecimal=False), gap_ms_max=9, now_ms=0, unsolicited=False
    )
    results = framer.feed(b"ab\rcd", 0) + framer.feed(b"\r", 1)
    assert [result.end for result in results if isinstance(result, Frame)] == [3, 6]


@pytest.mark.parametrize(
    ("span", "resolved"),
    [((1, 3), (1, 3)), ((4, -1), (4, 9)), ((-1, 0), (9, 10)), ((2, 99), (2, 10))],
)
def test_a_span_counts_from_either_end(span: tuple[int, int], resolved: tuple[int, int]) -> None:
    assert resolve_span(10, span) == resolved


def test_the_representation_of_a_frame_contains_no_card_number() -> None:
    (frame,) = load_profile("rdm6300").framer(0).feed(GOOD, 1_000)
    assert "63E9" not in repr(frame)
