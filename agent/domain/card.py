"""A card's identity in one spelling, and the token that stands for it.

Knows technologies and the lengths their UIDs have; promises that one card has one `CardId` whatever reader saw it, and
that a UID which cannot identify a child (random, cut, blank) never becomes one. A UID is never stored, sent or logged: what is kept is
its token. The readers give card ids, and the office types them, or finds them by the numbers printed on cards (`printed.py`).

Lengths by ISO 14443-3 (cascade levels), the byte order by NXP AN10927: a UID is an array, first anticollision byte first; of
ISO 15693 the byte E0 comes first. `q` is a printed code (QR or bar code): its characters are the UID.
"""

import hmac
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from agent.errors import CardError

Token = NewType("Token", str)
"""32 hex digits; all that is kept of a card. Logs show the first 8."""

TOKEN_BYTES = 16
CARD_KEY_BYTES_MIN = 16

# technology prefix -> lengths in bytes: ISO 14443-A (three cascade levels), 14443-B, EM4100, FeliCa IDm, ISO 15693, printed code
UID_LENGTHS: dict[str, tuple[int, ...]] = {
    "a": (4, 7, 10),
    "b": (4,),
    "em": (5,),
    "f": (8,),
    "v": (8,),
    "q": tuple(range(6, 33)),
}

_CASCADE_TAG = 0x88  # ISO 14443-3: first byte of an unfinished UID
_ISO15693 = 0xE0  # ISO 15693-3: the first byte of every UID
_RANDOM_PREFIX = (
    0x08  # ISO 14443-3: a four-byte id made up anew at each activation (phones, DESFire random id)
)


class UidFault(StrEnum):
    """Why bytes from a reader are not a card's identity."""

    LENGTH = "length"
    RANDOM = "random"
    TRUNCATED = "truncated"
    BLANK = "blank"
    ORDER = "order"


class CardId(Struct, frozen=True):
    """Technology and UID, in anticollision order: `a:04a1b2c3d4e5f6`, `em:010063e9ae`."""

    technology: str
    uid: bytes

    def __str__(self) -> str:
        return f"{self.technology}:{self.uid.hex()}"

    def __repr__(
        self,
    ) -> str:  # a UID identifies a child: it must not reach a log by way of a traceback
        return f"CardId({self.technology}:…)"


def identify(technology: str, uid: bytes) -> CardId | UidFault:
    """Return the card id of the bytes a reader gave, or why they are none. `technology` is a key of `UID_LENGTHS`."""
    if len(uid) not in UID_LENGTHS[technology]:
        return UidFault.LENGTH
    if uid in (bytes(len(uid)), b"\xff" * len(uid)):
        return UidFault.BLANK
    if technology == "a" and len(uid) == 4 and uid[0] == _RANDOM_PREFIX:
        return UidFault.RANDOM
    if technology == "a" and len(uid) == 4 and uid[0] == _CASCADE_TAG:
        return UidFault.TRUNCATED
    if technology == "v" and uid[0] != _ISO15693:
        return UidFault.ORDER
    return CardId(technology, uid)


def parse_card_id(text: str) -> CardId:
    """Return the card id of its one spelling. Raise `CardError` with what to write instead, without the number: errors are logged."""
    technology, colon, digits = text.strip().partition(":")
    if not colon or technology not in UID_LENGTHS:
        raise CardError(
            "not a card id; write technology and UID, as in a:04a1b2c3d4e5f6 or em:010063e9ae"
        )
    try:
        uid = bytes.fromhex(digits)
    except ValueError:
        raise CardError(f"not a card id: after {technology}: come hex digits, two a byte") from None
    found = identify(technology, uid)
    if isinstance(found, UidFault):
        lengths = (
            "6 to 32" if technology == "q" else " or ".join(str(n) for n in UID_LENGTHS[technology])
        )
        reasons = {
            UidFault.LENGTH: f"a UID of technology {technology} has {lengths} bytes, not {len(uid)}",
            UidFault.BLANK: "all its bytes are equal to 00 or FF",
            UidFault.RANDOM: "a four-byte UID that begins 08 is made up anew at every tap (a phone)",
            UidFault.TRUNCATED: "a four-byte UID that begins 88 is the first half of a longer one",
            UidFault.ORDER: "a UID of ISO 15693 begins with E0; write its bytes the other way round",
        }
        raise CardError(f"the UID after {technology}: cannot identify a card: {reasons[found]}")
    return found


def card_token(card_key: bytes, card: CardId) -> Token:
    """Return the token of a card: the first 16 bytes, in hex, of HMAC-SHA256(town card key, canonical card id)."""
    return Token(hmac.digest(card_key, str(card).encode("ascii"), "sha256")[:TOKEN_BYTES].hex())


def parse_card_key(text: str, *, where: str) -> bytes:
    """Return the town's card key from its hex text. Raise `CardError` naming `where` it was read."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise CardError(f"{where}: the town's card key is hex digits and nothing else") from None
    if len(key) < CARD_KEY_BYTES_MIN:
        raise CardError(
            f"{where}: the town's card key has {len(key)} bytes; it needs at least {CARD_KEY_BYTES_MIN}"
        )
    return key
