"""Bytes as profiles write them, and the two status bytes at the end of a smart card's answer (ISO 7816-4)."""

from agent.errors import ReaderError

STATUS_OK = b"\x90\x00"


def parse_hex(text: str) -> bytes:
    """Return the bytes of `FF CA 00 00 00`. Raise `ValueError` for anything that is not pairs of hex digits."""
    return bytes.fromhex(text)


def matches(pattern: str, received: bytes) -> bool:
    """Return whether bytes fit a pattern of hex pairs in which `..` stands for any byte."""
    digits = pattern.replace(" ", "").lower()
    if len(digits) != 2 * len(received):
        return False
    return all(want in ("..", f"{byte:02x}") for want, byte in zip(_pairs(digits), received, strict=True))


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern `matches` understands."""
    digits = text.replace(" ", "").lower()
    return bool(digits) and len(digits) % 2 == 0 and all(pair == ".." or _is_hex(pair) for pair in _pairs(digits))


def strip_status(answer: bytes, expected: str, *, asked: str) -> bytes:
    """Return an answer without its status bytes, or raise `ReaderError` when they are not the expected ones."""
    if len(answer) < 2 or not matches(expected, answer[-2:]):
        raise ReaderError(f"SW={answer[-2:].hex() or 'none'} while reading {asked}")
    return answer[:-2]


def _pairs(digits: str) -> list[str]:
    return [digits[i : i + 2] for i in range(0, len(digits), 2)]


def _is_hex(pair: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in pair)
