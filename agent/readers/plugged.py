"""What is plugged into this machine, which profile fits it and why, and what is in its way, with the line that mends it.

Reads /sys and /dev, never a device: nothing here moves a reader. `root` is / on a machine.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import UNSET

from agent.readers.match import profile_of_name, profile_of_usb
from agent.readers.profile import Profile

INTERFACES = {"0b": "ccid", "02": "cdc", "0a": "cdc", "03": "hid"}
# Contactless readers that are no PC/SC readers on Linux (LudovicRousseau/PCSC #86, nfcpy): no profile can help.
NO_PCSC = {"04e6:5591": "SCM SCL3711", "054c:06c1": "Sony RC-S380", "054c:06c3": "Sony RC-S380"}
KERNEL_NFC = {"pn533_usb", "pn533", "port100", "nfc"}
BLACKLIST = "/etc/modprobe.d/canteen-agent.conf"
UDEV_RULES = "etc/udev/rules.d/70-canteen-agent.rules"
ESCAPE_MEND = "sudo sed -i '/ifdDriverOptions/{n;s/0x0000/0x0001/}' /etc/libccid_Info.plist && sudo systemctl restart pcscd  (libccid)"

UDEV_MEND = "sudo install -m 644 systemd/70-canteen-agent.rules /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is in a reader's way, and the line that mends it."""

    what: str
    mend: str


@dataclass(slots=True)
class Plugged:
    """One thing that may be a reader. `place` is what agent.toml names: a PC/SC name, or a path."""

    what: str
    place: str | None
    profile: Profile | None
    why: str
    obstacles: list[Obstacle] = field(default_factory=list)


@dataclass(slots=True)
class _Usb:
    folder: Path
    id: str
    product: str
    release: str
    interfaces: list[tuple[str, str | None]] = field(default_factory=list)  # class, kernel driver

    @property
    def speaks(self) -> set[str]:
        return {INTERFACES[kind] for kind, _ in self.interfaces if kind in INTERFACES}


def usb_readers(profiles: list[Profile], root: Path = Path("/")) -> Iterator[Plugged]:
    """Yield the USB devices that a profile knows, or that are known to be no help; serial and keyboard ones with their paths."""
    for usb in _usb_devices(root):
        profile = profile_of_usb(profiles, usb.id, usb.speaks)
        what = f"USB {usb.id} {usb.product}".strip()
        if profile is not None:
            place = _path_of(usb, profile, root) if profile.transport != "pcsc" else None
            why = f"USB id {usb.id}" + (
                f" with {profile.match.interface}" if profile.match.interface is not UNSET else ""
            )
            obstacles = [
                *_in_the_way(usb, profile, root),
                *(_not_allowed(root, place) if place else ()),
            ]
            yield Plugged(what, place, profile, why, obstacles)
        elif usb.id in NO_PCSC:
            mend = "another reader: docs/READERS.md says which to buy"
            yield Plugged(
                what,
                None,
                None,
                "known",
                [Obstacle(f"{NO_PCSC[usb.id]} is no PC/SC reader on Linux", mend)],
            )


def serial_ports(profiles: list[Profile], root: Path = Path("/")) -> Iterator[Plugged]:
    """Yield the serial ports that no profile recognises: a bare module behind a converter says nothing of itself."""
    known = {usb.folder for usb in _usb_devices(root) if _serial_profile(profiles, usb) is not None}
    for tty in sorted((root / "sys/class/tty").glob("tty*")):
        device = tty / "device"
        if (
            not (device.exists() and tty.name.startswith(("ttyUSB", "ttyACM", "ttyAMA", "ttyS")))
            or _text(tty / "type") == "0"
        ):
            continue  # type 0: a port the kernel reserves and the machine does not have
        usb = _usb_parent(device.resolve(), root)
        if usb in known:
            continue
        place = stable_path(root, "serial", tty.name)
        what = f"serial port {tty.name}" + (
            f" ({_text(usb / 'product')})" if usb is not None else ""
        )
        mend = f'in agent.toml: profile = "rdm6300" (or another serial one), port = "{place}"'
        yield Plugged(
            what,
            place,
            None,
            "no reader says what it is here",
            [Obstacle("the technician names its profile", mend), *_not_allowed(root, place)],
        )


def pcsc_readers(
    profiles: list[Profile], names: Iterable[str], escapes: dict[str, bool | None]
) -> Iterator[Plugged]:
    """Yield the PC/SC readers by name. `escapes` tells whether a reader's driver lets escape commands pass, None: not known."""
    for name in names:
        profile = profile_of_name(profiles, name)
        if profile is None:
            yield Plugged("PC/SC", name, None, "no profile fits its name")
            continue
        found = Plugged("PC/SC", name, profile, f"its name fits {profile.match.pcsc_name}")
        steps = [*profile.init, *profile.feedback.steps()]
        if any(step.via == "escape" for step in steps) and escapes.get(name) is False:
            signals = any(step.via == "escape" for step in profile.feedback.steps())
            what = "the driver lets no escape commands pass: " + (
                "its signals are not shown" if signals else "its own beep stays"
            )
            found.obstacles.append(Obstacle(what, ESCAPE_MEND))
        yield found


def pcscd_obstacle(complaint: str, root: Path = Path("/")) -> Obstacle:
    """Return what a complaint of pcscd means here."""
    if "0x8010006A" in complaint:
        rule = "sudo install -m 644 systemd/50-canteen-agent.rules /etc/polkit-1/rules.d/ && sudo systemctl restart polkit pcscd"
        return Obstacle(
            f"{complaint}: polkit does not let this user, or 200 connections are open", rule
        )
    if not (root / "usr/sbin/pcscd").exists():
        return Obstacle("pcscd is not installed", "sudo apt-get install pcscd")
    return Obstacle(f"{complaint}: pcscd does not run", "sudo systemctl enable --now pcscd.socket")


def stable_path(root: Path, kind: str, node: str) -> str:
    """Return the path under /dev that stays when a port is plugged in again: by-path, since equal converters share one by-id."""
    for link in sorted((root / "dev" / kind / "by-path").glob("*")):
        if link.resolve().name == node:
            return "/" + str(link.relative_to(root))
    return f"/dev/{'' if kind == 'serial' else 'input/'}{node}"


def _usb_devices(root: Path) -> list[_Usb]:
    found = []
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        if not (folder / "idVendor").exists():
            continue
        real = folder.resolve()
        usb = _Usb(
            real,
            f"{_text(real / 'idVendor')}:{_text(real / 'idProduct')}",
            _text(real / "product"),
            _text(real / "bcdDevice"),
        )
        for interface in sorted(real.glob("*:*")):
            driver = interface / "driver"
            usb.interfaces.append(
                (
                    _text(interface / "bInterfaceClass"),
                    driver.resolve().name if driver.exists() else None,
                )
            )
        found.append(usb)
    return found


def _serial_profile(profiles: list[Profile], usb: _Usb) -> Profile | None:
    found = profile_of_usb(profiles, usb.id, usb.speaks)
    return found if found is not None and found.transport == "serial" else None


def _path_of(usb: _Usb, profile: Profile, root: Path) -> str | None:
    """Return the stable path of a USB reader's port or keyboard."""
    kind, pattern = (
        ("serial", "tty/tty*") if profile.transport == "serial" else ("input", "input/event*")
    )
    for node in sorted((root / "sys/class").glob(pattern)):
        if (node / "device").exists() and _usb_parent(
            (node / "device").resolve(), root
        ) == usb.folder:
            return stable_path(root, kind, node.name)
    return None


def _usb_parent(device: Path, root: Path) -> Path | None:
    top = root.resolve()
    while device != top and device.parent != device:
        if (device / "idVendor").exists():
            return device
        device = device.parent
    return None


def _in_the_way(usb: _Usb, profile: Profile, root: Path) -> Iterator[Obstacle]:
    for driver in sorted({name for _, name in usb.interfaces if name}):
        modules = KERNEL_NFC | {
            quirk.value
            for quirk in profile.quirk
            if quirk.id == "kernel-module" and quirk.value is not UNSET
        }
        if profile.transport == "pcsc" and driver in modules:
            line = f"printf 'blacklist pn533_usb\\nblacklist pn533\\nblacklist port100\\nblacklist nfc\\n' | sudo tee {BLACKLIST}"
            yield Obstacle(
                f"the kernel's module {driver} holds it", f"{line}; sudo modprobe -r {driver}"
            )
    for quirk in profile.quirk:
        if quirk.id == "firmware-refused" and _bcd(usb.release) < _version(str(quirk.value)):
            yield Obstacle(
                f"its firmware {usb.release[:2]}.{usb.release[2:]} is refused by libccid below {quirk.value}",
                "another unit of it",
            )
        if (
            quirk.id == "driver-since"
            and (here := _installed(root, "libccid"))
            and _version(here) < _version(str(quirk.value))
        ):
            yield Obstacle(
                f"libccid {here} does not know it, {quirk.value} does",
                "sudo apt-get install -t bookworm-backports libccid",
            )
        if (
            quirk.id == "modem-manager"
            and (root / "usr/sbin/ModemManager").exists()
            and not (root / UDEV_RULES).exists()
        ):
            yield Obstacle("ModemManager takes it for a modem and eats its frames", UDEV_MEND)


def _not_allowed(root: Path, place: str | None) -> Iterator[Obstacle]:
    if place is not None and not os.access(root / place.removeprefix("/"), os.R_OK | os.W_OK):
        group = "input" if "/input/" in place else "dialout"
        yield Obstacle(
            f"{place} may not be opened by this user",
            f"sudo usermod -aG {group} $USER, and log in anew",
        )


def _installed(root: Path, package: str) -> str | None:
    try:
        status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(
        rf"^Package: {re.escape(package)}$.*?^Version: (?:\d+:)?([0-9.]+)",
        status,
        re.MULTILINE | re.DOTALL,
    )
    return found[1] if found else None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _bcd(release: str) -> tuple[int, ...]:
    """Return USB's bcdDevice `0214` as (2, 14)."""
    return (
        (int(release[:2]), int(release[2:])) if len(release) == 4 and release.isdigit() else (99,)
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
