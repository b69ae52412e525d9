"""Bytes as profiles write them."""

import pytest

from agent.readers.apdu import begins, is_pattern, matches, technology_of_atr

MIFARE = "3B8F8001804F0CA000000306030001000000006A"


@pytest.mark.parametrize(
    ("pattern", "received", "fits"),
    [("90 ..", "9003", True), ("9000", "9003", False), ("90..", "900300", False)],
)
def test_a_pattern_fits_bytes_of_its_own_length(pattern: str, received: str, fits: bool) -> None:
    assert matches(pattern, bytes.fromhex(received)) is fits


def test_a_beginning_fits_longer_bytes_and_never_shorter_ones() -> None:
    assert begins("4B ..", bytes.fromhex("4B01FF")) and not begins("4B ..", b"\x4b")


@pytest.mark.parametrize("text", ["", "9", "9x", "90 .", "G0"])
def test_what_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)


@pytest.mark.parametrize(
    ("atr", "technology"),
    [
        (MIFARE, "a"),
        ("3B8F8001804F0CA00000030603F011000000008A", "f"),  # ACS: FeliCa under SS 03
        ("3B8F8001804F0CA00000030611003B0000000042", "f"),
        ("3B8F8001804F0CA0000003060B00140000000077", "v"),
        ("3B8180018080", None),  # DESFire: computed from its ATS
        ("3B8F8001804F0CA0000003", None),  # cut
        ("", None),
    ],
)
def test_what_an_atr_says_of_a_cards_technology(atr: str, technology: str | None) -> None:
    assert technology_of_atr(bytes.fromhex(atr)) == technology
    assert technology_of_atr(bytes.fromhex(MIFARE)[:12]) is None
