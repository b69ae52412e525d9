"""The numbers printed on 125 kHz cards and keyrings, to look a card up by them. Pure.

All printed forms but two lose bytes of the UID, and sellers mix the forms up: two cards may carry
one number. So a number gives candidates, a search lists all that exist, and no account is debited
by a printed number. The forms are those that Proxmark prints for EM4100
(client/src/cmdlfem410x.c). A 13.56 MHz card of four bytes is printed as keyboard readers type it,
in either byte order.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from agent.domain.card import CardId, UidFault, identify
from agent.errors import CardError

FORMS = (
    "0006547886 (ten digits), 06547886 (eight), 099,59822, 00099.59822,"
    " or the fourteen or fifteen digits of the whole number"
)

_SPREAD = re.compile(r"(\d{3})[.,](\d{5})")
_HALVES = re.compile(r"(\d{5})\.(\d{5})")


class _Pattern(NamedTuple):
    """A UID of which the bytes at the `unknown` indices are not printed; they are 0 in `uid`."""

    technology: str
    uid: bytes
    unknown: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the number of UIDs that fit."""
        return int(256 ** len(self.unknown))

    def uids(self) -> Iterator[bytes]:
        """Yield the UIDs that fit."""
        for n in range(self.size):
            uid = bytearray(self.uid)
            digits = n.to_bytes(len(self.unknown), "big")
            for index, byte in zip(self.unknown, digits, strict=True):
                uid[index] = byte
            yield bytes(uid)


def printed_forms(card: CardId) -> dict[str, str]:
    """Return every number that may be printed on a card, by the name of its form."""
    uid = card.uid
    if card.technology == "a" and len(uid) == 4:
        return {
            "dez10": f"{int.from_bytes(uid, 'big'):010}",
            "dez10-reversed": f"{int.from_bytes(uid, 'little'):010}",
        }
    if card.technology != "em":
        return {}
    low = int.from_bytes(uid[3:], "big")
    return {
        "dez8": f"{int.from_bytes(uid[2:], 'big'):08}",
        "dez10": f"{int.from_bytes(uid[1:], 'big'):010}",
        "5.5": f"{int.from_bytes(uid[1:3], 'big'):05}.{low:05}",
        "3.5a": f"{uid[0]:03}.{low:05}",
        "3.5b": f"{uid[1]:03}.{low:05}",
        "3.5c": f"{uid[2]:03}.{low:05}",
        "w26": f"{uid[2]:03},{low:05}",
        "ik2": f"{int.from_bytes(uid, 'big'):014}",
        "ik3": f"{int.from_bytes(bytes(_mirrored(byte) for byte in uid), 'big'):015}",
    }


def candidates(text: str) -> Iterator[CardId]:
    """Yield the cards that carry all numbers of a text, as on a card: `0006547886 099,59822`.

    Up to 200,000 cards for one number, fewer than 700 for ten digits. Raise `CardError` for a word
    that is no printed number.
    """
    words = text.split()
    if not words:
        raise CardError(f"no number; write it as it is printed: {FORMS}")
    patterns = [list(_patterns(word)) for word in words]
    for word, matches in zip(words, patterns, strict=True):
        if not matches:
            raise CardError(f"{word!r} is no number that is printed on cards; write {FORMS}")
    narrowest = min(patterns, key=lambda matches: sum(pattern.size for pattern in matches))
    seen = set()
    for pattern in narrowest:
        for uid in pattern.uids():
            card = identify(pattern.technology, uid)
            if isinstance(card, UidFault) or card in seen:
                continue
            seen.add(card)
            forms = printed_forms(card).values()
            if all(word in forms or word.replace(",", ".") in forms for word in words):
                yield card


def _patterns(word: str) -> Iterator[_Pattern]:
    """Yield the patterns that a printed number may stand for."""
    if halves := _HALVES.fullmatch(word):
        yield from _em(b"".join(_bytes(part, 2) for part in halves.groups()), 1)
    elif spread := _SPREAD.fullmatch(word):
        high, low = _bytes(spread[1], 1), _bytes(spread[2], 2)
        for index in range(3) if high and low else ():
            uid = bytearray(5)
            uid[index : index + 1], uid[3:] = high, low
            yield _Pattern("em", bytes(uid), tuple(n for n in range(3) if n != index))
    elif word.isascii() and word.isdigit():
        yield from _digit_patterns(word)


def _digit_patterns(word: str) -> Iterator[_Pattern]:
    match len(word):
        case 8:
            yield from _em(_bytes(word, 3), 2)
        case 10:
            yield from _em(_bytes(word, 4), 1)
            if uid := _bytes(word, 4):
                yield _Pattern("a", uid, ())
                yield _Pattern("a", uid[::-1], ())
        case 14:
            yield from _em(_bytes(word, 5), 0)
        case 15:
            yield from _em(bytes(_mirrored(byte) for byte in _bytes(word, 5)), 0)


def _em(known: bytes, missing: int) -> Iterator[_Pattern]:
    if len(known) + missing == 5:
        yield _Pattern("em", bytes(missing) + known, tuple(range(missing)))


def _bytes(digits: str, count: int) -> bytes:
    """Return a number as `count` bytes, or no bytes if it is too large."""
    number = int(digits)
    return number.to_bytes(count, "big") if number < 256**count else b""


def _mirrored(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)
