"""Which profile fits a device. Pure.

A profile matches by PC/SC name (a glob), or by USB id and, where one device has several transports,
by the class of its interface. The most specific match wins: a longer glob before a shorter one, so
that the generic profile is the last.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import UNSET

from agent.readers.profile import Profile


def find_reader(profile: Profile, names: list[str], device: str | None) -> str | None:
    """Return the PC/SC reader that fits the configured glob `device`, or else the profile's glob.

    None when no such reader is plugged in.
    """
    pattern = device if device is not None else profile.match.pcsc_name
    if pattern is UNSET:
        return None
    # A name is also compared as it stands: names contain brackets, which are special in globs.
    return next((name for name in names if name == pattern or fnmatchcase(name, pattern)), None)


def profile_of_name(profiles: Iterable[Profile], name: str) -> Profile | None:
    """Return the profile that fits a PC/SC name best."""
    fitting = [
        profile
        for profile in profiles
        if profile.match.pcsc_name is not UNSET and fnmatchcase(name, profile.match.pcsc_name)
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
        if fnmatchcase(plain[0], globs[1]) or fnmatchcase(plain[1], globs[0]):
            yield globs[0]


def _letters(glob: str) -> int:
    return sum(letter not in "*?" for letter in glob)
