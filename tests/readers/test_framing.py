"""Noise never raises, never invents a card, never costs the good frame behind it."""

from hypothesis import given
from hypothesis import strategies as st

from agent.readers.framing import Fault
from agent.readers.profile import framer, load_profile
from tests.parts.serial_line import rdm6300_frame

RDM6300 = load_profile("rdm6300")
GOOD = rdm6300_frame(bytes.fromhex("010063e9ae"))


@given(noise=st.binary(max_size=60), cuts=st.lists(st.integers(1, 20), max_size=8))
def test_after_any_noise_and_a_gap_the_next_good_frame_is_read_in_any_pieces(noise: bytes, cuts: list[int]) -> None:
    frames = framer(RDM6300)
    frames.feed(noise, 0)
    found: list[bytes | Fault] = []
    rest, now_ms = GOOD, 1_000
    for cut in [*cuts, len(GOOD)]:
        found += frames.feed(rest[:cut], now_ms)
        rest, now_ms = rest[cut:], now_ms + 10
    assert found[-1:] == [GOOD]


@given(noise=st.binary(max_size=200).filter(lambda noise: b"\x02" not in noise))
def test_noise_without_a_start_byte_costs_nothing_even_without_a_gap(noise: bytes) -> None:
    assert framer(RDM6300).feed(noise + GOOD, 0) == [GOOD]


def test_a_frame_cut_off_costs_only_itself() -> None:
    assert framer(RDM6300).feed(GOOD[:9] + GOOD + GOOD, 0) == [GOOD, GOOD]


def test_a_gap_inside_a_frame_drops_it() -> None:
    frames = framer(RDM6300)
    assert frames.feed(GOOD[:7], 0) == []
    assert frames.feed(GOOD[7:], 51) == []
    assert frames.feed(GOOD, 100) == [GOOD]


def test_a_wrong_checksum_is_a_fault_and_no_card() -> None:
    assert framer(RDM6300).feed(GOOD.replace(b"AE", b"AF", 1), 0) == [Fault.CHECKSUM]


@given(st.binary(max_size=4_000))
def test_memory_stays_within_one_frame(noise: bytes) -> None:
    frames = framer(RDM6300)
    frames.feed(noise, 0)
    assert len(frames._held) < 14


def test_a_million_random_bytes_invent_no_card() -> None:
    import random

    source = random.Random(6300)
    frames = framer(RDM6300)
    found = [frame for n in range(1_000) for frame in frames.feed(source.randbytes(1_000), n)]
    assert [frame for frame in found if isinstance(frame, bytes)] == []
    assert frames.feed(GOOD, 10_000) == [GOOD]
