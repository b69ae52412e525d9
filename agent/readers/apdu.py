"""Hex bytes and patterns as profiles write them, and a driver's list of features. Pure.

Sources: ISO 7816-4 (status words), PC/SC part 10 (features).
"""

import re
from functools import cache

_FEATURE_CCID_ESC_COMMAND = 0x13


def parse_hex(text: str) -> bytes:
    """Return the bytes of `FF CA 00 00 00`. Raise `ValueError` for anything but hex pairs."""
    return bytes.fromhex(text)


def matches(pattern: str, received: bytes) -> bool:
    """Return whether bytes match a pattern of hex pairs, in which `..` is any byte."""
    return _compiled(pattern).fullmatch(received) is not None


def begins(pattern: str, received: bytes) -> bool:
    """Return whether the first bytes match a pattern."""
    return _compiled(pattern).match(received) is not None


def literal_bytes(pattern: str) -> dict[int, int]:
    """Return the bytes that a pattern names, each by its offset."""
    pairs = enumerate(_pairs(pattern))
    return {at: int(pair, 16) for at, pair in pairs if pair != ".."}


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    parts = (b"." if pair == ".." else re.escape(bytes.fromhex(pair)) for pair in _pairs(pattern))
    return re.compile(b"".join(parts), re.DOTALL)


def is_pattern(text: str) -> bool:
    """Return whether `matches` can read a text as a pattern."""
    pairs = _pairs(text)
    return bool(pairs) and all(
        pair == ".." or (len(pair) == 2 and all(digit in "0123456789abcdef" for digit in pair))
        for pair in pairs
    )


def escape_code_of(features: bytes) -> int | None:
    """Return the driver's control code for escape commands, or None if it allows none.

    `features` are tag, length, value (PC/SC part 10). libccid names a code only when bit 0 of
    ifdDriverOptions is set; ACS's driver has another code. So no profile needs to know them.
    """
    at = 0
    while at + 6 <= len(features):
        tag, length = features[at], features[at + 1]
        if tag == _FEATURE_CCID_ESC_COMMAND and length == 4:
            return int.from_bytes(features[at + 2 : at + 6], "big")
        at += 2 + length
    return None


def _pairs(text: str) -> list[str]:
    digits = text.replace(" ", "").lower()
    return [digits[i : i + 2] for i in range(0, len(digits), 2)]
