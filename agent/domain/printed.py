"""The numbers printed on 125 kHz cards and their keyrings, to find a card by them. Pure.

Every printed form but two loses bytes of the UID, and sellers mix them up: two cards may carry one number. So a number
gives candidates, a search shows all that exist, and nobody is debited by one. Forms as Proxmark prints them for EM4100
(client/src/cmdlfem410x.c); the four-byte ones of 13.56 MHz cards as keyboard readers type them, in either byte order.
"""

import re
from collections.abc import Iterator

from agent.domain.card import CardId, UidFault, identify
from agent.errors import CardError

FORMS = "0006547886 (ten digits), 06547886 (eight), 099,59822, 00099.59822, or the fourteen or fifteen digits of the whole number"

_SPREAD = re.compile(r"(\d{3})[.,](\d{5})")
_HALVES = re.compile(r"(\d{5})\.(\d{5})")


def printed_forms(card: CardId) -> dict[str, str]:
    """Return every number that may be printed on a card, by the form's name."""
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
    """Yield the cards that carry all the numbers in a text as it stands on a card: `0006547886 099,59822`.

    Up to 200,000 for one number, fewer than 700 for ten digits. Raise `CardError` for what is no printed number.
    """
    words = text.split()
    if not words:
        raise CardError(f"no number; write it as it is printed: {FORMS}")
    ways = {word: list(_patterns(word)) for word in words}
    for word, patterns in ways.items():
        if not patterns:
            raise CardError(f"{word!r} is no number that is printed on cards; write {FORMS}")
    narrowest = min(words, key=lambda word: sum(256 ** len(open_) for _, _, open_ in ways[word]))
    seen = set()
    for technology, uid, open_ in ways[narrowest]:
        for n in range(256 ** len(open_)):
            filled = bytearray(uid)
            for place, byte in zip(open_, n.to_bytes(len(open_), "big"), strict=True):
                filled[place] = byte
            card = identify(technology, bytes(filled))
            if isinstance(card, UidFault) or card in seen:
                continue
            seen.add(card)
            forms = printed_forms(card).values()
            if all(word in forms or word.replace(",", ".") in forms for word in words):
                yield card


def _patterns(word: str) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    """Yield (technology, UID with zeros where nothing is known, the places that are open)."""
    if halves := _HALVES.fullmatch(word):
        yield from _em(b"".join(_bytes(part, 2) for part in halves.groups()), 1)
    elif spread := _SPREAD.fullmatch(word):
        high, low = _bytes(spread[1], 1), _bytes(spread[2], 2)
        for place in range(3) if high and low else ():
            uid = bytearray(5)
            uid[place : place + 1], uid[3:] = high, low
            yield "em", bytes(uid), tuple(n for n in range(3) if n != place)
    elif word.isascii() and word.isdigit():
        if len(word) == 8:
            yield from _em(_bytes(word, 3), 2)
        if len(word) == 10:
            yield from _em(_bytes(word, 4), 1)
            if uid4 := _bytes(word, 4):
                yield "a", uid4, ()
                yield "a", uid4[::-1], ()
        if len(word) == 14:
            yield from _em(_bytes(word, 5), 0)
        if len(word) == 15:
            yield from _em(bytes(_mirrored(byte) for byte in _bytes(word, 5)), 0)


def _em(known: bytes, missing: int) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    if len(known) + missing == 5:
        yield "em", bytes(missing) + known, tuple(range(missing))


def _bytes(digits: str, count: int) -> bytes:
    """Return a number's bytes, none if it is larger than that."""
    number = int(digits)
    return number.to_bytes(count, "big") if number < 256**count else b""


def _mirrored(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)
