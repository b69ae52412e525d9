"""How much is free on a file system, and what takes the most of it. Bounded work."""

import os
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

# Where a machine's files grow without anybody's doing. The ledger's own folder comes first.
GROWING = ("/var/log/journal", "/var/log", "/var/cache", "/var/lib", "/var/tmp", "/tmp", "/home")
LOOK_MS_MAX = 100  # a child may wait for it


class _Folder(NamedTuple):
    path: Path
    size_bytes: int


def free_bytes(folder: Path) -> int:
    """Return what a program without privileges may still write. Raise `OSError`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def has_inodes(folder: Path) -> bool:
    """Return whether one more file fits. Raise `OSError`. Some file systems have no limit."""
    status = os.statvfs(folder)
    return not status.f_files or status.f_favail > 0


def full_words(
    folder: Path, growing: Sequence[str] = GROWING, look_ms_max: int = LOOK_MS_MAX
) -> str:
    """Return how full the file system of a folder is, what fills it, and what to do."""
    try:
        if not has_inodes(folder):
            return (
                f"no more files fit on the file system of {folder}, its inodes are used up; remove"
                " many small files"
            )
        free = megabytes(free_bytes(folder))
        largest = _largest(folder, growing, look_ms_max)
    except OSError as error:
        return f"the file system of {folder} cannot be looked at: {error.strerror}"
    what = f"; {largest.path} takes {megabytes(largest.size_bytes)}" if largest.size_bytes else ""
    return f"{free} free on the file system of {folder}{what}; free some space"


def megabytes(size_bytes: int) -> str:
    """Return a size as people write it: `12.3 MB`."""
    return f"{size_bytes / 1_000_000:,.1f} MB"


def _largest(folder: Path, growing: Sequence[str], look_ms_max: int) -> _Folder:
    """Return the largest of a folder and the growing ones on its file system."""
    device = os.stat(folder).st_dev
    minute = time.monotonic_ns() // 60_000_000_000
    own = _largest_of((folder,), device, look_ms_max)
    other = _largest_growing(tuple(growing), device, look_ms_max, minute)
    return max(own, other, key=lambda size: size.size_bytes)


@lru_cache(maxsize=1)  # a full disk is asked at each tap; what fills it changes slowly
def _largest_growing(
    growing: tuple[str, ...], device: int, look_ms_max: int, _minute: int
) -> _Folder:
    """Return the largest growing folder, as it was when a minute's first question came."""
    return _largest_of(tuple(map(Path, growing)), device, look_ms_max)


def _largest_of(folders: Sequence[Path], device: int, look_ms_max: int) -> _Folder:
    ends_ms = time.monotonic_ns() // 1_000_000 + look_ms_max
    sizes = [_Folder(path, sum(_sizes(path, device, ends_ms))) for path in folders]
    return max(sizes, key=lambda size: size.size_bytes, default=_Folder(Path(), 0))


def _sizes(folder: Path, device: int, ends_ms: int) -> Iterator[int]:
    """Yield the sizes on the disk of the files below a folder, on the same device."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # not there, or not ours to read
        return
    for entry in entries:
        if time.monotonic_ns() // 1_000_000 > ends_ms:
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # removed meanwhile
            continue
        if status.st_dev != device:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path), device, ends_ms)
        else:
            yield 512 * status.st_blocks
