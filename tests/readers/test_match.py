"""The most specific profile fits a device, and no two fit it equally well."""

from pathlib import Path

import pytest

from agent.errors import ReaderError
from agent.readers.match import clashes, find_reader, fits, profile_of_name, profile_of_usb
from agent.readers.profile_rules import all_profiles, load_profile, read_profile
from tests.parts.profiles import TEXTS

CONTACTLESS_ATR = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
SAM_ATR = bytes.fromhex("3BFF1800008131FE55006B02090403010101434E5310318065")


def found(profile_id: str, *names: str, device: str | None = None, **atrs: bytes) -> str | None:
    """Return the found name. `atrs` are by the last word of a name, with an x before it."""
    slots = {name: atrs.get(f"x{name.split()[-1]}", b"") for name in names}
    return find_reader(load_profile(profile_id), slots, device)


def test_a_reader_is_found_by_its_profiles_glob_or_by_the_configured_one() -> None:
    names = ["HID Global OMNIKEY 5022 00 00", "ACS ACR122U PICC Interface 01 00"]
    assert found("acs-acr122u", *names) == names[1]
    assert found("acs-acr122u", *names, device="HID*") == names[0]
    assert found("acs-acr122u", names[0]) is None
    assert found("rdm6300", *names) is None


def test_a_bracket_in_a_name_is_a_bracket() -> None:
    name = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"
    assert found("acs-acr1252u", name, device=name) == name
    assert found("acs-acr1252u", name, device="*[ACR1252 Dual Reader PICC] 0? 00") == name
    assert not fits("Reader [PI]*", "Reader P") and not fits("Reader [!C]", "Reader X")
    assert fits("a.c*", "a.c\n") and not fits("a.c", "abc")


@pytest.mark.parametrize(
    ("contactless", "others"),
    [
        (
            "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 01",
            ["ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 00"],
        ),
        (
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 01",
            ["HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 00 00"],
        ),
        (
            "Feitian R502 [R502 Contactless Reader] 00 02",
            ["Feitian R502 [R502 Contact Reader] 00 00", "Feitian R502 [R502 SAM1 Reader] 00 01"],
        ),
        ("Nobody's Reader 00 01", ["Nobody's Reader [ICC] 00 00"]),
        ("Nobody's Non-Contact Reader 00 01", ["Nobody's Contact Reader 00 00"]),
    ],
)
def test_the_fallback_takes_the_slot_whose_name_says_contactless(
    contactless: str, others: list[str]
) -> None:
    assert found("pcsc-generic", *others, contactless) == contactless
    assert found("pcsc-generic", *others, contactless, device="*0*") == contactless


def test_the_fallback_takes_the_slot_whose_card_is_contactless() -> None:
    names = ["Reader 00", "Reader 01", "Reader 02"]
    assert found("pcsc-generic", *names, x00=SAM_ATR, x02=CONTACTLESS_ATR) == names[2]
    assert found("pcsc-generic", *names, x00=SAM_ATR, x02=SAM_ATR) == names[1]


def test_the_fallback_never_takes_a_contact_slot() -> None:
    assert found("pcsc-generic", "Reader [SAM] 00") is None
    assert found("pcsc-generic", "Reader 00", x00=SAM_ATR) is None
    assert found("pcsc-generic", "Reader [SAM] 00", device="Reader [SAM] 00") is not None


def test_slots_that_nothing_tells_apart_are_named_with_the_key_to_set() -> None:
    with pytest.raises(ReaderError, match=r"Reader 00, Reader 01;.*in agent.toml.*device = "):
        found("pcsc-generic", "Reader 00", "Reader 01")
    assert found("pcsc-generic", "Reader 00", "Reader 01", device="Reader*") == "Reader 00"


@pytest.mark.parametrize(
    ("name", "profile_id"),
    [
        ("ACS ACR122U PICC Interface 00 00", "acs-acr122u"),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", "acs-acr1252u"),
        (
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 01",
            "hid-omnikey-5422",
        ),
        ("Nobody's Reader 00 00", "pcsc-generic"),
    ],
)
def test_the_most_specific_name_wins(name: str, profile_id: str) -> None:
    profile = profile_of_name(all_profiles(), name)
    assert profile is not None and profile.id == profile_id


def test_no_profile_fits_a_contact_slot() -> None:
    name = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01"
    assert profile_of_name(all_profiles(), name) is None


def test_the_usb_interface_tells_the_transports_of_one_device_apart() -> None:
    ids = [
        getattr(profile_of_usb(all_profiles(), "09d8:0427", interfaces), "id", None)
        for interfaces in ({"ccid"}, {"cdc"}, {"hid"})
    ]
    assert ids == ["elatec-twn4-ccid", "elatec-twn4-simple", None]


def test_no_two_installed_profiles_fit_one_device_equally_well() -> None:
    assert clashes(all_profiles()) == []


def test_a_second_profile_for_the_same_device_is_reported(tmp_path: Path) -> None:
    twin = tmp_path / "rival.toml"
    text = TEXTS["acs-acr122u"].replace('id        = "acs-acr122u"', 'id = "rival"')
    twin.write_text(text, encoding="utf-8")
    advice = "make the [match] of one of them more specific"
    assert clashes([*all_profiles(), read_profile(twin)]) == [
        f"rival and acs-acr122u both match 072f:2200; {advice}",
        f"rival and acs-acr122u both match ACS ACR122U*; {advice}",
    ]
