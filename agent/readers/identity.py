"""From a reader's answer or frame to the card it means, or why it means none. Pure.

The same code reads self-tests, traces and living readers.
"""

import re

from msgspec import UNSET

from agent.domain.card import UID_LENGTHS, CardId, UidFault, identify
from agent.readers.apdu import begins, matches, technology_of_atr
from agent.readers.faults import Fault
from agent.readers.framing import places, xor_of
from agent.readers.profile import TECHNOLOGIES, Profile

Seen = CardId | UidFault | Fault | None
"""None: no card, or bytes that are not about one."""

PATTERN_BYTES_MAX = 64


def card_of_answer(profile: Profile, answer: bytes, atr: bytes) -> Seen:
    """Return the card in a PC/SC answer to the UID command. `atr` tells its technology where the UID's length does not."""
    if len(answer) < 2 or not matches(profile.uid.status, answer[-2:]):
        return Fault.STATUS
    technology = technology_of_atr(atr)
    if technology is not None and technology not in profile.prefixes:
        return Fault.TECHNOLOGY
    return _card(profile, answer[:-2], technology)


def card_of_frame(profile: Profile, payload: bytes) -> Seen:
    """Return the card in a frame from a serial reader, or in a line from a keyboard."""
    poll = profile.poll
    if poll.expect and not begins(poll.expect[-1], payload):
        is_none = poll.mode == "push" or any(begins(pattern, payload) for pattern in poll.none)
        return None if is_none else Fault.DEVICE
    if poll.count_at is not UNSET:
        if len(payload) <= poll.count_at:
            return Fault.DEVICE
        count = payload[poll.count_at]
        if count != 1:
            return Fault.MANY if count else None
    technology = None
    if profile.uid.type_at is not UNSET:
        named = payload[profile.uid.type_at : profile.uid.type_at + 1].hex()
        if named not in profile.uid.types:
            return Fault.TECHNOLOGY
        technology = TECHNOLOGIES[profile.uid.types[named]]
    return _card(profile, payload, technology)


def part_at(profile: Profile, payload: bytes) -> tuple[int, int] | None:
    """Return first and end of the UID in an answer (without its status) or a frame, None where it is cut short."""
    rule = profile.uid
    if rule.slice is not UNSET:
        return places(len(payload), rule.slice)
    if rule.length_at is not UNSET and rule.start is not UNSET:
        length = payload[rule.length_at] if len(payload) > rule.length_at else 0
        return (
            (rule.start, rule.start + length) if 0 < length <= len(payload) - rule.start else None
        )
    return 0, len(payload)


def _card(profile: Profile, payload: bytes, technology: str | None) -> CardId | UidFault | Fault:
    rule = profile.uid
    span = part_at(profile, payload)
    if span is None:
        return UidFault.LENGTH
    part = payload[span[0] : span[1]]
    if rule.bcc and payload[span[1] : span[1] + 1] != xor_of(part):
        return UidFault.LENGTH  # the byte after four is no BCC: these four begin a longer UID
    uid = _decoded(profile, part)
    if not isinstance(uid, bytes):
        return uid
    if rule.byte_order == "reversed":
        uid = uid[::-1]
    if rule.reject and uid.hex() in rule.reject:
        return Fault.REJECTED
    if len(uid) not in rule.lengths:
        return UidFault.LENGTH
    return identify(technology or _technology(profile, uid), uid)


def _technology(profile: Profile, uid: bytes) -> str:
    """Return the prefix of the card ids this reader gives: the first of its technologies that has UIDs of that length."""
    for prefix in profile.prefixes:
        if len(uid) in UID_LENGTHS[prefix]:
            return prefix
    return profile.prefixes[0]


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
            return bytes.fromhex(text)
        assert rule.width is not UNSET
        return int(text).to_bytes(rule.width, "big") if text.isdigit() else Fault.FORM
    except (ValueError, OverflowError):  # no hex digits; a number that needs more bytes
        return Fault.FORM


def _fits(pattern: str, text: str) -> bool:
    return len(text) <= PATTERN_BYTES_MAX and re.fullmatch(pattern, text) is not None
