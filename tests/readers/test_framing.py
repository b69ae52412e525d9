"""Noise never raises, never invents a card, never costs the good frame behind it: for every framing that a profile uses."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.domain.card import CardId
from agent.readers.apdu import parse_hex
from agent.readers.faults import Fault
from agent.readers.framing import Frame, Pn53x, pn53x_command, reseal
from agent.readers.identity import card_of_frame
from agent.readers.profile import Profile
from agent.readers.profile_rules import all_profiles, load_profile
from tests.parts.serial_line import rdm6300_frame

FRAMED = [profile for profile in all_profiles() if profile.transport != "pcsc"]
GOOD = rdm6300_frame(bytes.fromhex("010063e9ae"))
every_framing = pytest.mark.parametrize("profile", FRAMED, ids=lambda profile: profile.id)


def good_frames(profile: Profile) -> list[tuple[bytes, str]]:
    """Return frames and the UIDs in them: the self-tests that are one good frame and nothing else."""
    found = []
    for test in profile.selftest:
        raw = parse_hex(test.rx)
        frames = [
            frame
            for frame in profile.framer(0).feed(raw, 1_000)
            if isinstance(frame, Frame) and frame.payload
        ]
        if isinstance(test.uid, str) and len(frames) == 1 and len(frames[0].raw) >= len(raw) - 1:
            found.append((raw, test.uid))
    assert found
    return found


def cards(profile: Profile, found: list[Frame | Fault]) -> list[str]:
    seen = [
        card_of_frame(profile, frame.payload)
        for frame in found
        if isinstance(frame, Frame) and frame.payload
    ]
    return [card.uid.hex() for card in seen if isinstance(card, CardId)]


@every_framing
@settings(max_examples=40)
@given(
    noise=st.binary(max_size=80),
    cuts=st.lists(st.integers(1, 20), max_size=8),
    pick=st.integers(0, 99),
)
def test_after_any_noise_and_a_pause_the_next_good_frame_is_read_in_any_pieces(
    profile: Profile, noise: bytes, cuts: list[int], pick: int
) -> None:
    frames = good_frames(profile)
    raw, uid = frames[pick % len(frames)]
    framer = profile.framer(0)
    framer.feed(noise, 500)
    found: list[Frame | Fault] = []
    rest, now_ms = raw, 2_000
    for cut in [*cuts, len(raw)]:
        if rest:
            found += framer.feed(rest[:cut], now_ms)
        rest, now_ms = rest[cut:], now_ms + 10
    assert cards(profile, found) == [uid]


@every_framing
def test_a_million_random_bytes_invent_no_card_and_the_next_good_frame_is_read(
    profile: Profile,
) -> None:
    source = random.Random(profile.id)
    framer = profile.framer(0)
    invented: list[str] = []
    for n in range(1_000):
        invented += cards(profile, framer.feed(source.randbytes(1_000), 200 * n))
    assert invented == []
    raw, uid = good_frames(profile)[0]
    assert cards(profile, framer.feed(raw, 1_000_000)) == [uid]


@every_framing
@settings(max_examples=40)
@given(noise=st.binary(max_size=5_000))
def test_memory_stays_within_one_frame(profile: Profile, noise: bytes) -> None:
    framer = profile.framer(0)
    framer.feed(noise, 1_000)
    framing = profile.framing
    longest = 260 if framing.kind == "pn53x" else framing.length  # type: ignore[union-attr]
    assert len(framer._held) <= 2 * longest  # type: ignore[operator]  # twice, where bytes may be stuffed


@every_framing
@settings(max_examples=60)
@given(pick=st.integers(0, 99), at=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_frame_with_one_bit_turned_is_never_another_card(
    profile: Profile, pick: int, at: int, bit: int
) -> None:
    frames = good_frames(profile)
    raw, uid = frames[pick % len(frames)]
    if profile.framing.kind == "line":  # type: ignore[union-attr]
        return  # text has no checksum: USB's and the code's own stand for it
    turned = bytearray(raw)
    turned[at % len(raw)] ^= 1 << bit
    assert cards(profile, profile.framer(0).feed(bytes(turned), 1_000)) in ([], [uid])


@given(noise=st.binary(max_size=200).filter(lambda noise: b"\x02" not in noise))
def test_noise_without_a_start_byte_costs_nothing_even_without_a_pause(noise: bytes) -> None:
    assert load_profile("rdm6300").framer(0).feed(noise + GOOD, 0) == [Frame(GOOD, GOOD)]


def test_a_frame_cut_off_costs_only_itself() -> None:
    assert (
        load_profile("rdm6300").framer(0).feed(GOOD[:9] + GOOD + GOOD, 0) == [Frame(GOOD, GOOD)] * 2
    )


def test_a_gap_inside_a_frame_drops_it() -> None:
    framer = load_profile("rdm6300").framer(0)
    assert framer.feed(GOOD[:7], 0) == []
    assert framer.feed(GOOD[7:], 51) == []
    assert framer.feed(GOOD, 100) == [Frame(GOOD, GOOD)]


def test_a_wrong_checksum_is_a_fault_and_no_card() -> None:
    assert load_profile("rdm6300").framer(0).feed(GOOD.replace(b"AE", b"AF", 1), 0) == [
        Fault.CHECKSUM
    ]


def test_a_number_without_delimiters_counts_only_after_a_pause() -> None:
    framer = load_profile("em-18").framer(0)
    assert framer.feed(GOOD[1:-1], 10) == []  # opened perhaps in the middle of one
    assert framer.feed(GOOD[1:-1], 100) == [Frame(GOOD[1:-1], GOOD[1:-1])]
    assert framer.feed(b"9" + GOOD[1:-1], 200) == [Fault.CHECKSUM]
    assert framer.feed(GOOD[1:-1], 210) == []  # no pause: where it begins is not known


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_a_line_ends_with_either_or_both_and_empty_ones_are_nothing(end: bytes) -> None:
    profile = load_profile("serial-scanner")
    assert cards(
        profile, profile.framer(0).feed(end + b"BF-000417" + end + b"BF-000418" + end, 1_000)
    ) == [
        b"BF-000417".hex(),
        b"BF-000418".hex(),
    ]


def test_a_line_that_is_too_long_is_no_card_nor_is_its_end() -> None:
    profile = load_profile("serial-scanner")
    framer = profile.framer(0)
    assert cards(profile, framer.feed(b"A" * 100, 1_000)) == []
    assert cards(profile, framer.feed(b"BF-000417\r", 1_010)) == []
    assert cards(profile, framer.feed(b"BF-000417\r", 1_200)) == [b"BF-000417".hex()]


def test_a_command_to_a_pn53x_is_framed_as_its_manual_says() -> None:
    assert pn53x_command(b"\x02") == bytes.fromhex("0000FF02FED4022A00")
    assert pn53x_command(bytes.fromhex("320 5FF0102".replace(" ", ""))) == bytes.fromhex(
        "0000FF06FAD43205FF0102F300"
    )
    assert pn53x_command(bytes.fromhex("4A0200")) == bytes.fromhex("0000FF04FCD44A0200E000")


@every_framing
def test_bytes_exchanged_and_sealed_again_pass_their_checksum(profile: Profile) -> None:
    for raw, uid in good_frames(profile):
        (frame,) = (
            found
            for found in profile.framer(0).feed(raw, 1_000)
            if isinstance(found, Frame) and found.payload
        )
        other = reseal(profile.shape(), frame.raw.replace(bytes.fromhex(uid)[1:2], b"\x11"))
        tail = b"\r" if profile.framing.kind == "line" and not other.endswith(b"\r") else b""  # type: ignore[union-attr]
        again = profile.framer(0).feed(other + tail, 1_000)
        assert all(isinstance(found, Frame) for found in again), (other.hex(" "), again)


def test_an_acknowledgement_is_an_empty_payload_and_an_error_frame_a_fault() -> None:
    framer = load_profile("pn532-hsu").framer(0)
    assert isinstance(load_profile("pn532-hsu").shape(), Pn53x)
    assert framer.feed(bytes.fromhex("0000FF00FF00"), 0) == [
        Frame(b"", bytes.fromhex("0000FF00FF"))
    ]
    assert framer.feed(bytes.fromhex("0000FF01FF7F8100"), 0) == [Fault.DEVICE]
