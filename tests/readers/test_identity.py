"""Which card bytes are, and why they are none."""

import msgspec
import pytest

from agent.domain.card import CardId, UidFault
from agent.readers.faults import Fault
from agent.readers.framing import xor_of
from agent.readers.identity import (
    PATTERN_BYTES_MAX,
    Detection,
    card_of_answer,
    card_of_frame,
    uid_span,
)
from agent.readers.profile import Profile
from agent.readers.profile_rules import load_profile

UID = bytes.fromhex("04a1b2c3d4e5f6")
OK = b"\x90\x00"
ATR_B = bytes.fromhex("3B8F8001804F0CA0000003060500010000000000")
ATR_B_PROCESSOR = bytes.fromhex("3B888001E1F35E117781A10000")
ATR_F = bytes.fromhex("3B8F8001804F0CA00000030611003B0000000042")
ATR_125_KHZ = bytes.fromhex("3B8F8001804F0CA0000003064000000000000000")
PUPI = bytes.fromhex("5ec0e07a")
IDM = bytes.fromhex("012e3d4c5b6a7988")
ST25TB = bytes.fromhex("d0021a2b3c4d5e6f")


def profile(name: str, **uid: object) -> Profile:
    """Return a profile with some keys of [uid] changed."""
    loaded = load_profile(name)
    return msgspec.structs.replace(loaded, uid=msgspec.structs.replace(loaded.uid, **uid))


@pytest.mark.parametrize(
    ("answer", "atr", "detection"),
    [
        (UID + OK, b"", CardId("a", UID)),
        (UID + b"\x63\x00", b"", Fault.STATUS),
        (b"\x90", b"", Fault.STATUS),
        (UID + OK, ATR_B, Fault.TECHNOLOGY),
        (UID + OK, ATR_125_KHZ, Fault.TECHNOLOGY),
        (PUPI + OK, ATR_B, UidFault.RANDOM_B),
        (PUPI + OK, ATR_B_PROCESSOR, UidFault.RANDOM_B),
        (PUPI + OK, b"", CardId("a", PUPI)),
        (UID + OK, ATR_B_PROCESSOR, CardId("a", UID)),  # no number of type B has seven bytes
        (IDM + OK, ATR_F, CardId("f", IDM)),
        (b"\x01\xfe" + IDM[2:] + OK, ATR_F, UidFault.RANDOM_F),
        (UID[:5] + OK, b"", UidFault.LENGTH),
        (OK, b"", UidFault.LENGTH),
        (bytes.fromhex("08123456") + OK, b"", UidFault.RANDOM),
        (bytes.fromhex("8804837f") + OK, b"", UidFault.TRUNCATED),
        (bytes(7) + OK, b"", UidFault.BLANK),
    ],
)
def test_an_answer_of_a_pcsc_reader_is_a_card_or_a_fault(
    answer: bytes, atr: bytes, detection: Detection
) -> None:
    assert card_of_answer(load_profile("acs-acr122u"), answer, atr) == detection


@pytest.mark.parametrize(
    ("payload", "detection"),
    [
        ("4B 00", None),
        ("4B 02 01 00 04 08 04 DE AD BE EF", Fault.MANY),
        ("4B", Fault.DEVICE),  # ends before the count
        ("03 32", Fault.DEVICE),  # the answer to another command
        ("4B 01 01 00 04 08 04 9D 4B 2F 01", CardId("a", bytes.fromhex("9d4b2f01"))),
        ("4B 01 01 00 04 08 04 9D 4B 2F", UidFault.LENGTH),  # ends before the UID does
        ("4B 01 01 00 04 08 00 9D 4B 2F 01", UidFault.LENGTH),
    ],
)
def test_a_poll_counts_the_cards_at_the_reader(payload: str, detection: Detection) -> None:
    assert card_of_frame(load_profile("pn532-hsu"), bytes.fromhex(payload)) == detection


def test_a_type_byte_that_the_profile_does_not_name_is_no_card() -> None:
    em = bytes.fromhex("02 0A 02 06 00 8E 6D 5D B0 03")
    dual = load_profile("7941e")
    assert card_of_frame(dual, em) == CardId("em", bytes.fromhex("06008e6d5d"))
    assert card_of_frame(dual, em.replace(b"\x02\x06", b"\x07\x06")) == Fault.TECHNOLOGY


def test_four_bytes_without_their_bcc_are_the_beginning_of_a_longer_uid() -> None:
    uid = bytes.fromhex("5ec0e07a")
    tail = bytes.fromhex("8804004751355661102808")
    frame = bytes.fromhex("AABB1251") + uid + xor_of(uid) + tail
    wrong = bytes.fromhex("AABB1251") + uid + b"\0" + tail
    assert card_of_frame(load_profile("yhy52x"), frame + b"\xeb") == CardId("a", uid)
    assert card_of_frame(load_profile("yhy52x"), wrong + b"\xeb") == UidFault.LENGTH


def test_a_rejected_number_is_no_card() -> None:
    assert card_of_frame(load_profile("rdm6300"), b"\x02" + b"0" * 12 + b"\x03") == Fault.REJECTED


def test_reversed_bytes_are_turned_round() -> None:
    turned = profile("acs-acr122u", byte_order="reversed")
    assert card_of_answer(turned, UID[::-1] + OK, b"") == CardId("a", UID)


@pytest.mark.parametrize(
    ("typed", "detection"),
    [
        (b"3220338716", CardId("a", bytes.fromhex("1c78f2bf"))),
        (b"06547886", Fault.LOSSY),
        (b"099,59822", Fault.LOSSY),
        (b"9999999999", Fault.FORM),  # more than four bytes
        (b"CIAO", Fault.FORM),
        ("322033871²".encode(), Fault.FORM),
    ],
)
def test_a_typed_number_is_a_card_or_a_fault(typed: bytes, detection: Detection) -> None:
    assert card_of_frame(load_profile("keyboard-wedge"), typed) == detection


def test_a_text_longer_than_the_limit_matches_no_pattern() -> None:
    scanner = profile("serial-scanner", pattern="^[A]{1,99}$")
    assert card_of_frame(scanner, b"A" * PATTERN_BYTES_MAX) == UidFault.LENGTH
    assert card_of_frame(scanner, b"A" * (PATTERN_BYTES_MAX + 1)) == Fault.FORM
    lossy = profile("serial-scanner", pattern="^[A]{1,99}$", lossy="^[A]{1,99}$")
    assert card_of_frame(lossy, b"A" * PATTERN_BYTES_MAX) == Fault.LOSSY
    assert card_of_frame(lossy, b"A" * (PATTERN_BYTES_MAX + 1)) == Fault.FORM


def test_the_length_of_a_uid_never_says_its_technology() -> None:
    assert card_of_answer(load_profile("acs-acr122u"), IDM + OK, b"") == UidFault.LENGTH
    b_first = load_profile("acs-acr122u")
    device = msgspec.structs.replace(b_first.device, tech=["iso14443b", "iso14443a"])
    b_first = msgspec.structs.replace(b_first, device=device)
    assert card_of_answer(b_first, PUPI + OK, b"") == UidFault.RANDOM_B
    assert card_of_answer(b_first, UID + OK, b"") == UidFault.LENGTH
    assert card_of_answer(b_first, ST25TB + OK, ATR_B) == CardId("b", ST25TB)


def test_the_span_of_a_uid_is_where_the_profile_says() -> None:
    assert uid_span(load_profile("acs-acr122u"), UID) == (0, 7)
    assert uid_span(load_profile("rdm6300"), bytes(14)) == (1, 11)
    assert uid_span(load_profile("pn532-hsu"), bytes(6) + b"\x04" + bytes(4)) == (7, 11)
    assert uid_span(load_profile("pn532-hsu"), bytes(6) + b"\x04" + bytes(3)) is None
