"""Every cut of a terminal's life, and sixty of a real file system: python -m tests.crash [--every N]."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.ext4 import cut_a_real_file_system
from tests.crash.record import PLANTED, record
from tests.crash.replay import replay

CUTS = 60
PLANTED_EVERY = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="cut at every Nth change only")
    given = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as text, tempfile.TemporaryDirectory(dir=memory()) as disks:
        folder = Path(text)
        print("| life | disks opened | of them wrong | seconds |\n|---|---|---|---|")
        for number, planted in enumerate(["", *PLANTED]):
            place = folder / str(number)
            place.mkdir()
            begun = time.monotonic()
            verdicts = replay(
                record(place, planted),
                Path(disks) / "disk",
                every=PLANTED_EVERY if planted else given.every,
            )
            wrong = sum(verdicts.faults.values())
            print(
                f"| {planted or 'as it is'} | {verdicts.images} | {wrong} | {time.monotonic() - begun:.0f} |",
                flush=True,
            )
            for fault, times in verdicts.faults.items() if not planted else ():
                print(f"  {times} times: {fault}")
            bad += bool(wrong) != bool(planted)
        if os.geteuid() == 0:
            lost, entries = cut_a_real_file_system(folder, CUTS)
            print(
                f"{CUTS} cuts of a real ext4: {entries} entries reported committed, {lost} of them lost"
            )
            bad += lost
        else:
            print(f"NOT DONE: {CUTS} cuts of a real ext4 need root; run: sudo make crash")
    return 1 if bad else 0


def memory() -> Path | None:
    """Return memory that looks like a disk: what a flush costs is not the question here."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
