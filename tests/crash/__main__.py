"""Cut a terminal's workload at every write, and a real ext4 sixty times: python -m tests.crash."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.ext4 import cut_a_real_file_system
from tests.crash.recording import PLANTED, record
from tests.crash.replay import replay

CUTS = 60
PLANTED_EVERY = 20


def main() -> int:
    """Return 0 if the store survived every cut and every planted fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="cut at every Nth write")
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as text, tempfile.TemporaryDirectory(dir=memory()) as disks:
        folder = Path(text)
        print("| workload | disks opened | of them wrong | seconds |\n|---|---|---|---|")
        for number, planted in enumerate(["", *PLANTED]):
            (place := folder / str(number)).mkdir()
            every = PLANTED_EVERY if planted else given.every
            failed += not _cut(place, Path(disks) / "disk", planted, every)
        if os.geteuid() == 0:
            lost, entries = cut_a_real_file_system(folder, CUTS)
            print(f"{CUTS} cuts of a real ext4: {entries} entries committed, {lost} of them lost")
            failed += lost
        else:
            print(f"NOT DONE: {CUTS} cuts of a real ext4 need root; run: sudo make crash")
    return 1 if failed else 0


def _cut(folder: Path, disk: Path, planted: str, every: int) -> bool:
    """Print the row of one workload. Return whether it is as it must be."""
    begun = time.monotonic()
    result = replay(record(folder, planted), disk, every=every)
    wrong = sum(result.faults.values())
    seconds = time.monotonic() - begun
    name = planted or "unchanged"
    print(f"| {name} | {result.images} | {wrong} | {seconds:.0f} |", flush=True)
    if not planted:
        for fault, times in result.faults.items():
            print(f"  {times} times: {fault}")
    return bool(wrong) == bool(planted)


def memory() -> Path | None:
    """Return a folder in memory, if there is one: replay needs many disks and no real flush."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
