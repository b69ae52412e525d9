"""An ATR says whether a card is contactless, which technology it is, and maybe its number."""

import pytest

from agent.readers.atr import (
    OTHER,
    is_contactless,
    is_storage_card,
    technology_of_atr,
    without_number,
)

MIFARE = "3B8F8001804F0CA000000306030001000000006A"
# a passport: the end of an ATQB with application data, protocol information and MBLI
TYPE_B = "3B888001E1F35E117781A10000"
CONTACT = "3BFF1800008131FE55006B02090403010101434E5310318065"  # a citizen's card in a contact slot


@pytest.mark.parametrize(
    ("atr", "technology"),
    [
        (MIFARE, "a"),
        ("3B8F8001804F0CA00000030603F011000000008A", "f"),  # ACS: FeliCa under SS 03
        ("3B8F8001804F0CA00000030611003B0000000042", "f"),
        ("3B8F8001804F0CA0000003060B00140000000077", "v"),
        ("3B8F8001804F0CA0000003060600060000000000", "b"),
        ("3B8F8001804F0CA0000003064000000000000000", OTHER),  # 125 kHz
        ("3B8F8001804F0CA0000003060000000000000000", None),  # no information given
        ("3B8180018080", "a"),  # DESFire: the end of its ATS
        (TYPE_B, "b"),
        ("3B8880010073C84013009000FF", "a"),  # eight historical bytes, and no ATQB
        ("3B8880010073C84013059000FF", "b"),  # they look like one by chance
        ("3B898001E1F35E117781A1000000", "a"),  # nine historical bytes
        ("3B8F8001804F0CA0000003", None),  # cut
        ("3B8F8001804F0CA000000306", None),  # cut before the standard
        (CONTACT, None),
        ("", None),
    ],
)
def test_an_atr_names_the_technology_or_leaves_it_to_the_profile(
    atr: str, technology: str | None
) -> None:
    assert technology_of_atr(bytes.fromhex(atr)) == technology


def test_a_chip_with_contacts_is_not_contactless() -> None:
    assert is_contactless(bytes.fromhex(MIFARE)) and is_contactless(bytes.fromhex(TYPE_B))
    assert not is_contactless(bytes.fromhex(CONTACT))


def test_only_a_storage_card_names_its_standard() -> None:
    assert is_storage_card(bytes.fromhex(MIFARE)) and not is_storage_card(bytes.fromhex(TYPE_B))


@pytest.mark.parametrize(
    ("atr", "clean"),
    [
        (MIFARE, MIFARE),
        (TYPE_B, "3B888001000000007781A10000"),
        ("3B8E80018031806557420A0311DEADBEEF823B", "3B8E8001" + "00" * 15),
        (CONTACT, "3B" + "00" * 24),
    ],
)
def test_an_atr_without_its_number_names_the_same_technology(atr: str, clean: str) -> None:
    assert without_number(bytes.fromhex(atr)) == bytes.fromhex(clean)
    technology = technology_of_atr(bytes.fromhex(atr))
    assert technology_of_atr(bytes.fromhex(clean)) == technology
