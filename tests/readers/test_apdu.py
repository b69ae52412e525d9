"""Patterns of profiles, and the escape code among a driver's features."""

import pytest

from agent.readers.apdu import (
    begins,
    escape_code_of,
    is_pattern,
    literal_bytes,
    matches,
    parse_hex,
)


@pytest.mark.parametrize(
    ("pattern", "received", "fits"),
    [("90 ..", "9003", True), ("9000", "9003", False), ("90..", "900300", False)],
)
def test_a_pattern_matches_bytes_of_its_own_length(pattern: str, received: str, fits: bool) -> None:
    assert matches(pattern, bytes.fromhex(received)) is fits


def test_a_beginning_matches_longer_bytes_and_no_shorter_ones() -> None:
    assert begins("4B ..", bytes.fromhex("4B01FF")) and not begins("4B ..", b"\x4b")


@pytest.mark.parametrize("text", ["", "9", "9x", "90 .", "G0"])
def test_these_texts_are_not_patterns(text: str) -> None:
    assert not is_pattern(text)


def test_half_a_byte_is_not_hex() -> None:
    assert parse_hex("FF CA 00") == b"\xff\xca\x00"
    with pytest.raises(ValueError):
        parse_hex("FF CA 0")


@pytest.mark.parametrize(
    ("features", "code"),
    [
        (b"\x13\x04\x42\x00\x00\x01", 0x42000001),
        (b"\x06\x04\x42\x33\x00\x06\x13\x04\x42\x00\x0d\xac", 0x42000DAC),
        (b"\x06\x04\x42\x33\x00\x06", None),
        (b"\x13\x04\x42\x00", None),
        (b"\x13\x02\x42\x00\x00\x00", None),
        (b"", None),
    ],
)
def test_a_drivers_features_name_its_escape_code_or_none(features: bytes, code: int | None) -> None:
    assert escape_code_of(features) == code


def test_a_pattern_names_the_bytes_that_are_written_in_it() -> None:
    assert literal_bytes("90.. 0A") == {0: 0x90, 2: 0x0A}
