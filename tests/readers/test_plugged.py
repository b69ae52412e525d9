"""The readers of a machine, what prevents their use, and the command that fixes it.

The machine is a folder with the parts of /sys and /dev in which readers show.
"""

from pathlib import Path

import pytest

from agent.readers import plugged
from agent.readers.plugged import Device, Obstacle
from agent.readers.profile_rules import all_profiles

PROFILES = all_profiles()


class Machine:
    """A machine's root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/bus/usb/devices").mkdir(parents=True)
        (root / "dev").mkdir()

    def usb(self, name: str, usb_id: str, product: str, release: str = "0100") -> Path:
        """Plug in a USB device without interfaces."""
        device = self.root / "sys/devices/usb1" / name
        device.mkdir(parents=True)
        vendor, number = usb_id.split(":")
        texts = {"idVendor": vendor, "idProduct": number, "product": product, "bcdDevice": release}
        for file, text in texts.items():
            (device / file).write_text(f"{text}\n", encoding="ascii")
        (self.root / "sys/bus/usb/devices" / name).symlink_to(device)
        return device

    def interface(self, device: Path, usb_class: str, driver: str | None) -> None:
        """Add an interface to a USB device, with the kernel driver that has taken it."""
        count = len(list(device.glob("*:*")))
        folder = device / f"{device.name}:1.{count}"
        folder.mkdir()
        (folder / "bInterfaceClass").write_text(f"{usb_class}\n", encoding="ascii")
        if driver:
            drivers = self.root / "sys/bus/usb/drivers" / driver
            drivers.mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(drivers)

    def node(self, device: Path, kind: str, node: str, by_path: str) -> Path:
        """Give a USB device's first interface a node under /dev; `kind` is tty or input."""
        folder = next(device.glob("*:1.0")) / node
        folder.mkdir()
        entry = self.root / "sys/class" / kind / node
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(folder)
        path = self.root / "dev" / ("input" if kind == "input" else "") / node
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        link = self.root / "dev" / ("serial" if kind == "tty" else "input") / "by-path" / by_path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        return path

    def install(self, path: str, text: str = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def devices(self) -> list[Device]:
        return [
            *plugged.usb_readers(PROFILES, self.root),
            *plugged.serial_ports(PROFILES, self.root),
        ]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def keyboard_reader(machine: Machine) -> Path:
    """Plug in a keyboard reader, and return its node."""
    device = machine.usb("1-3", "ffff:0035", "USB Reader")
    machine.interface(device, "03", "usbhid")
    return machine.node(device, "input", "event7", "pci-usb-0:3-event-kbd")


def profile_id(device: Device) -> str | None:
    return device.profile.id if device.profile is not None else None


def test_a_reader_that_the_kernel_has_taken_and_that_libccid_refuses_has_two_obstacles(
    machine: Machine,
) -> None:
    machine.interface(machine.usb("1-1", "072f:2200", "ACR122U", "0201"), "0b", "pn533_usb")
    (device,) = machine.devices()
    assert profile_id(device) == "acs-acr122u" and device.reason == "USB id 072f:2200"
    kernel, firmware = device.obstacles
    assert kernel.problem == "the kernel module pn533_usb has taken the reader"
    assert "blacklist pn533_usb" in kernel.fix and "modprobe -r pn533_usb" in kernel.fix
    assert firmware.problem == "libccid refuses firmware 02.01; it needs 2.06 or newer"


def test_a_reader_that_the_machine_may_switch_off_has_an_obstacle(machine: Machine) -> None:
    device = machine.usb("1-1", "072f:2200", "ACR122U", "0214")
    machine.interface(device, "0b", None)
    control = device / "power" / "control"
    control.parent.mkdir()
    control.write_text("on\n")
    assert machine.devices()[0].obstacles == []
    control.write_text("auto\n")
    (obstacle,) = machine.devices()[0].obstacles
    assert (
        "autosuspend" in obstacle.problem and f"echo on | sudo tee {machine.root}" in obstacle.fix
    )


@pytest.mark.parametrize("release", ["0206", "0214", "unknown"])
def test_newer_firmware_is_no_obstacle(machine: Machine, release: str) -> None:
    machine.interface(machine.usb("1-1", "072f:2200", "ACR122U", release), "0b", "usbfs")
    assert machine.devices()[0].obstacles == []


@pytest.mark.parametrize("rules", plugged.UDEV_RULES)
def test_a_device_is_recognised_by_its_interface_and_named_by_its_path(
    machine: Machine, rules: str
) -> None:
    machine.install("usr/sbin/ModemManager")
    device = machine.usb("1-2", "09d8:0428", "TWN4")
    machine.interface(device, "02", "cdc_acm")
    machine.node(device, "tty", "ttyACM0", "pci-usb-0:2:1.0")
    keyboard_reader(machine)
    serial, keyboard = machine.devices()
    assert profile_id(serial) == "elatec-twn4-simple"
    assert serial.location == "/dev/serial/by-path/pci-usb-0:2:1.0"
    assert profile_id(keyboard) == "keyboard-wedge"
    assert keyboard.location == "/dev/input/by-path/pci-usb-0:3-event-kbd"
    (obstacle,) = serial.obstacles
    assert "ModemManager" in obstacle.problem and "udevadm trigger" in obstacle.fix
    machine.install(rules)
    assert machine.devices()[0].obstacles == []


def test_equal_converters_differ_by_path_and_need_a_profile_in_the_configuration(
    machine: Machine,
) -> None:
    for n in (1, 2):
        converter = machine.usb(f"1-{n}", "1a86:7523", "USB Serial")
        machine.interface(converter, "ff", "ch341")
        machine.node(converter, "tty", f"ttyUSB{n}", f"platform-usb-0:{n}:1.0-port0")
    first, second = machine.devices()
    paths = [f"/dev/serial/by-path/platform-usb-0:{n}:1.0-port0" for n in (1, 2)]
    assert [first.location, second.location] == paths
    assert first.profile is None and f'port = "{paths[0]}"' in first.obstacles[0].fix


def test_a_port_that_the_kernel_only_reserves_is_not_listed(machine: Machine) -> None:
    entry = machine.root / "sys/class/tty/ttyS3"
    (machine.root / "sys/devices/serial8250").mkdir(parents=True)
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(machine.root / "sys/devices/serial8250")
    (entry / "type").write_text("4\n", encoding="ascii")
    assert [device.location for device in machine.devices()] == ["/dev/ttyS3"]
    (entry / "type").write_text("0\n", encoding="ascii")
    assert machine.devices() == []


def test_a_port_without_permission_is_listed_with_its_group(machine: Machine) -> None:
    keyboard_reader(machine).unlink()  # root may open all files, but none that does not exist
    (device,) = machine.devices()
    assert "no permission" in device.obstacles[0].problem
    assert device.obstacles[0].fix.startswith("sudo usermod -aG input ")


def test_a_reader_that_no_profile_can_help_is_listed(machine: Machine) -> None:
    machine.interface(machine.usb("1-1", "054c:06c3", "RC-S380/P"), "ff", "port100")
    (device,) = machine.devices()
    assert device.profile is None
    assert device.obstacles[0].problem == "Sony RC-S380 is not a PC/SC reader on Linux"


def test_a_libccid_that_is_too_old_is_listed_with_the_version_that_supports_the_reader(
    machine: Machine,
) -> None:
    machine.interface(machine.usb("1-1", "072f:2303", "ACR1552U"), "0b", None)
    packages = (
        "Package: libc6\nVersion: 2.36-9\n\n"
        "Package: libccid\nStatus: install ok installed\nVersion: 1.5.2-1\n"
    )
    machine.install("var/lib/dpkg/status", packages)
    (device,) = machine.devices()
    problems = [obstacle.problem for obstacle in device.obstacles]
    assert problems == ["libccid 1.5.2 does not support this reader; 1.5.3 does"]
    machine.install("var/lib/dpkg/status", "Package: libccid\nVersion: 1.6.0-1\n")
    assert machine.devices()[0].obstacles == []


@pytest.mark.parametrize(
    ("profile_name", "effect"),
    [
        ("ACS ACR1252 Dual Reader PICC 00 00", "signals are not shown"),
        ("ACS ACR122U PICC Interface 00 00", "the reader keeps its own beep"),
    ],
)
def test_a_driver_without_escape_commands_is_an_obstacle_with_its_effect(
    profile_name: str, effect: str
) -> None:
    for allowed, problems in (
        (False, [f"the driver allows no escape commands: {effect}"]),
        (True, []),
        (None, []),
    ):
        (device,) = plugged.pcsc_readers(PROFILES, [profile_name], {profile_name: allowed})
        assert [obstacle.problem for obstacle in device.obstacles] == problems


def test_a_refusal_by_polkit_is_not_taken_for_a_pcscd_that_is_not_running(
    machine: Machine,
) -> None:
    def obstacle(error: str) -> Obstacle:
        return plugged.pcscd_obstacle(error, machine.root)

    assert "polkit" in obstacle("pcscd: Access denied. (0x8010006A)").fix
    absent = "pcscd: Service not available. (0x8010001D)"
    assert obstacle(absent) == Obstacle("pcscd is not installed", "sudo apt-get install pcscd")
    machine.install("usr/sbin/pcscd")
    assert obstacle(absent).fix == "sudo systemctl enable --now pcscd.socket"
