"""From a reader's answer or frame to the card in it, or to the reason why there is none. Pure.

Self-tests, traces and running readers use the same code.
"""

import re
from binascii import unhexlify

from msgspec import UNSET

from agent.domain.card import RANDOM, UID_LENGTHS, CardId, UidFault, identify
from agent.readers.apdu import begins, matches
from agent.readers.atr import OTHER, is_storage_card, technology_of_atr
from agent.readers.faults import Fault
from agent.readers.framing import Span, resolve_span, xor_of
from agent.readers.profile import TECHNOLOGIES, Profile
from agent.readers.profile_kinds import Request

Detection = CardId | UidFault | Fault | None
"""What a reader detected. None: no card, or bytes that are not about a card."""

# Not about a card: the reader is asked again.
NOISE = frozenset({None, Fault.DEVICE})

# A longer text matches no pattern. Without the limit, a scanner could keep the regular expression
# busy with a text of any length.
PATTERN_BYTES_MAX = 64


def card_of_answer(profile: Profile, answer: bytes, atr: bytes) -> Detection:
    """Return the card in a PC/SC answer to the UID command.

    The card's technology is the one that its `atr` names, or else the profile's first one.
    """
    if len(answer) < 2 or not matches(profile.uid.status, answer[-2:]):
        return Fault.STATUS
    uid, technology = answer[:-2], technology_of_atr(atr)
    if technology == "b" and not is_storage_card(atr) and len(uid) not in UID_LENGTHS["b"]:
        technology = "a"  # by chance the ATR looks like one of type B
    if technology is not None and technology not in profile.prefixes:
        fault = None if technology == OTHER else identify(technology, uid)
        return fault if fault in RANDOM else Fault.TECHNOLOGY
    return _card(profile, uid, technology)


def card_of_frame(profile: Profile, payload: bytes) -> Detection:
    """Return the card in a frame of a serial reader, or in a line of a keyboard reader."""
    if any(begins(pattern, payload) for pattern in profile.several_patterns):
        return Fault.MANY
    poll, pattern = profile.poll, profile.card_pattern
    if pattern is not None and not begins(pattern, payload):
        is_empty = not isinstance(poll, Request) or any(begins(none, payload) for none in poll.none)
        return None if is_empty else Fault.DEVICE
    if isinstance(poll, Request) and poll.count_at is not UNSET:
        if len(payload) <= poll.count_at:
            return Fault.DEVICE
        count = payload[poll.count_at]
        if count != 1:
            return Fault.MANY if count else None
    technology = None
    if profile.uid.type_at is not UNSET:
        type_byte = payload[profile.uid.type_at : profile.uid.type_at + 1].hex()
        if type_byte not in profile.uid.types:
            return Fault.TECHNOLOGY
        technology = TECHNOLOGIES[profile.uid.types[type_byte]]
    return _card(profile, payload, technology)


def uid_span(profile: Profile, payload: bytes) -> Span | None:
    """Return where the UID stands in a frame, or in an answer without its status.

    None for a payload that ends before its UID does.
    """
    rule = profile.uid
    if rule.slice is not UNSET:
        return resolve_span(len(payload), rule.slice)
    if rule.length_at is not UNSET and rule.start is not UNSET:
        length = payload[rule.length_at] if len(payload) > rule.length_at else 0
        if 0 < length <= len(payload) - rule.start:
            return rule.start, rule.start + length
        return None
    return 0, len(payload)


def _card(profile: Profile, payload: bytes, technology: str | None) -> CardId | UidFault | Fault:
    rule = profile.uid
    span = uid_span(profile, payload)
    if span is None:
        return UidFault.LENGTH
    part = payload[span[0] : span[1]]
    # Without a right BCC after four bytes, these four begin a longer UID.
    if rule.bcc and payload[span[1] : span[1] + 1] != xor_of(part):
        return UidFault.LENGTH
    uid = _decoded(profile, part)
    if not isinstance(uid, bytes):
        return uid
    if rule.byte_order == "reversed":
        uid = uid[::-1]
    if rule.reject and uid.hex() in rule.reject:
        return Fault.REJECTED
    if len(uid) not in rule.lengths:
        return UidFault.LENGTH
    return identify(technology or profile.prefixes[0], uid)


def _decoded(profile: Profile, part: bytes) -> bytes | UidFault | Fault:
    rule = profile.uid
    if rule.encoding == "raw":
        return part
    try:
        text = part.decode("ascii")
    except UnicodeDecodeError:
        return Fault.FORM
    if rule.lossy is not UNSET and _fits(rule.lossy, text):
        return Fault.LOSSY
    if rule.pattern is not UNSET and not _fits(rule.pattern, text):
        return Fault.FORM
    if rule.encoding == "text":
        return part
    try:
        if rule.encoding == "ascii-hex":
            return unhexlify(part)  # takes no blanks
        assert rule.width is not UNSET
        return int(text).to_bytes(rule.width, "big") if text.isdigit() else Fault.FORM
    except (ValueError, OverflowError):  # no hex digits; a number that needs more bytes
        return Fault.FORM


def _fits(pattern: str, text: str) -> bool:
    return len(text) <= PATTERN_BYTES_MAX and re.fullmatch(pattern, text) is not None
