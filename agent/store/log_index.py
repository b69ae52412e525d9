"""The index of the write-ahead log (`-shm`): SQLite maps it, so each of its pages needs a block.

SQLite writes one byte per 4 KiB when it makes the file longer. Where the file system's blocks are
smaller, the rest are holes. On a full disk, the first use of a hole ends the process by SIGBUS, and
so does each start after that. So there is room before the file is opened, and then real blocks.
"""

import logging
import os
from pathlib import Path

# For 32,000 frames: twice the longest log without readers. 32 KiB are for 4,096 frames.
INDEX_BYTES = 256 * 1024

log = logging.getLogger("agent.store")


class LogIndex:
    """The index file of one connection that writes."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(f"{ledger.name}-shm")
        self._file: int | None = None

    def allocate(self) -> None:
        """Give the file real blocks. It is open in SQLite, and stays open here, too.

        To close any descriptor of it would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2).
        """
        try:
            if self._file is None or not os.path.samestat(
                os.fstat(self._file), os.stat(self._path)
            ):
                self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            os.posix_fallocate(self._file, 0, INDEX_BYTES)
        except OSError as error:
            log.warning("Index of the log has no blocks of its own: %s: %s", self._path, error)

    def close(self) -> None:
        """Close the file after SQLite has."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
