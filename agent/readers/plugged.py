"""Which readers are plugged into this machine, which profile fits them, and what must be fixed.

Reads /sys and /dev and never opens a device. `root` is / on a machine.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from agent.readers.match import profile_of_name, profile_of_usb
from agent.readers.profile import Profile, Quirk

INTERFACES = {"0b": "ccid", "02": "cdc", "0a": "cdc", "03": "hid"}
# Contactless readers that are not PC/SC readers on Linux (LudovicRousseau/PCSC #86, nfcpy). No
# profile can help.
NO_PCSC = {"04e6:5591": "SCM SCL3711", "054c:06c1": "Sony RC-S380", "054c:06c3": "Sony RC-S380"}
KERNEL_NFC = {"pn533_usb", "pn533", "port100", "nfc"}
BLACKLIST = "/etc/modprobe.d/canteen-agent.conf"
UDEV_RULES = tuple(f"{folder}/udev/rules.d/70-canteen-agent.rules" for folder in ("usr/lib", "etc"))
"""Where the Debian package and packaging/install-venv.sh put them."""

ESCAPE_FIX = (
    "sudo sed -i '/ifdDriverOptions/{n;s/0x0000/0x0001/}' /etc/libccid_Info.plist"
    " && sudo systemctl restart pcscd  # for libccid"
)
UDEV_FIX = (
    "sudo apt-get install --reinstall canteen-agent && sudo udevadm control --reload"
    " && sudo udevadm trigger  # Debian 12: sudo packaging/install-venv.sh"
)
POLKIT_FIX = (
    "sudo install -m 644 systemd/50-canteen-agent.rules /etc/polkit-1/rules.d/"
    " && sudo systemctl restart polkit pcscd"
)
KERNEL_FIX = (
    r"printf 'blacklist pn533_usb\nblacklist pn533\nblacklist port100\nblacklist nfc\n'"
    f" | sudo tee {BLACKLIST}"
)
LIBCCID_FIX = "sudo apt-get install -t bookworm-backports libccid"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What prevents the use of a reader, and the command or step that fixes it."""

    problem: str
    fix: str


@dataclass(slots=True)
class Device:
    """Something plugged in that may be a reader.

    `location` is what agent.toml names: a PC/SC name, or a path. `reason` tells why the profile was
    chosen, or why there is none.
    """

    description: str
    location: str | None
    profile: Profile | None
    reason: str
    obstacles: list[Obstacle] = field(default_factory=list)


class _Interface(NamedTuple):
    """The USB class of an interface, and the kernel driver that has it."""

    usb_class: str
    driver: str | None


@dataclass(slots=True)
class _UsbDevice:
    folder: Path
    id: str
    product: str
    release: str
    interfaces: list[_Interface] = field(default_factory=list)

    @property
    def interface_names(self) -> set[str]:
        classes = {interface.usb_class for interface in self.interfaces}
        return {INTERFACES[usb_class] for usb_class in classes if usb_class in INTERFACES}


def usb_readers(profiles: list[Profile], root: Path = Path("/")) -> Iterator[Device]:
    """Yield the USB devices that match a profile, and those that are known not to work.

    Serial and keyboard readers have their path as location; that of a PC/SC reader is its name,
    which `pcsc_readers` yields.
    """
    for usb in _usb_devices(root):
        profile = profile_of_usb(profiles, usb.id, usb.interface_names)
        description = f"USB {usb.id} {usb.product}".strip()
        if profile is not None:
            location = _path_of(usb, profile, root) if profile.transport != "pcsc" else None
            interface = profile.match.interface
            reason = f"USB id {usb.id}" + (f" with {interface}" if interface is not UNSET else "")
            obstacles = [*_obstacles(usb, profile, root), *_permission(root, location)]
            yield Device(description, location, profile, reason, obstacles)
        elif usb.id in NO_PCSC:
            problem = f"{NO_PCSC[usb.id]} is not a PC/SC reader on Linux"
            obstacle = Obstacle(problem, "use another reader; docs/operate/readers.md says which")
            yield Device(description, None, None, "a known USB id", [obstacle])


def serial_ports(profiles: list[Profile], root: Path = Path("/")) -> Iterator[Device]:
    """Yield the serial ports that no profile recognises: a module behind a converter has no id."""
    known = {usb.folder for usb in _usb_devices(root) if _serial_profile(profiles, usb) is not None}
    for tty in sorted((root / "sys/class/tty").glob("tty*")):
        device = tty / "device"
        if not device.exists() or not tty.name.startswith(("ttyUSB", "ttyACM", "ttyAMA", "ttyS")):
            continue
        if _text(tty / "type") == "0":  # reserved by the kernel, absent in this machine
            continue
        usb = _usb_parent(device.resolve(), root)
        if usb in known:
            continue
        location = stable_path(root, "serial", tty.name)
        product = f" ({_text(usb / 'product')})" if usb is not None else ""
        yield Device(
            f"serial port {tty.name}{product}",
            location,
            None,
            "a serial port does not tell which reader is connected",
            [
                Obstacle(
                    "the profile must be set in agent.toml",
                    f'in agent.toml: profile = "rdm6300" (or another serial one),'
                    f' port = "{location}"',
                ),
                *_permission(root, location),
            ],
        )


def pcsc_readers(
    profiles: list[Profile], names: Iterable[str], escapes: dict[str, bool | None]
) -> Iterator[Device]:
    """Yield the PC/SC readers by name.

    `escapes` tells whether a reader's driver allows escape commands; None means not known.
    """
    for name in names:
        profile = profile_of_name(profiles, name)
        if profile is None:
            yield Device("PC/SC", name, None, "no profile matches the name")
            continue
        device = Device("PC/SC", name, profile, f"the name matches {profile.match.pcsc_name}")
        has_signals = any(step.via == "escape" for step in profile.feedback.steps())
        needs_escape = has_signals or any(step.via == "escape" for step in profile.init)
        if needs_escape and escapes.get(name) is False:
            effect = "signals are not shown" if has_signals else "the reader keeps its own beep"
            problem = f"the driver allows no escape commands: {effect}"
            device.obstacles.append(Obstacle(problem, ESCAPE_FIX))
        yield device


def pcscd_obstacle(error: str, root: Path = Path("/")) -> Obstacle:
    """Return what an error of pcscd means, and how to fix it."""
    if "0x8010006A" in error:
        return Obstacle(
            f"{error}: polkit refuses this user, or 200 connections are open", POLKIT_FIX
        )
    if not (root / "usr/sbin/pcscd").exists():
        return Obstacle("pcscd is not installed", "sudo apt-get install pcscd")
    return Obstacle(f"{error}: pcscd is not running", "sudo systemctl enable --now pcscd.socket")


def stable_path(root: Path, kind: str, node: str) -> str:
    """Return a port's path under /dev that survives re-plugging.

    It is by-path, because equal converters share one by-id.
    """
    for link in sorted((root / "dev" / kind / "by-path").glob("*")):
        if link.resolve().name == node:
            return "/" + str(link.relative_to(root))
    return f"/dev/{'' if kind == 'serial' else 'input/'}{node}"


def _usb_devices(root: Path) -> list[_UsbDevice]:
    devices = []
    for link in sorted((root / "sys/bus/usb/devices").glob("*")):
        if not (link / "idVendor").exists():
            continue
        folder = link.resolve()
        usb_id = f"{_text(folder / 'idVendor')}:{_text(folder / 'idProduct')}"
        product, release = _text(folder / "product"), _text(folder / "bcdDevice")
        usb = _UsbDevice(folder, usb_id, product, release)
        for interface in sorted(folder.glob("*:*")):
            driver = interface / "driver"
            name = driver.resolve().name if driver.exists() else None
            usb.interfaces.append(_Interface(_text(interface / "bInterfaceClass"), name))
        devices.append(usb)
    return devices


def _serial_profile(profiles: list[Profile], usb: _UsbDevice) -> Profile | None:
    profile = profile_of_usb(profiles, usb.id, usb.interface_names)
    return profile if profile is not None and profile.transport == "serial" else None


def _path_of(usb: _UsbDevice, profile: Profile, root: Path) -> str | None:
    """Return the stable path of a USB reader's port or keyboard."""
    is_serial = profile.transport == "serial"
    kind, pattern = ("serial", "tty/tty*") if is_serial else ("input", "input/event*")
    for node in sorted((root / "sys/class").glob(pattern)):
        device = node / "device"
        if device.exists() and _usb_parent(device.resolve(), root) == usb.folder:
            return stable_path(root, kind, node.name)
    return None


def _usb_parent(device: Path, root: Path) -> Path | None:
    top = root.resolve()
    while device != top and device.parent != device:
        if (device / "idVendor").exists():
            return device
        device = device.parent
    return None


def _obstacles(usb: _UsbDevice, profile: Profile, root: Path) -> Iterator[Obstacle]:
    modules = KERNEL_NFC | {
        str(quirk.value) for quirk in profile.quirk if quirk.id == "kernel-module"
    }
    drivers = {interface.driver for interface in usb.interfaces if interface.driver in modules}
    for driver in sorted(map(str, drivers)) if profile.transport == "pcsc" else ():
        fix = f"{KERNEL_FIX}; sudo modprobe -r {driver}"
        yield Obstacle(f"the kernel module {driver} has taken the reader", fix)
    if _text(usb.folder / "power" / "control") == "auto":
        # A reader that sleeps misses a card, or wakes too late for it.
        fix = f"echo on | sudo tee {usb.folder}/power/control  # and end what saves power"
        yield Obstacle("the machine may switch it off to save power (autosuspend)", fix)
    for quirk in profile.quirk:
        yield from _quirk_obstacles(usb, quirk, root)


def _quirk_obstacles(usb: _UsbDevice, quirk: Quirk, root: Path) -> Iterator[Obstacle]:
    if quirk.id == "firmware-refused" and _bcd(usb.release) < _version(str(quirk.value)):
        firmware = f"{usb.release[:2]}.{usb.release[2:]}"
        yield Obstacle(
            f"libccid refuses firmware {firmware}; it needs {quirk.value} or newer",
            "replace it by a newer unit of the model",
        )
    if quirk.id == "driver-since":
        installed = _installed(root, "libccid")
        if installed is not None and _version(installed) < _version(str(quirk.value)):
            problem = f"libccid {installed} does not support this reader; {quirk.value} does"
            yield Obstacle(problem, LIBCCID_FIX)
    if quirk.id == "modem-manager":
        is_installed = (root / "usr/sbin/ModemManager").exists()
        if is_installed and not any((root / rules).exists() for rules in UDEV_RULES):
            yield Obstacle("ModemManager probes it as a modem and reads its frames", UDEV_FIX)


def _permission(root: Path, location: str | None) -> Iterator[Obstacle]:
    if location is None or os.access(root / location.removeprefix("/"), os.R_OK | os.W_OK):
        return
    group = "input" if "/input/" in location else "dialout"
    yield Obstacle(
        f"this user has no permission to open {location}",
        f"sudo usermod -aG {group} $USER, and log in again",
    )


def _installed(root: Path, package: str) -> str | None:
    """Return the installed version of a Debian package, without epoch and revision."""
    try:
        status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    pattern = rf"^Package: {re.escape(package)}$.*?^Version: (?:\d+:)?([0-9.]+)"
    match = re.search(pattern, status, re.MULTILINE | re.DOTALL)
    return match[1] if match else None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _bcd(release: str) -> tuple[int, ...]:
    """Return USB's bcdDevice `0214` as (2, 14)."""
    is_bcd = len(release) == 4 and release.isdigit()
    return (int(release[:2]), int(release[2:])) if is_bcd else (99,)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
