"""Bytes as profiles write them, the status at the end of a smart card's answer (ISO 7816-4), and what an ATR says (PC/SC part 3)."""

import re
from functools import cache

# PC/SC part 3, supplemental document: RID of the workgroup, then SS, the standard; only these are said by a storage card's ATR.
_RID = bytes.fromhex("A000000306")
_STANDARDS = {
    **dict.fromkeys((0x01, 0x02, 0x03), "a"),
    **dict.fromkeys((0x05, 0x06, 0x07), "b"),
    **dict.fromkeys((0x09, 0x0A, 0x0B, 0x0C), "v"),
    0x11: "f",
}
_FELICA_NAMES = (
    b"\xf0\x11",
    b"\xf0\x12",
)  # ACS gives FeliCa 212 and 424 these names under SS 03 (ACR122U API 2.04)


def parse_hex(text: str) -> bytes:
    """Return the bytes of `FF CA 00 00 00`. Raise `ValueError` for anything that is not pairs of hex digits."""
    return bytes.fromhex(text)


def matches(pattern: str, received: bytes) -> bool:
    """Return whether bytes fit a pattern of hex pairs in which `..` stands for any byte."""
    return _compiled(pattern).fullmatch(received) is not None


def begins(pattern: str, received: bytes) -> bool:
    """Return whether bytes begin as a pattern says."""
    return _compiled(pattern).match(received) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    parts = (b"." if pair == ".." else re.escape(bytes.fromhex(pair)) for pair in _pairs(pattern))
    return re.compile(b"".join(parts), re.DOTALL)


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern `matches` understands."""
    pairs = _pairs(text)
    return bool(pairs) and all(
        pair == ".." or (len(pair) == 2 and all(digit in "0123456789abcdef" for digit in pair))
        for pair in pairs
    )


def technology_of_atr(atr: bytes) -> str | None:
    """Return the technology a contactless card's ATR names, None where it does not say (ISO 14443-4 cards, or no ATR)."""
    at = atr.find(_RID)
    standard = atr[at + len(_RID) : at + len(_RID) + 3] if at >= 0 else b""
    if not standard:
        return None
    return "f" if standard[1:] in _FELICA_NAMES else _STANDARDS.get(standard[0])


def _pairs(text: str) -> list[str]:
    digits = text.replace(" ", "").lower()
    return [digits[i : i + 2] for i in range(0, len(digits), 2)]
