"""The faults that are planted to see the doctor name them: a table, printed as a page by docs."""

from dataclasses import dataclass

STATE, SETTINGS = "/var/lib/canteen-agent", "/etc/canteen-agent"
STOP, START = "systemctl stop canteen-agent", "systemctl restart canteen-agent"
RULES = "/usr/share/polkit-1/rules.d"
TOML = f"{SETTINGS}/agent.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault in a booted Debian 13, its check, and words of what the doctor says.

    `mend` is empty where the line that the doctor printed is executed as it is. `after` prepares
    the next fault, once this one is mended.
    """

    how: str
    plant: str
    check: str
    seen: str
    mend: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """A fault that a test plants elsewhere.

    `where`: with real parts on `loopback`; in `files` that look like a machine's; as the `answer`
    of a program, which the doctor judges.
    """

    how: str
    check: str
    where: str
    test: str


def _toml(how: str, old: str, new: str, seen: str, check: str = "configuration.file") -> Planted:
    """Return a fault of agent.toml, which a person mends with an editor."""
    return Planted(
        how=how,
        plant=f"cp {TOML} /root/right.toml; sed -i 's,{old},{new},' {TOML}; {START} || true",
        check=check,
        seen=seen,
        mend=f"cat /root/right.toml > {TOML}",
        after=START,
    )


BOOTED = (
    Planted(
        how="the agent is stopped",
        plant=STOP,
        check="service.state",
        seen="is inactive",
    ),
    Planted(
        how="the agent does not answer",
        plant=STOP,
        check="agent.answer",
        seen="no agent answers",
    ),
    Planted(
        how="the unit is not enabled",
        plant="systemctl disable canteen-agent",
        check="service.enabled",
        seen="is disabled",
    ),
    Planted(
        how="the agent's user is missing",
        plant=f"{STOP}; userdel canteen-agent; {START}",
        check="service.state",
        seen="the user canteen-agent is missing",
        after=START,
    ),
    Planted(
        how="a group of the unit is missing",
        plant=f"{STOP}; groupdel canteen-staff; {START}",
        check="service.state",
        seen="a group of the unit is missing",
        after=START,
    ),
    Planted(
        how="the town's card key is missing",
        plant=f"mv {SETTINGS}/card-key /root/FILE; {START}",
        check="service.state",
        seen="a secret of the unit is missing",
        mend=f"install -m 600 -o root -g root /root/FILE {SETTINGS}/card-key; {START}",
    ),
    Planted(
        how="the town's card key is missing, as the file is seen",
        plant=f"cd /root; mv {SETTINGS}/card-key FILE",
        check="credential.file",
        seen="card-key is missing",
    ),
    Planted(
        how="the town's card key is empty",
        plant=f"cp {SETTINGS}/card-key FILE; : > {SETTINGS}/card-key",
        check="credential.file",
        seen="card-key is empty",
    ),
    Planted(
        how="others may read the town's card key",
        plant=f"chmod 644 {SETTINGS}/card-key",
        check="credential.file",
        seen="others may read it",
    ),
    Planted(
        how="agent.toml is missing",
        plant=f"mv {TOML} /root/right.toml; {START}",
        check="configuration.file",
        seen="cannot be read",
        mend=f"install -m 644 /root/right.toml {TOML}",
        after=START,
    ),
    Planted(
        how="the agent may not read agent.toml",
        plant=f"chmod 600 {TOML}; {START}",
        check="configuration.file",
        seen="may not read it",
        after=START,
    ),
    _toml("agent.toml is no TOML", "^town = .*", "town", "is not TOML"),
    _toml("a key of agent.toml has a typing error", "^terminal", "terminl", "terminl"),
    _toml("agent.toml names no profile that exists", '"rdm6300"', '"rdm9999"', "no profile"),
    _toml(
        "state_dir is where the unit may not write",
        "^terminal .*",
        '&\\nstate_dir = "/srv/state"',
        "may not write in /srv/state",
        "storage.reach",
    ),
    _toml(
        "the broker's name has no address",
        "^url = .*",
        'url = "mqtt://broker.invalid"',
        "broker.invalid has no address",
        "broker.name",
    ),
    _toml(
        "the reader's port does not exist",
        "^port = .*",
        'port = "/run/none"',
        "/run/none is missing",
        "reader.plugged",
    ),
    Planted(
        how="nothing listens at the broker's port",
        plant="true",
        check="broker.port",
        seen="takes no connection",
        mend="(python3 -m http.server --bind 127.0.0.1 1 > /dev/null 2>&1 &); sleep 1",
    ),
    Planted(
        how="the state folder is missing",
        plant=f"{STOP}; mv {STATE} /root/state-aside",
        check="storage.folder",
        seen="is missing",
        after=f"{STOP}; rm -rf {STATE}; mv /root/state-aside {STATE}; {START}",
    ),
    Planted(
        how="the state folder belongs to root",
        plant=f"{STOP}; chown -R root:root {STATE}",
        check="storage.folder",
        seen="the agent cannot write there",
        after=START,
    ),
    Planted(
        how="the state folder is in memory",
        plant=f"{STOP}; mount -t tmpfs tmpfs {STATE}",
        check="storage.medium",
        seen="a power cut takes every meal",
        mend=f"umount {STATE}",
        after=START,
    ),
    Planted(
        how="the ledger is missing",
        plant=f"{STOP}; mv {STATE}/terminal.db /root/terminal.db",
        check="storage.database",
        seen="terminal.db is missing",
        after=f"{STOP}; mv /root/terminal.db {STATE}/terminal.db; {START}",
    ),
    Planted(
        how="the reader is unplugged",
        plant="rm /run/serial-reader; " + START,
        check="agent.reader",
        seen="counter: down",
        mend="ln -s $(cat /run/serial-pty) /run/serial-reader",
        after=START,
    ),
    Planted(
        how="another program has the reader's port",
        plant=f"{STOP}; (exec sleep 600 < /run/serial-reader > /dev/null 2>&1 &); sleep 1",
        check="reader.port",
        seen="sleep (pid",
        after=START,
    ),
    Planted(
        how="polkit refuses the agent's user",
        plant=f"mv {RULES}/50-canteen-agent.rules /root; systemctl restart polkit",
        check="reader.polkit",
        seen="polkit refuses",
        mend=f"mv /root/50-canteen-agent.rules {RULES}; systemctl restart polkit",
    ),
    Planted(
        how="the agent runs an earlier version than is installed",
        plant="sed -i 's/^Version: 0.1.0/Version: 0.1.1/' "
        "/usr/lib/python3/dist-packages/canteen_agent-*.dist-info/METADATA",
        check="agent.version",
        seen="0.1.1 is installed",
    ),
)

_DOCTOR = "tests/terminal/doctor"
_ANSWER = f"{_DOCTOR}/test_running.py::test_what_the_agent_says_is_wrong_is_found"
_MACHINE, _NETWORK = f"{_DOCTOR}/test_machine.py", f"{_DOCTOR}/test_network.py"
_STORAGE, _BOOTS = f"{_DOCTOR}/test_storage.py", f"{_DOCTOR}/test_boots.py"
ELSEWHERE = (
    Tested("the broker's access list denies entries", "agent.link", "answer", _ANSWER),
    Tested("the link is down", "agent.link", "answer", _ANSWER),
    Tested("the central books nothing", "agent.booked", "answer", _ANSWER),
    Tested("the central's clock contradicts the agent's", "agent.clock", "answer", _ANSWER),
    Tested(
        "the driver of a reader has an obstacle",
        "reader.obstacle",
        "answer",
        f"{_DOCTOR}/test_devices.py::test_each_obstacle_of_a_wanted_device_is_a_fault_with_its_fix",
    ),
    Tested(
        "the machine boots after a power cut",
        "machine.boots",
        "answer",
        f"{_BOOTS}::test_a_boot_that_ended_while_the_agent_ran_is_a_power_cut",
    ),
    Tested(
        "the agent was started again and again",
        "machine.boots",
        "answer",
        f"{_BOOTS}::test_many_restarts_over_the_last_boots_are_a_warning",
    ),
    Tested(
        "little memory is free",
        "machine.memory",
        "files",
        f"{_MACHINE}::test_little_memory_is_a_fault",
    ),
    Tested(
        "the processor is hot",
        "machine.temperature",
        "files",
        f"{_MACHINE}::test_a_hot_processor_is_a_warning",
    ),
    Tested(
        "the machine has no clock of its own",
        "clock.rtc",
        "files",
        f"{_MACHINE}::test_a_machine_without_a_clock_of_its_own_is_a_warning_until_it_has_one",
    ),
    Tested(
        "the memory card is worn",
        "machine.wear",
        "files",
        f"{_DOCTOR}/test_wear.py::test_a_worn_card_is_named_until_it_is_replaced",
    ),
    Tested(
        "the ledger is damaged",
        "storage.database",
        "files",
        f"{_STORAGE}::test_a_damaged_ledger_is_a_fault",
    ),
    Tested(
        "the ledger is of a newer program",
        "storage.database",
        "files",
        f"{_STORAGE}::test_a_ledger_of_a_newer_program_is_a_fault",
    ),
    Tested(
        "the disk is full",
        "storage.space",
        "files",
        f"{_STORAGE}::test_a_full_disk_and_used_up_inodes_are_faults",
    ),
    Tested(
        "no more files fit on the disk",
        "storage.inodes",
        "files",
        f"{_STORAGE}::test_a_full_disk_and_used_up_inodes_are_faults",
    ),
    Tested(
        "the broker's authority is another town's",
        "broker.tls",
        "loopback",
        f"{_NETWORK}::test_an_authority_of_another_town_is_a_fault",
    ),
    Tested(
        "the terminal has no certificate",
        "broker.tls",
        "loopback",
        f"{_NETWORK}::test_a_missing_certificate_is_a_fault",
    ),
    Tested(
        "the broker's certificate has another name",
        "broker.tls",
        "loopback",
        f"{_NETWORK}::test_a_name_that_is_not_in_the_brokers_certificate_is_a_fault",
    ),
    Tested(
        "the terminal's key is broken",
        "broker.tls",
        "loopback",
        f"{_NETWORK}::test_a_broken_key_is_a_fault_with_its_file",
    ),
    Tested(
        "the terminal's certificate ends soon",
        "broker.certificate",
        "loopback",
        f"{_NETWORK}::test_a_certificate_that_ends_soon_is_a_warning",
    ),
    Tested(
        "Python 3.13 refuses the authority",
        "broker.strict",
        "loopback",
        f"{_NETWORK}::test_an_authority_without_key_usage_is_a_warning_before_the_upgrade",
    ),
)
