"""A second copy of the ledger on another medium, for terminals with a cheap SD card.

Lines of an export are appended and synced by a thread of its own, since a medium that is pulled out
may hang. It is given one piece at a time and reports how far it has come; a piece that failed is
given again. Nothing waits for it.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from agent.errors import AgentError
from agent.sync.ledger_file import LedgerEnd
from agent.terminal.export import Piece

# Two years of a large school. Then the file is renamed, over the one before, and a new one begun.
FILE_BYTES_MAX = 64 * 1024 * 1024
TAIL_BYTES = 1024 * 1024  # longer than any line
RETRY_S = 10.0
NOT_OPENED = "not opened yet"

log = logging.getLogger("agent.mirror")


class Mirror:
    """`read_end` returns the newest entry in a file, None if there is none.

    Lines end with a newline.
    """

    def __init__(
        self, folder: Path, name: str, read_end: Callable[[Path], LedgerEnd | None]
    ) -> None:
        self.file = folder / f"{name}.ledger"
        self.fault: str | None = NOT_OPENED
        self.at: LedgerEnd | None = None  # this entry and all before it are on the medium
        self._read_end = read_end
        self._pieces: queue.Queue[Piece] = queue.Queue(maxsize=1)
        self._is_busy = False  # with a piece that it was given, also while it writes it
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    @property
    def wants_more(self) -> bool:
        """Return whether it works and has nothing to do."""
        return self.fault is None and not self._is_busy

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a medium that hangs does not hold up the process."""
        self._stopping.set()
        self._thread.join(timeout=1)

    def put(self, piece: Piece) -> None:
        """Give it what comes after `at`. Only while it wants more."""
        self._is_busy = True
        self._pieces.put_nowait(piece)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except (OSError, AgentError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                sentence = f"{self.file}: {reason}"
                if self.fault != sentence:
                    log.error("Mirror: %s; meals go on without a second copy.", sentence)
                self.fault = sentence
                self._stopping.wait(RETRY_S)

    def _serve(self) -> None:
        """Find where the file ends, then append until it is full.

        Raise `OSError` or `AgentError`.
        """
        with open(self.file, "ab+") as file:
            _cut_torn_line(file.fileno())
            self.at = self._read_end(self.file)
            while not self._pieces.empty():
                self._pieces.get_nowait()  # of before the fault: it is given again
            self._is_busy = False
            if self.fault not in (None, NOT_OPENED):
                log.warning("Mirror: %s works again.", self.file)
            self.fault = None
            while not self._stopping.is_set():
                try:
                    piece = self._pieces.get(timeout=0.5)
                except queue.Empty:
                    continue
                if not os.path.samestat(os.stat(self.file), os.fstat(file.fileno())):
                    raise FileNotFoundError(0, "the medium was replaced")
                file.write(piece.lines)
                file.flush()
                os.fdatasync(file.fileno())
                self.at = piece.up_to
                self._is_busy = False
                if file.tell() > FILE_BYTES_MAX:
                    os.replace(self.file, self.file.with_suffix(".ledger.before"))
                    return


def _cut_torn_line(descriptor: int) -> None:
    """Remove a last line without its end, which a power cut left."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, min(size, TAIL_BYTES), max(0, size - TAIL_BYTES))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
