"""One card has one id; bytes that cannot identify a child have none; strings hide the UID."""

import logging

import pytest

from agent.domain.card import (
    CARD_KEY_BYTES_MIN,
    CardId,
    UidFault,
    card_token,
    identify,
    parse_card_id,
    parse_card_key,
)
from agent.errors import CardError

KEY = bytes(range(32))


# C10
@pytest.mark.parametrize(
    ("technology", "uid", "expected"),
    [
        ("a", "04a1b2c3d4e5f6", CardId("a", bytes.fromhex("04a1b2c3d4e5f6"))),
        ("a", "1c78f2bf", CardId("a", bytes.fromhex("1c78f2bf"))),
        ("a", "08010203040506", CardId("a", bytes.fromhex("08010203040506"))),
        ("em", "010063e9ae", CardId("em", bytes.fromhex("010063e9ae"))),
        ("v", "e004010203040506", CardId("v", bytes.fromhex("e004010203040506"))),
        ("a", "08123456", UidFault.RANDOM),
        ("a", "8804837f", UidFault.TRUNCATED),
        ("a", "dd17380af8", UidFault.LENGTH),
        ("a", "00000000", UidFault.BLANK),
        ("em", "ffffffffff", UidFault.BLANK),
        ("em", "63e9ae", UidFault.LENGTH),
        ("v", "06050403020104e0", UidFault.ORDER),
        ("b", "d0021a2b3c4d5e6f", CardId("b", bytes.fromhex("d0021a2b3c4d5e6f"))),
        ("b", "6f5e4d3c2b1a02d0", UidFault.ORDER),
        ("b", "5ec0e07a", UidFault.RANDOM_B),
        ("f", "012e3d4c5b6a7988", CardId("f", bytes.fromhex("012e3d4c5b6a7988"))),
        ("f", "01fe3d4c5b6a7988", UidFault.RANDOM_F),
    ],
)
def test_a_uid_is_a_card_id_or_has_a_fault(
    technology: str, uid: str, expected: CardId | UidFault
) -> None:
    assert identify(technology, bytes.fromhex(uid)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("04a1b2c3d4e5f6", "write technology and UID"),
        ("x:04a1", "write technology and UID"),
        ("", "write technology and UID"),
        ("a:04a1b2", "4 or 7 or 10 bytes, not 3"),
        ("q:0102", "6 to 32 bytes, not 2"),
        ("a:zz", "hex digits"),
        ("a:08123456", "random"),
        ("a:8804837f", "longer one"),
        ("em:0000000000", "all its bytes are 00"),
        ("v:06050403020104e0", "begins with E0; reverse its bytes"),
        ("b:6f5e4d3c2b1a02d0", "begins with D0; reverse its bytes"),
        ("b:5ec0e07a", "may be new at every tap"),
        ("f:01fe3d4c5b6a7988", "random at every tap"),
    ],
)
def test_a_text_that_is_no_card_id_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(CardError, match="card") as raised:
        parse_card_id(text)
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["a:04a1b2c3d4e5f6a7", "a:08123456", "em:63e9aezz"])
def test_an_error_about_a_card_id_never_contains_its_number(text: str) -> None:
    with pytest.raises(CardError) as raised:
        parse_card_id(text)
    assert text.partition(":")[2][:6] not in str(raised.value)


def test_the_spelling_of_a_card_id_does_not_change_its_token() -> None:
    card, spelled_otherwise = parse_card_id("a:04A1B2C3D4E5F6"), parse_card_id(" a:04a1b2c3d4e5f6 ")
    assert card.text == spelled_otherwise.text == "a:04a1b2c3d4e5f6"
    assert card_token(KEY, card) == card_token(KEY, spelled_otherwise)


# C10
@pytest.mark.parametrize(
    ("technology", "lengths"),
    [("a", {4, 7, 10}), ("b", {4, 8}), ("em", {5}), ("f", {8}), ("v", {8}), ("q", {*range(6, 33)})],
)
def test_a_uid_has_one_of_the_lengths_of_its_technology(technology: str, lengths: set[int]) -> None:
    faults = {length: identify(technology, b"\xd0" * length) for length in range(1, 40)}
    assert {length for length, fault in faults.items() if fault is not UidFault.LENGTH} == lengths


# C11
def test_a_token_is_hmac_sha256_cut_to_sixteen_bytes() -> None:
    # printf 'em:010063e9ae' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f
    assert card_token(KEY, parse_card_id("em:010063e9ae")) == "403cc235d378648ba7d1832000c61cf2"


def test_another_town_has_other_tokens() -> None:
    card = parse_card_id("em:010063e9ae")
    assert card_token(KEY, card) != card_token(KEY[::-1], card)


def test_a_card_id_as_a_string_hides_its_uid(caplog: pytest.LogCaptureFixture) -> None:
    card = parse_card_id("em:010063e9ae")
    logging.getLogger("test").warning("%s %r %s %s", card, card, [card], f"{card}")
    try:
        raise ValueError(card)
    except ValueError:
        logging.getLogger("test").exception("failed")
    assert "CardId(em:…)" in caplog.text and "63e9ae" not in caplog.text


# C12
@pytest.mark.parametrize("text", ["", "00" * (CARD_KEY_BYTES_MIN - 1), "not hex"])
def test_a_wrong_card_key_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(CardError, match=r"^card\.key: "):
        parse_card_key(text, where="card.key")


# C12
def test_the_shortest_card_key_has_sixteen_bytes() -> None:
    assert CARD_KEY_BYTES_MIN == 16
    assert parse_card_key("00" * CARD_KEY_BYTES_MIN + "\n", where="card.key") == bytes(16)
