"""What a card's ATR says: whether the card is contactless, and its technology. Pure.

Source: PC/SC part 3, 3.1.3.2.3 (ATR of contactless cards), and its supplement (standards, names).
"""

# TS, T0 with the number of historical bytes, TD1 = T=0, TD2 = T=1, then the historical bytes and
# TCK. Every reader gives this form to a contactless card.
_TS, _TD1_TD2, _HISTORICAL = 0x3B, b"\x80\x01", 4
# The workgroup's RID, then the standard SS and the card's name. Only storage cards have them.
_RID = bytes.fromhex("A000000306")
_NO_INFORMATION = 0x00
_STANDARDS = {
    **dict.fromkeys((0x01, 0x02, 0x03), "a"),
    **dict.fromkeys((0x05, 0x06, 0x07), "b"),
    **dict.fromkeys((0x09, 0x0A, 0x0B, 0x0C), "v"),
    0x11: "f",
}
# ACS readers report FeliCa 212 and 424 by these card names under SS 03 (ACR122U API 2.04).
_FELICA_NAMES = (b"\xf0\x11", b"\xf0\x12")
# The historical bytes of a type B card with a processor: application data (4), protocol
# information (3), and MBLI in the upper half of the last byte (ISO 14443-3, ATQB).
_TYPE_B_BYTES = 8
_PROTOCOL, _PROTOCOL_TYPE, _MBLI = 4, 5, 7

OTHER = "other"
"""The technology of an ATR that names a standard which no canteen card has."""


def is_contactless(atr: bytes) -> bool:
    """Return whether an ATR is that of a contactless card, not of a chip with contacts."""
    has_form = len(atr) > _HISTORICAL and atr[0] == _TS and atr[2:_HISTORICAL] == _TD1_TD2
    return has_form and atr[1] >> 4 == 8 and len(atr) == _HISTORICAL + (atr[1] & 0x0F) + 1


def is_storage_card(atr: bytes) -> bool:
    """Return whether an ATR is that of a card without a processor: it names the card's standard."""
    return _RID in atr


def technology_of_atr(atr: bytes) -> str | None:
    """Return the technology that an ATR names, a key of `UID_LENGTHS` or `OTHER`.

    None where it names none: then the profile does.
    """
    if is_storage_card(atr):
        at = atr.find(_RID) + len(_RID)
        standard = atr[at : at + 3]
        if standard[1:] in _FELICA_NAMES:
            return "f"
        if not standard or standard[0] == _NO_INFORMATION:
            return None
        return _STANDARDS.get(standard[0], OTHER)
    if not is_contactless(atr):
        return None
    return "b" if _is_type_b(atr[_HISTORICAL:-1]) else "a"


def without_number(atr: bytes) -> bytes:
    """Return an ATR that names the same technology, without what may be the card's number.

    The historical bytes of a card with a processor may be, those of a storage card never are.
    """
    if is_storage_card(atr):
        return atr
    if not is_contactless(atr):
        return atr[:1] + bytes(len(atr[1:]))
    historical = atr[_HISTORICAL:-1]
    kept = historical[_PROTOCOL:] if _is_type_b(historical) else b""
    return atr[:_HISTORICAL] + bytes(len(historical) - len(kept)) + kept + b"\0"


def _is_type_b(historical: bytes) -> bool:
    """Return whether the bytes are those of an ATQB. Type A shows the end of its ATS here."""
    if len(historical) != _TYPE_B_BYTES:
        return False
    # bit 1: ISO 14443-4; bit 4 is 0
    return historical[_PROTOCOL_TYPE] & 0x09 == 0x01 and historical[_MBLI] & 0x0F == 0
