"""Upgrades a terminal in a booted Debian 13, and kills the machine at several moments of it.

A kill ends all processes at once. It does not lose what the kernel has not yet written to the disk.
"""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from tests.debian13.machine import Machine

MOMENTS_S = (0.3, 1.0, 1.8, 3.0, 5.0, 8.0)
STEP_S = 0.05
BOOT_S_MAX = 180.0
UNIT = """[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/root/canteen-agent/packaging/upgrade.sh
ExecStartPost=/usr/bin/touch /mnt/ok
StandardOutput=append:/mnt/log
StandardError=inherit
"""
# With the key of this run, and both versions in one folder.
PREPARE = """
set -e
apt-get update -qq
apt-get install -y -qq --no-install-recommends {booted} apt-utils gnupg xz-utils
cd {inside} && apt-get install -y -qq --no-install-recommends \
  ./canteen-common_*.deb ./canteen-agent_*.deb ./canteen-screen_*.deb && cd -
gpg --batch --quiet --passphrase '' --quick-generate-key try@canteen.example ed25519 sign 1d
packaging/next-version.sh {inside} /root/next
packaging/apt-repo.sh {inside} /srv/canteen try@canteen.example
packaging/apt-repo.sh /root/next /srv/canteen try@canteen.example
install -D -m 644 /srv/canteen/canteen.asc /etc/apt/keyrings/canteen.asc
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [signed-by=/etc/apt/keyrings/canteen.asc] file:/srv/canteen trixie main' \
  > /etc/apt/sources.list.d/canteen.list
apt-get update -qq
"""


def upgrade(machine: Machine, inside: str, booted: str) -> int:
    """Prepare a root, then boot it once for each moment and once more. Return 0 if all is well."""
    script = machine.root / "root" / "prepare.sh"
    script.write_text(PREPARE.format(inside=inside, booted=booted), encoding="ascii")
    if code := machine.run("sh /root/prepare.sh > /root/prepare.log 2>&1").code:
        print((machine.root / "root" / "prepare.log").read_text(encoding="utf-8"))
        return code
    unit = machine.root / "etc/systemd/system/try-upgrade.service"
    unit.write_text(UNIT, encoding="ascii")
    wanted = unit.parent / "multi-user.target.wants" / unit.name
    wanted.symlink_to(f"/etc/systemd/system/{unit.name}")
    results = machine.root.with_name("results")
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    for moment_s in MOMENTS_S:
        if not _cut(machine.root, results, moment_s):
            break
    else:
        (results / "last").touch()
        _boot(machine.root, results).wait(BOOT_S_MAX)
    print((results / "log").read_text(encoding="utf-8"))
    return 0 if (results / "ok").exists() else 1


def _cut(root: Path, results: Path, moment_s: float) -> bool:
    """Kill the machine so long after its upgrade began. Return False if it ended before."""
    for name in ("begin", "upgraded"):
        (results / name).unlink(missing_ok=True)
    process = _boot(root, results)
    pause = threading.Event()
    for _ in range(int(BOOT_S_MAX / STEP_S)):
        if (results / "begin").exists() or process.poll() is not None:
            break
        pause.wait(STEP_S)
    pause.wait(moment_s)
    if process.poll() is not None:
        return False
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in children.read_text(encoding="ascii").split():
        os.kill(int(child), signal.SIGKILL)
    process.wait()
    (results / "cut").write_text(f"{moment_s}\n", encoding="ascii")
    return True


def _boot(root: Path, results: Path) -> "subprocess.Popen[bytes]":
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"]
    command += ["--console=pipe", "--private-network", "--directory", str(root)]
    command += [f"--bind={results}:/mnt"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
