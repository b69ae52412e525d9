"""Room on the disk that only the ledger may use: a file of real blocks beside it.

When the disk is full, it is given back piece by piece, each as a meal needs it: what is given back
at once, the program that filled the disk would take. When there is room again, it is made again.
It stays through stops, restarts and power cuts.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

from agent.store.disk_space import free_bytes

# A week of meals of a large school: 5,000 taps, each with its pages in file and log.
RESERVE_BYTES = 16 * 1024 * 1024
TAP_BYTES = 3_000
"""What a tap takes of the disk: its rows, and its share of a log of a lunch."""
GIVEN_BYTES = 256 * 1024  # some ten taps; a flush of the disk each
MADE_BYTES = 1024 * 1024  # one step of quiet time: a slow card writes it within a second
# So much stays free for the other programs of the machine.
LEFT_BYTES = 16 * 1024 * 1024

log = logging.getLogger("agent.store")


class Reserve:
    """The reserve of one ledger. `size_bytes` 0: none is wanted.

    `problem` is why it could not be made though there is room, empty when that is not so.
    """

    def __init__(self, ledger: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self.path = ledger.with_name(f"{ledger.name}.reserve")
        self._wanted_bytes = size_bytes
        self.problem = ""

    @property
    def size_bytes(self) -> int:
        """Return what is in reserve. Only blocks on the disk count."""
        try:
            status = os.stat(self.path)
        except OSError:
            return 0
        return min(status.st_size, 512 * status.st_blocks)

    @property
    def taps(self) -> int:
        """Return about how many taps it is good for."""
        return self.size_bytes // TAP_BYTES

    @property
    def is_whole(self) -> bool:
        return self.size_bytes >= self._wanted_bytes

    @property
    def is_short(self) -> bool:
        """Return whether it is not whole, and the disk has no room to make it so."""
        return not self.is_whole and not self._has_room()

    def make_more(self) -> bool:
        """Make one more piece if there is room. Return whether there is more than before."""
        self.problem, size_bytes = "", self.size_bytes
        if self.is_whole or not self._has_room():
            return False
        try:
            self._extend(size_bytes, min(MADE_BYTES, self._wanted_bytes - size_bytes))
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
            with suppress(OSError):
                os.truncate(self.path, size_bytes)
            return False
        if self.size_bytes <= size_bytes:  # some file systems store no zeros
            self.problem = f"{self.path}: this file system keeps no room for a file of zeros"
        return not self.problem

    def _has_room(self) -> bool:
        with suppress(OSError):
            return free_bytes(self.path.parent) >= MADE_BYTES + LEFT_BYTES
        return False

    def _extend(self, size_bytes: int, by_bytes: int) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, size_bytes, by_bytes)
            os.fsync(file)
        finally:
            os.close(file)

    def give_back_all(self) -> bool:
        """Give all of it back at once, for copies of a damaged file. Return False when none is."""
        return self.give_back(self.size_bytes)

    def give_back(self, given_bytes: int = GIVEN_BYTES) -> bool:
        """Give one piece back to the disk. Return False when there is none, or it cannot be."""
        size_bytes = self.size_bytes
        if size_bytes == 0:
            return False
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.ftruncate(file, max(0, size_bytes - given_bytes))
                os.fsync(file)  # some file systems free blocks only then
            finally:
                os.close(file)
        except OSError as error:
            log.error("Reserve for a full disk not given back: %s", error)
            return False
        log.warning(
            "Disk full: a piece of the reserve was given back; about %d taps are left.", self.taps
        )
        return True
