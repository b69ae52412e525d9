"""Which profile fits a device, and which slot of a reader is the contactless one. Pure.

A profile matches by PC/SC name (a glob), or by USB id and, where one device has several transports,
by the class of its interface. The most specific match wins: a longer glob before a shorter one, so
that the generic profile is the last. In a glob, only `*` and `?` are special: names contain
brackets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec import UNSET

from agent.errors import ReaderError
from agent.readers.atr import is_contactless
from agent.readers.profile import Profile

# Words of slot names (CCID readers/supported_readers.txt). A slot for contacts holds no child's
# card: it is often a SAM, which is always there.
_CONTACTLESS = re.compile(r"\b(PICC|CL|\d+CL|NFC|RFID|CONTACTLESS|NON.?CONTACT)\b", re.IGNORECASE)
_CONTACT = re.compile(r"\b(ICC|SAM ?\d*|CONTACT)\b", re.IGNORECASE)


def find_reader(profile: Profile, slots: Mapping[str, bytes], device: str | None) -> str | None:
    """Return the PC/SC reader that fits the configured glob `device`, or else the profile's glob.

    `slots` are the names of all readers, each with the ATR of its card, empty without a card. Of
    the slots of one reader, it is the contactless one. None when no such reader is plugged in.
    Raise `ReaderError` where a glob that fits every name leaves several slots.
    """
    if device in slots:
        return device
    pattern = device if device is not None else profile.match.pcsc_name
    if pattern is UNSET:
        return None
    names = [name for name in slots if fits(pattern, name)]
    if named := [name for name in names if _CONTACTLESS.search(_slot(name))]:
        return named[0]
    names = [name for name in names if not is_contact_slot(name)]
    if _letters(pattern) == 0:
        by_card = [name for name in names if is_contactless(slots[name])]
        names = by_card[:1] or [name for name in names if not slots[name]]
        if len(names) > 1:
            raise ReaderError(
                f"cannot tell which slot is contactless: {', '.join(names)}; hold a card to the"
                " reader, or name the slot in agent.toml with the key device, as in"
                f' device = "{names[0]}"'
            )
    return next(iter(names), None)


def fits(pattern: str, name: str) -> bool:
    """Return whether a name fits a glob."""
    return _compiled(pattern).fullmatch(name) is not None


def is_contact_slot(name: str) -> bool:
    """Return whether a PC/SC name says that the slot is for cards with contacts."""
    slot = _slot(name)
    return _CONTACT.search(slot) is not None and _CONTACTLESS.search(slot) is None


def profile_of_name(profiles: Iterable[Profile], name: str) -> Profile | None:
    """Return the profile that fits a PC/SC name best. The fallback fits no contact slot."""
    fitting = [
        profile
        for profile in profiles
        if profile.match.pcsc_name is not UNSET
        and fits(profile.match.pcsc_name, name)
        and (_letters(profile.match.pcsc_name) or not is_contact_slot(name))
    ]
    return max(fitting, key=lambda profile: _letters(str(profile.match.pcsc_name)), default=None)


def profile_of_usb(profiles: Iterable[Profile], usb: str, interfaces: set[str]) -> Profile | None:
    """Return the profile that fits a USB id best. `interfaces` are `ccid`, `cdc`, `hid`."""
    fitting = [
        profile
        for profile in profiles
        if usb in profile.match.usb
        and (profile.match.interface is UNSET or profile.match.interface in interfaces)
    ]
    return max(fitting, key=lambda profile: profile.match.interface is not UNSET, default=None)


def clashes(profiles: Iterable[Profile]) -> list[str]:
    """Return a sentence for every two profiles that fit one device equally well."""
    sentences, earlier = [], list[Profile]()
    for profile in profiles:
        for other in earlier:
            sentences += [
                f"{profile.id} and {other.id} both match {what};"
                " make the [match] of one of them more specific"
                for what in _shared_matches(profile, other)
            ]
        earlier.append(profile)
    return sentences


def _shared_matches(profile: Profile, other: Profile) -> Iterator[str]:
    if profile.match.interface == other.match.interface:
        yield from (usb for usb in profile.match.usb if usb in other.match.usb)
    globs = profile.match.pcsc_name, other.match.pcsc_name
    if globs[0] is not UNSET and globs[1] is not UNSET and _letters(globs[0]) == _letters(globs[1]):
        plain = [glob.replace("*", "").replace("?", "x") for glob in globs if isinstance(glob, str)]
        if fits(globs[1], plain[0]) or fits(globs[0], plain[1]):
            yield globs[0]


def _letters(glob: str) -> int:
    return sum(letter not in "*?" for letter in glob)


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    special = {"*": ".*", "?": "."}
    parts = (special.get(letter) or re.escape(letter) for letter in glob)
    return re.compile("".join(parts), re.DOTALL)


def _slot(name: str) -> str:
    """Return the name of the slot, which stands in brackets where a reader has several."""
    return name.partition("[")[2] or name
