"""Status words and patterns."""

import pytest

from agent.errors import ReaderError
from agent.readers.apdu import is_pattern, matches, strip_status


def test_two_dots_stand_for_any_byte() -> None:
    assert matches("90..", b"\x90\x02") and matches("90 00", b"\x90\x00")
    assert not matches("90..", b"\x90") and not matches("90..", b"\x91\x00") and not matches("90..", b"\x90\x00\x00")


def test_a_pattern_is_hex_pairs_and_dots() -> None:
    assert is_pattern("90..") and is_pattern("03 32 ..")
    assert not any(is_pattern(text) for text in ("", "9", "9.", "xx"))


def test_the_status_is_stripped_and_checked() -> None:
    assert strip_status(bytes.fromhex("1c78f2bf9000"), "9000", asked="the UID") == bytes.fromhex("1c78f2bf")


@pytest.mark.parametrize(("answer", "word"), [(b"\x63\x00", "SW=6300"), (b"", "SW=none"), (b"\x90", "SW=90 ")])
def test_another_status_is_named(answer: bytes, word: str) -> None:
    with pytest.raises(ReaderError, match=word):
        strip_status(answer, "9000", asked="the UID")
