"""Which profile fits what is plugged in. Pure.

By PC/SC name (a glob) or by USB id and, where one device speaks several ways, the class of its interface. The most
specific match wins: a longer glob over a shorter one, so that the general profile is the last.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import UNSET

from agent.readers.profile import Profile


def find_reader(profile: Profile, names: list[str], device: str | None) -> str | None:
    """Return the PC/SC reader that a profile (or the configured glob `device`) means, None if it is not there."""
    pattern = device if device is not None else profile.match.pcsc_name
    if pattern is UNSET:
        return None
    return next(
        (name for name in names if name == pattern or fnmatchcase(name, pattern)), None
    )  # names hold brackets, which globs read otherwise


def profile_of_name(profiles: Iterable[Profile], name: str) -> Profile | None:
    """Return the profile that fits a PC/SC name best."""
    fitting = [
        profile
        for profile in profiles
        if profile.match.pcsc_name is not UNSET and fnmatchcase(name, profile.match.pcsc_name)
    ]
    return max(fitting, key=lambda profile: _letters(str(profile.match.pcsc_name)), default=None)


def profile_of_usb(profiles: Iterable[Profile], usb: str, interfaces: set[str]) -> Profile | None:
    """Return the profile that fits a USB device with these interface classes (`ccid`, `cdc`, `hid`) best."""
    fitting = [
        profile
        for profile in profiles
        if usb in profile.match.usb
        and (profile.match.interface is UNSET or profile.match.interface in interfaces)
    ]
    return max(fitting, key=lambda profile: profile.match.interface is not UNSET, default=None)


def clashes(profiles: Iterable[Profile]) -> list[str]:
    """Return a sentence for every two profiles that fit one device equally well."""
    found, before = [], list[Profile]()
    for profile in profiles:
        for other in before:
            for what in _both_match(profile, other):
                found.append(
                    f"{profile.id} and {other.id} both match {what}; let one of them say more in [match]"
                )
        before.append(profile)
    return found


def _both_match(one: Profile, other: Profile) -> Iterator[str]:
    if one.match.interface == other.match.interface:
        yield from (usb for usb in one.match.usb if usb in other.match.usb)
    globs = one.match.pcsc_name, other.match.pcsc_name
    if globs[0] is not UNSET and globs[1] is not UNSET and _letters(globs[0]) == _letters(globs[1]):
        plain = [glob.replace("*", "").replace("?", "x") for glob in globs if isinstance(glob, str)]
        if fnmatchcase(plain[0], globs[1]) or fnmatchcase(plain[1], globs[0]):
            yield globs[0]


def _letters(glob: str) -> int:
    return sum(letter not in "*?" for letter in glob)
