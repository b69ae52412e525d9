"""Cut the terminal's and the central's work at every write: python -m tests.crash.

As root also cut a real ext4, sixty times.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import central
from tests.crash.ext4 import cut_a_real_file_system
from tests.crash.recording import PLANTED, record
from tests.crash.replay import Result, replay

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
        for number, planted in enumerate(["", *central.PLANTED]):
            (place := folder / f"central-{number}").mkdir()
            every = PLANTED_EVERY if planted else given.every
            failed += not _cut_central(place, Path(disks) / "disk", planted, every)
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
    return _print_row(planted or "unchanged", result, begun, is_planted=bool(planted))


def _cut_central(folder: Path, disk: Path, planted: str, every: int) -> bool:
    begun = time.monotonic()
    recording = record(folder, planted, central.WORKLOAD)
    result = replay(recording, disk, every=every, judge=central.fault_of_books)
    name = f"central, {planted or 'unchanged'}"
    return _print_row(name, result, begun, is_planted=bool(planted))


def _print_row(name: str, result: Result, begun: float, *, is_planted: bool) -> bool:
    wrong = sum(result.faults.values())
    seconds = time.monotonic() - begun
    print(f"| {name} | {result.images} | {wrong} | {seconds:.0f} |", flush=True)
    if not is_planted:
        for fault, times in result.faults.items():
            print(f"  {times} times: {fault}")
    return bool(wrong) == is_planted


def memory() -> Path | None:
    """Return a folder in memory, if there is one: replay needs many disks and no real flush."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
