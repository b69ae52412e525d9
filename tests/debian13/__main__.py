"""Runs the README's two commands in a new, minimal Debian, as root and as a user with sudo.

    make test-debian13                    both commands, both users
    make test-debian13 ONLY="demo"        one command; also "test", "root", "tester", "demo root"
    make test-debian12 ONLY="install root"    packaging/install-venv.sh, which is for Debian 12

It needs root, debootstrap, systemd-nspawn, git, and this machine's package mirror. The minimal
root stays in .make/debian, so a second run starts at once. Each user gets a fresh copy of it.
Exits with 0 if every command exits with 0, else with 1; with 2 for a wrong word.
"""

import os
import sys

from tests.debian13 import host
from tests.debian13.machine import USER, MachineError, Release, Result

COMMANDS = {"demo": "make demo", "test": "make test", "install": "packaging/try-venv.sh"}
USERS = ("root", USER)
RELEASES = ("bookworm", "trixie")


def main(codename: str, only: list[str]) -> int:
    unknown = [word for word in only if word not in (*COMMANDS, *USERS)]
    if codename not in RELEASES or unknown:
        known = ", ".join((*COMMANDS, *USERS))
        print(f"unknown: {codename} {' '.join(unknown)}; releases: {RELEASES}; ONLY: {known}")
        return 2
    if os.geteuid() != 0:
        print("this needs root: sudo make test-debian13")
        return 1
    if packages := host.missing_packages():
        print(f"missing on this machine: apt-get install {' '.join(packages)}")
        return 1
    commands = [word for word in COMMANDS if word in only] or ["demo", "test"]
    users = [user for user in USERS if user in only] or list(USERS)
    release = Release(codename)
    results: list[Result] = []
    try:
        release.prepare()
        for user in users:
            machine = release.machine(user)
            for word in commands:
                print(f"== {COMMANDS[word]}, as {user}, on Debian {codename}", flush=True)
                results.append(machine.run(COMMANDS[word]))
            machine.remove()
    except MachineError as error:
        print(error)
        return 1
    _print_summary(codename, results)
    return 1 if any(result.code for result in results) else 0


def _print_summary(codename: str, results: list[Result]) -> None:
    print(f"\nDebian {codename}")
    print(f"{'command':12}{'user':10}{'exit':>6}{'time':>9}{'peak /tmp':>12}  log")
    for result in results:
        print(
            f"{result.command:12}{result.user:10}{result.code:6}{result.seconds:7.0f} s"
            f"{result.tmp_mb:9} MB  {result.log}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
