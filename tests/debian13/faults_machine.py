"""The faults of unit, settings, storage and readers that are planted in a booted Debian 13."""

from tests.debian13.fault import (
    AGAIN,
    RIGHT,
    SETTINGS,
    START,
    STATE,
    STOP,
    TOML,
    Planted,
    toml,
)

RULES = "/usr/share/polkit-1/rules.d"
UNITS = "/usr/lib/systemd/system"
KEY = f"{SETTINGS}/card-key"
DISK, ARCHIVES = "/disk", "/var/cache/apt/archives"
# The state folder and apt's, on a small file system of their own.
SMALL_DISK = (
    f"{STOP}; mkdir -p {DISK}; mount -t tmpfs -o size=60m,nr_inodes=300 tmpfs {DISK};"
    f" cp -a {STATE} {DISK}/state; mkdir -p {DISK}/archives/partial;"
    f" mount --bind {DISK}/state {STATE}; mount --bind {DISK}/archives {ARCHIVES}; {START}"
)
LARGE_DISK = f"{STOP}; umount {STATE} {ARCHIVES} {DISK}; {START}"

UNIT = (
    Planted(how="the agent is stopped", plant=STOP, check="service.state", seen="is inactive"),
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
        how="the program may not be executed",
        plant=f"chmod a-x /usr/bin/canteen-agent; {START}",
        check="service.state",
        seen="the program is missing",
    ),
    Planted(
        how="the unit's file is missing",
        plant=f"{STOP}; rm {UNITS}/canteen-agent.service; systemctl daemon-reload",
        check="service.state",
        seen="there is no unit",
        after=START,
    ),
    Planted(
        how="the agent was killed again and again",
        plant="for n in 1 2 3 4; do systemctl kill -s KILL canteen-agent; sleep 4; done",
        check="service.state",
        seen="times again",
    ),
    Planted(
        how="the agent runs an earlier version than is installed",
        plant="sed -i 's/^Version: 0.1.0/Version: 0.1.9/' "
        "/usr/lib/python3/dist-packages/canteen_agent-*.dist-info/METADATA",
        check="agent.version",
        seen="0.1.9 is installed",
        after="sed -i 's/^Version: 0.1.9/Version: 0.1.0/' "
        f"/usr/lib/python3/dist-packages/canteen_agent-*.dist-info/METADATA; {START}",
    ),
)
SETTINGS_FAULTS = (
    Planted(
        how="the town's card key is missing",
        plant=f"rm {KEY}; {START}",
        check="service.state",
        seen="a secret of the unit is missing",
        hand=f"install -m 600 {RIGHT}/card-key {KEY}",
    ),
    Planted(
        how="the town's card key is missing, as the file is seen",
        plant=f"cd /root; mv {KEY} FILE",
        check="credential.file",
        seen="card-key is missing",
    ),
    Planted(
        how="the town's card key is empty",
        plant=f"cp {KEY} FILE; : > {KEY}",
        check="credential.file",
        seen="card-key is empty",
    ),
    Planted(
        how="others may read the town's card key",
        plant=f"chmod 644 {KEY}",
        check="credential.file",
        seen="others may read it",
    ),
    Planted(
        how="agent.toml is missing",
        plant=f"rm {TOML}; {START}",
        check="configuration.file",
        seen="cannot be read",
        after=AGAIN,
    ),
    Planted(
        how="the agent may not read agent.toml",
        plant=f"chmod 600 {TOML}; {START}",
        check="configuration.file",
        seen="may not read it",
    ),
    toml("agent.toml is no TOML", "^town = .*", "town", "is not TOML"),
    toml("a key of agent.toml has a typing error", "^terminal", "terminl", "terminl"),
    toml("agent.toml names no profile that exists", '"rdm6300"', '"rdm9999"', "no profile"),
    Planted(
        how="agent.toml is wrong, and the unit has failed",
        plant=f"sed -i 's/^terminal/terminl/' {TOML}; {START}",
        check="service.state",
        seen="the configuration is wrong",
        hand=AGAIN.partition(";")[0],
    ),
    Planted(
        how="state_dir is where the unit may not write",
        plant=f"sed -i 's,^state_dir.*,state_dir = \"/srv/state\",' {TOML}; {START}",
        check="storage.reach",
        seen="may not write in /srv/state",
        after=AGAIN,
    ),
)
STORAGE = (
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
    ),
    Planted(
        how="the state folder is in memory",
        plant=f"{STOP}; cp -a {STATE} /root/state; mount -t tmpfs tmpfs {STATE};"
        f" cp -a /root/state/. {STATE}; chown --reference=/root/state {STATE};"
        f" rm -rf /root/state; {START}",
        check="storage.medium",
        seen="a power cut takes every meal",
        after=f"test -e {STATE}.memory/terminal.db && rm -rf {STATE}.memory",
    ),
    Planted(
        how="the ledger is missing",
        plant=f"{STOP}; mv {STATE}/terminal.db /root/terminal.db",
        check="storage.database",
        seen="terminal.db is missing",
        after=f"{STOP}; mv /root/terminal.db {STATE}/terminal.db; {START}",
    ),
    Planted(
        how="the ledger is damaged",
        plant=f"{STOP}; head -c 1024 /dev/urandom"
        f" | dd of={STATE}/terminal.db bs=1024 seek=3 conv=notrunc",
        check="storage.database",
        seen="terminal.db",
    ),
    Planted(
        how="the disk is full",
        plant=f"{SMALL_DISK}; free=$(df --output=avail -B1 {DISK} | tail -n 1);"
        f" head -c $((free - 9000000)) /dev/zero > {ARCHIVES}/left_1_all.deb",
        check="storage.space",
        seen="free some space",
        after=LARGE_DISK,
    ),
    Planted(
        how="no more files fit on the disk",
        plant=f"{SMALL_DISK}; mkdir {DISK}/small; cd {DISK}/small; touch $(seq 300)",
        check="storage.inodes",
        seen="no more files fit",
        mend=f"rm -r {DISK}/small",
        after=LARGE_DISK,
    ),
)
READERS = (
    toml(
        "the reader's port does not exist",
        "^port = .*",
        'port = "/run/none"',
        "/run/none is missing",
        "reader.plugged",
    ),
    Planted(
        how="the reader is unplugged",
        plant=f"rm /run/serial-reader; {START}",
        check="agent.reader",
        seen="desk: down",
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
        how="pcscd is stopped",
        plant="systemctl disable --now pcscd.socket; systemctl stop pcscd",
        check="reader.obstacle",
        seen="pcscd is not running",
    ),
    Planted(
        how="pcscd is not installed",
        plant="systemctl stop pcscd.socket pcscd; dpkg --force-depends --remove pcscd",
        check="reader.obstacle",
        seen="pcscd is not installed",
    ),
    Planted(
        how="polkit refuses the agent's user",
        plant=f"rm {RULES}/50-canteen-agent.rules; systemctl restart polkit",
        check="reader.polkit",
        seen="polkit refuses",
    ),
    Planted(
        how="polkit is not installed",
        plant="dpkg --force-depends --remove polkitd",
        check="reader.polkit",
        seen="which is not installed",
    ),
)
MACHINE = (*UNIT, *SETTINGS_FAULTS, *STORAGE, *READERS)
