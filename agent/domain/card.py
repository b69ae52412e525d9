"""A card's identity in one spelling, and its token.

Knows card technologies and the lengths of their UIDs. Promises that one card has one `CardId` on
every reader, and that a UID which cannot identify a child (random, truncated, blank) has none. A
UID is never stored, sent or logged: the token stands for it. Card ids come from the readers and
from the office, which also looks them up by the number printed on a card (`printed.py`).

Lengths follow ISO 14443-3 (cascade levels), the byte order NXP AN10927: a UID is an array, the
first byte of anticollision first. In ISO 15693 that is E0, on ST25TB cards D0. `q` is a printed
code (QR or bar code): its characters are the UID.
"""

import hmac
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from agent.errors import CardError

Token = NewType("Token", str)
"""32 hex digits; stored and sent in place of a UID. Logs show the first 8."""

TOKEN_BYTES = 16
CARD_KEY_BYTES_MIN = 16
"""Four-byte UIDs are few: a shorter key could be tried out, and tokens turned back into UIDs."""

# technology prefix -> lengths in bytes
UID_LENGTHS: dict[str, tuple[int, ...]] = {
    "a": (4, 7, 10),  # ISO 14443-A, three cascade levels
    "b": (4, 8),  # ISO 14443-B: the PUPI, which is never an identity; the UID of ST25TB cards
    "em": (5,),  # EM4100
    "f": (8,),  # FeliCa IDm
    "v": (8,),  # ISO 15693
    "q": tuple(range(6, 33)),  # printed code
}

# ISO 14443-3: the first byte of the first part of a longer UID
_CASCADE_TAG = 0x88
# ISO 15693-3, and ISO 7816-6 under ISO 14443-B: the first byte of every UID
_FIRST = {"v": 0xE0, "b": 0xD0}
# ISO 14443-3: a four-byte UID that is random at each activation (phones, DESFire random id)
_RANDOM_PREFIX = 0x08
# ISO 14443-3, 7.9.2: a card may choose another PUPI at each activation, and nothing in it tells.
_PUPI_BYTES = 4
# JIS X 6319-4, ISO 18092: an NFCID2 of a phone, random at each activation
_RANDOM_NFCID2 = b"\x01\xfe"


class UidFault(StrEnum):
    """Why bytes from a reader are not a card's identity."""

    LENGTH = "length"
    RANDOM = "random"
    RANDOM_B = "random-b"
    RANDOM_F = "random-f"
    TRUNCATED = "truncated"
    BLANK = "blank"
    ORDER = "order"


RANDOM = frozenset({UidFault.RANDOM, UidFault.RANDOM_B, UidFault.RANDOM_F})
"""The faults of a number that a card or phone chooses again at every tap."""


class CardId(Struct, frozen=True):
    """Technology and UID in anticollision order.

    As a string it hides the UID, which identifies a child and must not appear in a log or a
    traceback. Only `text` spells it.
    """

    technology: str
    uid: bytes

    @property
    def text(self) -> str:
        """Return the canonical card id: `a:04a1b2c3d4e5f6`, `em:010063e9ae`."""
        return f"{self.technology}:{self.uid.hex()}"

    def __repr__(self) -> str:
        return f"CardId({self.technology}:…)"


def identify(technology: str, uid: bytes) -> CardId | UidFault:
    """Return the card id of a reader's bytes, or the fault of them.

    `technology` is a key of `UID_LENGTHS`.
    """
    if len(uid) not in UID_LENGTHS[technology]:
        return UidFault.LENGTH
    if uid in (bytes(len(uid)), b"\xff" * len(uid)):
        return UidFault.BLANK
    if technology == "a" and len(uid) == 4 and uid[0] == _RANDOM_PREFIX:
        return UidFault.RANDOM
    if technology == "b" and len(uid) == _PUPI_BYTES:
        return UidFault.RANDOM_B
    if technology == "f" and uid.startswith(_RANDOM_NFCID2):
        return UidFault.RANDOM_F
    if technology == "a" and len(uid) == 4 and uid[0] == _CASCADE_TAG:
        return UidFault.TRUNCATED
    if uid[0] != _FIRST.get(technology, uid[0]):
        return UidFault.ORDER
    return CardId(technology, uid)


def parse_card_id(text: str) -> CardId:
    """Return the card id of a text. Raise `CardError` with what to write instead.

    The error never contains the number: errors are logged.
    """
    technology, colon, digits = text.strip().partition(":")
    if not colon or technology not in UID_LENGTHS:
        raise CardError(
            "not a card id; write technology and UID, as in a:04a1b2c3d4e5f6 or em:010063e9ae"
        )
    try:
        uid = bytes.fromhex(digits)
    except ValueError:
        raise CardError(
            f"not a card id: write hex digits after {technology}:, two for each byte"
        ) from None
    card = identify(technology, uid)
    if isinstance(card, UidFault):
        reason = _fault_sentence(card, technology, len(uid))
        raise CardError(f"the UID after {technology}: cannot identify a card: {reason}")
    return card


def _fault_sentence(fault: UidFault, technology: str, length: int) -> str:
    match fault:
        case UidFault.LENGTH:
            lengths = " or ".join(str(n) for n in UID_LENGTHS[technology])
            lengths = "6 to 32" if technology == "q" else lengths
            return f"a UID of technology {technology} has {lengths} bytes, not {length}"
        case UidFault.BLANK:
            return "all its bytes are 00, or all are FF"
        case UidFault.RANDOM:
            return "a four-byte UID that begins with 08 is random at every tap (a phone)"
        case UidFault.RANDOM_B:
            return "the four-byte number of a type B card (PUPI) may be new at every tap"
        case UidFault.RANDOM_F:
            return "a FeliCa number that begins with 01FE is random at every tap (a phone)"
        case UidFault.TRUNCATED:
            return "a four-byte UID that begins with 88 is the first part of a longer one"
        case UidFault.ORDER:
            first = f"{_FIRST[technology]:02X}"
            return f"a UID of technology {technology} begins with {first}; reverse its bytes"


def card_token(card_key: bytes, card: CardId) -> Token:
    """Return the token of a card: 16 bytes in hex of HMAC-SHA256(town card key, card id)."""
    return Token(hmac.digest(card_key, card.text.encode("ascii"), "sha256")[:TOKEN_BYTES].hex())


def parse_card_key(text: str, *, where: str) -> bytes:
    """Return the town's card key from its hex text. Raise `CardError` with the place it is in."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise CardError(f"{where}: the town's card key must be hex digits only") from None
    if len(key) < CARD_KEY_BYTES_MIN:
        raise CardError(
            f"{where}: the town's card key has {len(key)} bytes;"
            f" it needs at least {CARD_KEY_BYTES_MIN}"
        )
    return key
