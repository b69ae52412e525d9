"""Builds the Debian packages in a new Debian 13, tries them in another, and tests them in a third.

    make deb                    all three; the packages are then in .make/deb
    make deb ONLY=build         one of build, try, test

It needs what `make test-debian13` needs. The scripts that run inside are in packaging/.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.debian13 import host
from tests.debian13.machine import ROOT, Machine, MachineError, Release

FOLDER = ROOT / ".make" / "deb"
INSIDE = "/root/deb"
SCRIPTS = {
    "build": "packaging/build.sh",
    "try": f"packaging/try.sh {INSIDE}",
    "test": f"packaging/test.sh {INSIDE}",
}


def main(words: list[str]) -> int:
    """Run the steps that are named, or all. Return 0 when each of them ends with 0."""
    if unknown := [word for word in words if word not in SCRIPTS]:
        print(f"unknown: {' '.join(unknown)}; ONLY: {', '.join(SCRIPTS)}")
        return 2
    if os.geteuid() != 0:
        print("this needs root: sudo make deb")
        return 1
    if packages := host.missing_packages():
        print(f"missing on this machine: apt-get install {' '.join(packages)}")
        return 1
    release = Release("trixie")
    try:
        release.prepare()
        for word in words or SCRIPTS:
            if code := _step(release.machine("root"), word):
                print(f"{SCRIPTS[word]} ended with {code}")
                return 1
    except MachineError as error:
        print(error)
        return 1
    print("\n".join(str(path.relative_to(ROOT)) for path in sorted(FOLDER.glob("*.deb"))))
    return 0


def _step(machine: Machine, word: str) -> int:
    """Run one step in a fresh root, and delete the root. Return its exit code."""
    print(f"== {SCRIPTS[word]}", flush=True)
    home = machine.root / machine.home.lstrip("/")
    if word != "build":
        shutil.copytree(FOLDER, home / Path(INSIDE).name)
    result = machine.run(SCRIPTS[word])
    if word == "build" and result.code == 0:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for package in home.glob("*.deb"):
            shutil.copy(package, FOLDER)
    machine.remove()
    return result.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
