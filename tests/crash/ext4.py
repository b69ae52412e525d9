"""Cut a real file system: ext4 on a loop device drops what it has not written yet. Needs root."""

import contextlib
import fcntl
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.domain.ledger import ChainEnd
from agent.store.database import Database
from agent.store.standing import find_place, newest_epoch
from agent.store.verify import verify
from tests.parts.process import ROOT, require

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), fs/ext4/ext4.h
NO_LOG_FLUSH = 2
IMAGE_BYTES = 64 * 1024 * 1024
ENTRIES_MAX = 60  # between two cuts
HASH_DIGITS = 64


def cut_a_real_file_system(folder: Path, cuts: int) -> tuple[int, int]:
    """Return how many committed entries were lost after `cuts` cuts, and how many were committed.

    An entry counts as committed when the writing process has printed it.
    """
    draw = random.Random(1)
    image, mount = folder / "ext4.img", folder / "ext4"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([require("mkfs.ext4"), "-q", image], check=True, timeout=60)
    lost = 0
    committed: dict[int, str] = {}
    for _ in range(cuts):
        with mounted(image, mount):
            printed = tap_until_cut(mount, draw.randint(1, ENTRIES_MAX))
            assert printed, "the process printed no entry before the cut"
            committed |= printed
        with mounted(image, mount):
            lost += _count_lost(mount / "t.db", committed)
    return lost, len(committed)


def _count_lost(path: Path, committed: dict[int, str]) -> int:
    """Return how many entries are missing or differ, plus the faults that `verify` reports."""
    db = Database(path, headroom_bytes=0)
    epoch = newest_epoch(db)
    lost = 0
    for seq, digest in committed.items():
        place = find_place(db, ChainEnd(epoch=epoch, seq=seq, hash=digest))
        lost += place is None or place.hash != digest
    lost += len(list(verify(db)))
    db.close()
    return lost


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[None]:
    subprocess.run([require("mount"), "-o", "loop", image, mount], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run([require("umount"), mount], check=True, timeout=60)


def tap_until_cut(mount: Path, entries: int) -> dict[int, str]:
    """Append entries in a child process, cut the file system, and return what the child printed.

    The result is seq -> hash. The child prints an entry after its commit.
    """
    words = [sys.executable, "-m", "tests.crash.tapper", str(mount / "t.db")]
    printed: dict[int, str] = {}
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            seq, digest = line.split()
            printed[int(seq)] = digest
            if len(printed) >= entries:
                break
        descriptor = os.open(mount, os.O_RDONLY)
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(descriptor)
        child.kill()
        # The kill may cut the last line in its middle. Such a line does not count as printed.
        with contextlib.suppress(ValueError):
            for line in child.stdout:
                seq, digest = line.split()
                if len(digest) == HASH_DIGITS:
                    printed[int(seq)] = digest
    return printed
