"""The technician's commands: profiles, what is plugged in, and traces."""

import json
from pathlib import Path

import pytest

from agent.readers import plugged
from agent.readers.plugged import Obstacle, Plugged
from agent.readers.profile import profiles_dir
from agent.readers.profile_rules import all_profiles
from tests.parts.pcsc import READER_NAME, Pcscd, VirtualCard, escape_driver
from tests.parts.process import AGENT, Process, wait_for
from tests.parts.town import SITE, TOWN, run_agent, run_central


def test_every_profile_is_listed_with_its_support_and_signals() -> None:
    rows = json.loads(run_agent("profile", "list", "--json"))
    assert {row["id"] for row in rows} == {profile.id for profile in all_profiles()}
    assert {row["support"] for row in rows} <= {"untested", "fixtures", "bench", "field"}
    assert "acs-acr122u" in run_agent("profile", "list")


def test_a_profile_is_shown_with_sources_and_what_its_selftests_give() -> None:
    said = run_agent("profile", "show", "rdm6300")
    assert "source: Seeed 113020002" in said and "self-test: Seeed datasheet: 62e3086ced" in said
    assert said == run_agent("profile", "show", profiles_dir() / "rdm6300.toml")
    assert "there are 7941e" in run_agent("profile", "show", "nothing", code=78)


def test_all_profiles_are_checked_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert run_agent("profile", "check").count(": right, ") == len(all_profiles())
    bad = tmp_path / "rdm6300.toml"
    bad.write_text(
        (profiles_dir() / "rdm6300.toml").read_text().replace("baud ", "boud "), encoding="utf-8"
    )
    said = run_agent("profile", "check", bad, profiles_dir() / "em-18.toml", code=1)
    assert "unknown key 'serial.boud'; did you mean 'baud'" in said and "em-18.toml: right" in said


@pytest.mark.parametrize("kind", ["pcsc", "serial", "keyboard"])
def test_a_new_profile_fails_its_check_until_it_has_selftests(tmp_path: Path, kind: str) -> None:
    words = (
        "--id",
        "my-reader",
        "--vendor",
        "Nobody",
        "--model",
        "One",
        "--kind",
        kind,
        "-o",
        tmp_path,
    )
    assert "profile check" in run_agent("profile", "new", *words)
    file = tmp_path / "my-reader.toml"
    assert "selftest': write at least one with uid and one with error" in run_agent(
        "profile", "check", file, code=1
    )
    assert "is there already" in run_agent("profile", "new", *words, code=1)
    text = file.read_text(encoding="utf-8")
    tests = text[text.index("# [[selftest]]") :]
    file.write_text(text.replace(tests, tests.replace("# ", "")), encoding="utf-8")
    assert "device.sources': write where the numbers are from" in run_agent(
        "profile", "check", file, code=1
    )
    file.write_text(
        file.read_text().replace("FILL IN: manual and page of every number below", "manual p. 3"),
        encoding="utf-8",
    )
    assert "my-reader.toml: right, 2 self-tests" in run_agent("profile", "check", file)


@pytest.mark.parametrize(("name", "vendor"), [("My Reader", "x"), ("../x", "x"), ("x", 'a"b')])
def test_a_name_that_cannot_stand_in_a_profile_is_one_sentence(
    tmp_path: Path, name: str, vendor: str
) -> None:
    said = run_agent(
        "profile",
        "new",
        "--id",
        name,
        "--vendor",
        vendor,
        "--model",
        "m",
        "--kind",
        "pcsc",
        "-o",
        tmp_path,
        code=78,
    )
    assert "an id has lower-case letters" in said or "cannot stand in a profile" in said


def test_a_profile_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        (profiles_dir() / "rdm6300.toml")
        .read_text()
        .replace('id        = "rdm6300"', 'id = "mine"'),
        encoding="utf-8",
    )
    config = tmp_path / "agent.toml"
    config.write_text(
        f'town = "{TOWN}"\nterminal = "t-1"\nstate_dir = "s"\ncard_key_file = "credential:card-key"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'
        '[[reader]]\nname = "counter"\nprofile = "mine.toml"\nport = "/dev/null"\n',
        encoding="utf-8",
    )
    assert "no reader 'left'; there are counter" in run_agent(
        "readers", "record", "-c", config, "left", code=1
    )
    config.write_text(
        config.read_text().replace("/dev/null", str(tmp_path / "nothing")), encoding="utf-8"
    )
    assert "No such file" in run_agent(
        "readers", "record", "-c", config, "--seconds", "1", "counter", code=1
    )


def test_pcsc_readers_are_listed_with_their_profile_and_why_and_what_is_in_their_way(
    tmp_path: Path,
) -> None:
    card = VirtualCard()
    driver, _ = escape_driver(tmp_path / "driver", allowed=False)
    with Pcscd(tmp_path / "pcscd", card.port, driver=driver) as pcscd:
        for number, words in enumerate((("--json",), ())):
            log = tmp_path / f"{number}.log"
            with Process(pcscd.namespace.command(AGENT, "readers", *words), log) as process:
                wait_for(lambda: not process.is_running, "the list")
    one, _ = [
        row for row in json.loads((tmp_path / "0.log").read_text()) if row["what"] == "PC/SC"
    ]  # vpcd has two slots
    assert (
        one["place"].startswith(READER_NAME)
        and one["profile"] == "acs-acr122u"
        and "ACS ACR122U*" in one["why"]
    )
    assert (
        "no escape commands" in one["in_the_way"][0]["what"]
        and "ifdDriverOptions" in one["in_the_way"][0]["mend"]
    )
    assert (
        "in its way: the driver lets no escape commands pass: its own beep stays"
        in (tmp_path / "1.log").read_text()
    )


def test_without_pcscd_the_list_says_so_and_how_to_mend_it(tmp_path: Path) -> None:
    from tests.parts.pcsc import Namespace

    namespace = Namespace(tmp_path / "namespace")
    with Process(namespace.command(AGENT, "readers"), tmp_path / "log") as process:
        wait_for(lambda: not process.is_running, "the list")
    namespace.close()
    assert (
        "pcscd does not run" in (tmp_path / "log").read_text()
        and "systemctl enable --now pcscd.socket" in (tmp_path / "log").read_text()
    )


class Machine:
    """A machine's /sys and /dev, as far as readers are seen there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/bus/usb/devices").mkdir(parents=True)
        (root / "dev").mkdir()

    def usb(
        self, name: str, usb: str, product: str, release: str, *interfaces: tuple[str, str | None]
    ) -> Path:
        device = self.root / "sys/devices/usb1" / name
        device.mkdir(parents=True)
        vendor, number = usb.split(":")
        for file, text in (
            ("idVendor", vendor),
            ("idProduct", number),
            ("product", product),
            ("bcdDevice", release),
        ):
            (device / file).write_text(f"{text}\n", encoding="ascii")
        for n, (kind, driver) in enumerate(interfaces):
            (device / f"{name}:1.{n}").mkdir()
            (device / f"{name}:1.{n}" / "bInterfaceClass").write_text(f"{kind}\n", encoding="ascii")
            if driver:
                drivers = self.root / "sys/bus/usb/drivers" / driver
                drivers.mkdir(parents=True, exist_ok=True)
                (device / f"{name}:1.{n}" / "driver").symlink_to(drivers)
        (self.root / "sys/bus/usb/devices" / name).symlink_to(device)
        return device

    def node(self, usb: Path, kind: str, node: str, by_path: str, *, mode: int = 0o600) -> None:
        where = {"tty": "tty", "input": "input"}[kind]
        device = next(usb.glob("*:1.0")) / node
        device.mkdir()
        entry = self.root / "sys/class" / where / node
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(device)
        dev = self.root / "dev" / ("input" if kind == "input" else "") / node
        dev.parent.mkdir(parents=True, exist_ok=True)
        dev.touch(mode)
        link = self.root / "dev" / ("serial" if kind == "tty" else "input") / "by-path" / by_path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(dev)


def listed(root: Path) -> list[Plugged]:
    profiles = all_profiles()
    return [*plugged.usb_readers(profiles, root), *plugged.serial_ports(profiles, root)]


def test_a_reader_held_by_the_kernel_and_one_of_refused_firmware_are_said_with_the_line_that_mends_it(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    machine.usb("1-1", "072f:2200", "ACR122U", "0201", ("0b", "pn533_usb"))
    (one,) = listed(tmp_path)
    assert (
        one.profile is not None
        and one.profile.id == "acs-acr122u"
        and one.why == "USB id 072f:2200"
    )
    assert [obstacle.what for obstacle in one.obstacles] == [
        "the kernel's module pn533_usb holds it", "its firmware 02.01 is refused by libccid below 2.06",
    ]  # fmt: skip
    assert (
        "blacklist pn533_usb" in one.obstacles[0].mend
        and "modprobe -r pn533_usb" in one.obstacles[0].mend
    )


def test_one_hardware_is_told_by_its_interface_and_named_by_its_path(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/ModemManager").touch()
    machine.node(
        machine.usb("1-2", "09d8:0428", "TWN4", "0100", ("02", "cdc_acm")),
        "tty",
        "ttyACM0",
        "pci-usb-0:2:1.0",
    )
    machine.node(
        machine.usb("1-3", "ffff:0035", "USB Reader", "0100", ("03", "usbhid")),
        "input",
        "event7",
        "pci-usb-0:3-event-kbd",
    )
    serial, keyboard = listed(tmp_path)
    assert (serial.profile and serial.profile.id, serial.place) == (
        "elatec-twn4-simple",
        "/dev/serial/by-path/pci-usb-0:2:1.0",
    )
    assert (
        "ModemManager" in serial.obstacles[0].what and "udevadm trigger" in serial.obstacles[0].mend
    )
    assert (keyboard.profile and keyboard.profile.id, keyboard.place) == (
        "keyboard-wedge",
        "/dev/input/by-path/pci-usb-0:3-event-kbd",
    )
    (tmp_path / "etc/udev/rules.d").mkdir(parents=True)
    (tmp_path / "etc/udev/rules.d/70-canteen-agent.rules").touch()
    assert listed(tmp_path)[0].obstacles == []


def test_equal_converters_are_told_apart_by_path_and_wait_for_the_technician(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    for n in (1, 2):
        converter = machine.usb(f"1-{n}", "1a86:7523", "USB Serial", "0254", ("ff", "ch341"))
        machine.node(converter, "tty", f"ttyUSB{n}", f"platform-usb-0:{n}:1.0-port0")
    first, second = listed(tmp_path)
    assert [first.place, second.place] == [
        f"/dev/serial/by-path/platform-usb-0:{n}:1.0-port0" for n in (1, 2)
    ]
    assert (
        first.profile is None
        and 'port = "/dev/serial/by-path/platform-usb-0:1:1.0-port0"' in first.obstacles[0].mend
    )


def test_a_port_that_may_not_be_opened_is_named_with_its_group(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.node(
        machine.usb("1-3", "ffff:0035", "USB Reader", "0100", ("03", "usbhid")),
        "input",
        "event7",
        "pci-usb-0:3-event-kbd",
    )
    (
        tmp_path / "dev/input/event7"
    ).unlink()  # root may open everything: one that is not there is not opened by anybody
    (one,) = listed(tmp_path)
    assert one.obstacles[0].mend.startswith("sudo usermod -aG input ")


def test_a_reader_that_no_profile_can_help_is_named(tmp_path: Path) -> None:
    Machine(tmp_path).usb("1-1", "054c:06c3", "RC-S380/P", "0111", ("ff", "port100"))
    (one,) = listed(tmp_path)
    assert (
        one.profile is None and one.obstacles[0].what == "Sony RC-S380 is no PC/SC reader on Linux"
    )


def test_a_driver_too_old_for_a_reader_is_named_with_the_version_that_knows_it(
    tmp_path: Path,
) -> None:
    Machine(tmp_path).usb("1-1", "072f:2303", "ACR1552U", "0100", ("0b", None))
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(
        "Package: libc6\nVersion: 2.36-9\n\nPackage: libccid\nStatus: install ok installed\nVersion: 1.5.2-1\n",
        encoding="utf-8",
    )
    (one,) = listed(tmp_path)
    assert [obstacle.what for obstacle in one.obstacles] == [
        "libccid 1.5.2 does not know it, 1.5.3 does"
    ]
    status.write_text("Package: libccid\nVersion: 1.6.0-1\n", encoding="utf-8")
    assert listed(tmp_path)[0].obstacles == []


def test_what_polkit_refuses_is_told_from_a_pcscd_that_does_not_run(tmp_path: Path) -> None:
    assert "polkit" in plugged.pcscd_obstacle("pcscd: Access denied. (0x8010006A)", tmp_path).mend
    assert plugged.pcscd_obstacle(
        "pcscd: Service not available. (0x8010001D)", tmp_path
    ) == Obstacle("pcscd is not installed", "sudo apt-get install pcscd")


def test_a_card_is_found_by_what_is_printed_on_it_and_two_cards_with_one_number_are_both_shown(
    tmp_path: Path,
) -> None:
    db = tmp_path / "central.db"
    run_central("--db", db, "init", "--town", TOWN)
    roster = tmp_path / "roster.csv"
    roster.write_text(
        f"account,site,prices,cards\na-1,{SITE},lunch 2026-01-01 3.66,em:010063e9ae\na-2,{SITE},lunch 2026-01-01 3.66,em:020063e9ae\n"
        f"a-3,{SITE},lunch 2026-01-01 3.66,em:7200944c78\n",
        encoding="utf-8",
    )
    run_central("--db", db, "import-roster", roster)
    found = json.loads(run_central("--db", db, "card", "find", "--json", "0006547886", "099,59822"))
    assert [(row["card"], row["account"]) for row in found] == [
        ("em:010063e9ae", "a-1"),
        ("em:020063e9ae", "a-2"),
    ]
    assert [
        row["account"]
        for row in json.loads(run_central("--db", db, "card", "find", "--json", "09718904"))
    ] == ["a-3"]
    assert "is no number that is printed on cards" in run_central(
        "--db", db, "card", "find", "12", code=1
    )
