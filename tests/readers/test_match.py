"""The most specific profile fits a device, and no two fit it equally well."""

from pathlib import Path

import pytest

from agent.readers.match import clashes, find_reader, profile_of_name, profile_of_usb
from agent.readers.profile_rules import all_profiles, load_profile, read_profile
from tests.parts.profiles import TEXTS


def test_a_reader_is_found_by_its_profiles_glob_or_by_the_configured_one() -> None:
    profile = load_profile("acs-acr122u")
    names = ["HID Global OMNIKEY 5022 00 00", "ACS ACR122U PICC Interface 01 00"]
    assert find_reader(profile, names, None) == names[1]
    assert find_reader(profile, names, "HID*") == names[0]
    assert find_reader(profile, names[:1], None) is None
    assert find_reader(load_profile("rdm6300"), names, None) is None


def test_a_configured_name_with_brackets_is_compared_as_it_stands() -> None:
    name = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"
    assert find_reader(load_profile("acs-acr1252u"), [name], name) == name


@pytest.mark.parametrize(
    ("name", "profile_id"),
    [
        ("ACS ACR122U PICC Interface 00 00", "acs-acr122u"),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", "acs-acr1252u"),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01", "pcsc-generic"),
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
