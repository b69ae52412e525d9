"""A real file system cut in its life: ext4 on a loop device, told to forget what it has not written (needs root)."""

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
ENTRIES_MAX = 60  # a cut comes after so many at the latest


def cut_a_real_file_system(folder: Path, cuts: int) -> tuple[int, int]:
    """Return how many entries that were reported committed are lost, and how many were reported."""
    draw = random.Random(1)
    image, mount = folder / "ext4.img", folder / "ext4"
    mount.mkdir()
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([require("mkfs.ext4"), "-q", image], check=True, timeout=60)
    lost = reported = 0
    known: dict[int, str] = {}
    for _ in range(cuts):
        with mounted(image, mount):
            said = tap_until_cut(mount, draw.randint(1, ENTRIES_MAX))
            assert said, "nothing was recorded before the cut"
            known |= said
        with mounted(image, mount):
            db = Database(mount / "t.db", headroom_bytes=0)
            epoch = newest_epoch(db)
            for seq, digest in known.items():
                place = find_place(db, ChainEnd(epoch=epoch, seq=seq, hash=digest))
                lost += place is None or place.hash != digest
            lost += len(list(verify(db)))
            reported = len(known)
            db.close()
    return lost, reported


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[None]:
    subprocess.run([require("mount"), "-o", "loop", image, mount], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run([require("umount"), mount], check=True, timeout=60)


def tap_until_cut(mount: Path, entries: int) -> dict[int, str]:
    """Let a process record entries as fast as it can, cut, and return seq and hash of those that it said were committed."""
    words = [sys.executable, "-m", "tests.crash.tapper", str(mount / "t.db")]
    said: dict[int, str] = {}
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
            said[int(seq)] = digest
            if len(said) >= entries:
                break
        descriptor = os.open(mount, os.O_RDONLY)
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(descriptor)
        child.kill()
        with contextlib.suppress(ValueError):  # a line that was cut in its middle was not said
            said |= {
                int(seq): digest
                for seq, digest in (line.split() for line in child.stdout)
                if len(digest) == 64
            }
    return said
