"""One card, one id; what cannot identify a child is no card."""

import pytest

from agent.domain.card import CardId, UidFault, card_token, identify, parse_card_id, parse_card_key
from agent.errors import CardError

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("technology", "uid", "found"),
    [
        ("a", "04a1b2c3d4e5f6", CardId("a", bytes.fromhex("04a1b2c3d4e5f6"))),
        ("a", "1c78f2bf", CardId("a", bytes.fromhex("1c78f2bf"))),
        ("em", "010063e9ae", CardId("em", bytes.fromhex("010063e9ae"))),
        ("a", "08123456", UidFault.RANDOM),
        ("a", "8804837f", UidFault.TRUNCATED),
        ("a", "dd17380af8", UidFault.LENGTH),
        ("a", "00000000", UidFault.BLANK),
        ("em", "ffffffffff", UidFault.BLANK),
        ("em", "63e9ae", UidFault.LENGTH),
    ],
)
def test_a_uid_is_a_card_or_says_why_not(
    technology: str, uid: str, found: CardId | UidFault
) -> None:
    assert identify(technology, bytes.fromhex(uid)) == found


def test_seven_bytes_that_begin_08_are_a_card() -> None:
    assert str(identify("a", bytes.fromhex("0801020304050607"[:14]))) == "a:08010203040506"


@pytest.mark.parametrize(
    "text",
    [
        "04a1b2c3d4e5f6",
        "x:04a1",
        "a:04a1b2",
        "a:zz",
        "a:08123456",
        "a:8804837f",
        "em:0000000000",
        "",
    ],
)
def test_what_is_no_card_id_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(CardError, match="card"):
        parse_card_id(text)


def test_spelling_does_not_matter_to_the_token() -> None:
    assert card_token(KEY, parse_card_id("a:04A1B2C3D4E5F6")) == card_token(
        KEY, parse_card_id(" a:04a1b2c3d4e5f6 ")
    )


def test_the_token_is_hmac_sha256_cut_to_sixteen_bytes() -> None:
    # computed apart: printf 'em:010063e9ae' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1e1f
    assert card_token(KEY, parse_card_id("em:010063e9ae")) == "403cc235d378648ba7d1832000c61cf2"


def test_another_town_has_other_tokens() -> None:
    card = parse_card_id("em:010063e9ae")
    assert card_token(KEY, card) != card_token(KEY[::-1], card)


def test_a_card_id_does_not_show_its_uid_in_a_traceback() -> None:
    assert "63e9ae" not in repr(parse_card_id("em:010063e9ae"))


@pytest.mark.parametrize("text", ["", "00" * 15, "not hex"])
def test_a_card_key_that_is_none_names_where_it_stands(text: str) -> None:
    with pytest.raises(CardError, match=r"card\.key"):
        parse_card_key(text, where="card.key")
