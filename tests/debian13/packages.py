"""Builds the Debian packages in a new Debian 13, and tries and tests them in other new ones.

    make deb                    all steps; the packages are then in .make/deb
    make deb ONLY=build         one of build, try, boot, faults, enrol, repo, upgrade, test, arm64

It needs what `make test-debian13` needs. The scripts that run inside are in packaging/.
`arm64` runs under qemu and takes many minutes, so it is only run when it is named.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.debian13 import host
from tests.debian13.machine import ROOT, Machine, MachineError, Release
from tests.debian13.upgrade import upgrade

FOLDER = ROOT / ".make" / "deb"
INSIDE = "/root/deb"
BOOT_S_MAX = 580
FAULTS_S_MAX = 2400
"""Some fifty faults, and for each the doctor is called three times or more."""
# What a minimal root lacks of a Raspberry Pi, and a virtual PC/SC reader.
BOOTED = "systemd-sysv dbus polkitd psmisc vsmartcard-vpcd"
# What `apt-get install` gives in the booted machine, which has no network: the project's packages
# and two of Debian's. The next version of the project's waits in a folder of its own.
SOURCES = f"""
set -e
packaging/next-version.sh {INSIDE} /srv/next
cp -r {INSIDE} /srv/own
cd /srv/own && apt-get download pcscd polkitd && apt-ftparchive packages . > Packages
cd /srv/next && apt-ftparchive packages . > Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/own ./' > /etc/apt/sources.list.d/own.list
apt-get update -qq
"""
# Runs the script in the booted machine, and powers it off.
UNIT = """[Unit]
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/root/canteen-agent/packaging/{script}
ExecStartPost=/usr/bin/touch /mnt/ok
StandardOutput=file:/mnt/log
StandardError=inherit
"""
SCRIPTS = {
    "build": "packaging/build.sh",
    "try": f"packaging/try.sh {INSIDE}",
    "boot": "packaging/boot.sh",
    "faults": "packaging/faults.sh",
    "enrol": "packaging/enrol.sh",
    "repo": f"packaging/try-repo.sh {INSIDE}",
    "upgrade": "packaging/upgrade.sh",
    "test": f"packaging/test.sh {INSIDE}",
    "arm64": f"packaging/arm64.sh {INSIDE}",
}
SLOW = "arm64"


def main(words: list[str]) -> int:
    """Run the steps that are named, or all. Return 0 when each of them ends with 0."""
    if unknown := [word for word in words if word not in SCRIPTS]:
        print(f"unknown: {' '.join(unknown)}; ONLY: {', '.join(SCRIPTS)}")
        return 2
    if os.geteuid() != 0:
        print("this needs root: sudo make deb")
        return 1
    if packages := host.missing_packages(emulated=SLOW in words):
        print(f"missing on this machine: apt-get install {' '.join(packages)}")
        return 1
    try:
        for word in words or [word for word in SCRIPTS if word != SLOW]:
            release = _release(word)
            release.prepare()
            if code := _step(release.machine("root"), word):
                print(f"{SCRIPTS[word]} ended with {code}")
                return 1
    except MachineError as error:
        print(error)
        return 1
    print("\n".join(str(path.relative_to(ROOT)) for path in sorted(FOLDER.glob("*.deb"))))
    return 0


def _release(word: str) -> Release:
    """Return the release for a step; a foreign one needs qemu in the kernel's list."""
    if word != SLOW or os.uname().machine == "aarch64":
        return Release("trixie")
    host.enable_arm64()
    return Release("trixie", "arm64")


def _step(machine: Machine, word: str) -> int:
    """Run one step in a fresh root, and delete the root. Return its exit code."""
    print(f"== {SCRIPTS[word]}", flush=True)
    home = machine.root / machine.home.lstrip("/")
    if word != "build":
        shutil.copytree(FOLDER, home / Path(INSIDE).name)
    if (booted := BOOTS.get(word)) is not None:
        code = booted(machine)
        machine.remove()
        return code
    result = machine.run(SCRIPTS[word])
    if word == "build" and result.code == 0:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for package in home.glob("*.deb"):
            shutil.copy(package, FOLDER)
    machine.remove()
    return result.code


def _install(machine: Machine, more: str = "") -> int:
    """Install the packages in a root, and what a booted one needs."""
    install = f"apt-get update -qq && apt-get install -y -qq {BOOTED} {more} {INSIDE}/*.deb"
    quiet = "DEBIAN_FRONTEND=noninteractive"
    command = f"{quiet} sh -c '{install} --no-install-recommends' > /root/install.log"
    return machine.run(command).code


def _enrol(machine: Machine) -> int:
    """Boot a root that is central, broker and terminal."""
    return _install(machine, "mosquitto") or _booted(machine.root, "enrol.sh")


def _faults(machine: Machine) -> int:
    """Boot a root that is central, broker and terminal, and whose packages come from a folder."""
    if code := _install(machine, "apt-utils mosquitto xz-utils"):
        return code
    script = machine.root / "root" / "sources.sh"
    script.write_text(SOURCES, encoding="ascii")
    code = machine.run("sh /root/sources.sh > /root/sources.log 2>&1").code
    return code or _booted(machine.root, "faults.sh", boot_s_max=FAULTS_S_MAX)


def _upgrade(machine: Machine) -> int:
    return upgrade(machine, INSIDE, BOOTED)


def _boot(machine: Machine) -> int:
    """Boot a root in which the packages are installed, then again read-only."""
    root = machine.root
    if code := _install(machine):
        return code
    if code := _booted(root, "boot.sh"):
        return code
    state = machine.release.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    options = ["--read-only", f"--bind={state}:/var/lib/canteen-agent", "--tmpfs=/var/tmp"]
    code = _booted(root, "read-only.sh", *options)
    shutil.rmtree(state)
    return code


def _booted(root: Path, script: str, *options: str, boot_s_max: int = BOOT_S_MAX) -> int:
    """Boot a root, run a script of packaging/ there, and print what it printed."""
    unit = root / "etc/systemd/system/try-units.service"
    unit.write_text(UNIT.format(script=script), encoding="ascii")
    wanted = unit.parent / "multi-user.target.wants" / unit.name
    wanted.unlink(missing_ok=True)
    wanted.symlink_to(f"/etc/systemd/system/{unit.name}")
    results = root.with_name("results")
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    log = results / "log"
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"]
    command += ["--console=pipe", "--private-network", "--directory", str(root)]
    # With these the units' DevicePolicy has an effect: it is a program in the kernel, for cgroups
    # of version 2.
    command += [f"--bind={results}:/mnt", "--system-call-filter=bpf", *options]
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            timeout=boot_s_max,
        )
    except subprocess.TimeoutExpired:
        print(f"the booted machine did not end within {boot_s_max} s")
        return 1
    finally:
        print(log.read_text(encoding="utf-8") if log.exists() else "the script did not begin")
    return 0 if (results / "ok").exists() else 1


BOOTS = {"boot": _boot, "faults": _faults, "enrol": _enrol, "upgrade": _upgrade}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
