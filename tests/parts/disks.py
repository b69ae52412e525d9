"""Small file systems that a test makes itself, and fills; in a namespace for ordinary users."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.process import ROOT, require


def run_again_as_namespace_root(test: str) -> None:
    """Run a test again in a user and mount namespace, where an ordinary user may mount."""
    namespace = [require("unshare"), "--user", "--map-root-user", "--mount"]
    command = [*namespace, sys.executable, "-m", "pytest", test]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def tmpfs_at(folder: Path, size: str = "64m", inodes: int = 0) -> Iterator[None]:
    """Mount an empty file system at a new folder. `inodes` 0: any number of files fits."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes}"]
    subprocess.run([require("mount"), *options, "none", folder], check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run([require("umount"), "-l", folder], check=True, timeout=20)


def remount(folder: Path, how: str) -> None:
    # With "bind" only the mount changes: in a namespace, tmpfs refuses its own uid option again.
    options = f"remount,bind,{how}"
    subprocess.run([require("mount"), "-o", options, folder], check=True, timeout=20)


def fill(folder: Path, left_bytes: int) -> Path:
    """Fill a file system up to so many free bytes; return the file that does it."""
    filler = folder / "filler"
    status = os.statvfs(folder)
    with open(filler, "ab") as file:
        taken = max(0, status.f_bavail * status.f_frsize - left_bytes)
        if taken:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, taken)
    return filler
