"""A second copy of the ledger on another medium, for boxes whose card is cheap: lines of an export, appended and synced.

A thread of its own writes, since a medium that is pulled out may hang. It is handed one piece at a time and says how far it has
come; what failed is handed again. Nothing waits for it.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

FILE_BYTES_MAX = 64 * 1024 * 1024  # two years of a large school; then the file before is let go
RETRY_S = 10.0

log = logging.getLogger("agent.mirror")

Place = tuple[str, int]


class Mirror:
    """`read_end` returns (epoch, seq) of the newest entry in the lines of a file, None if there is none. Lines end with a newline."""

    def __init__(self, folder: Path, name: str, read_end: Callable[[Path], Place | None]) -> None:
        self.file = folder / f"{name}.ledger"
        self.fault: str | None = "not opened yet"
        self.at: Place | None = None  # this entry and all before it are on the medium
        self._read_end = read_end
        self._pieces: queue.Queue[tuple[bytes, Place]] = queue.Queue(maxsize=1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    @property
    def wants_more(self) -> bool:
        """Return whether it works and has nothing to do."""
        return self.fault is None and self._pieces.empty()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; a medium that hangs does not hold up the process."""
        self._stopping.set()
        self._thread.join(timeout=1)

    def put(self, lines: bytes, up_to: Place) -> None:
        """Hand it what comes after `at`. Only when it wants more."""
        self._pieces.put_nowait((lines, up_to))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except OSError as error:
                sentence = f"{self.file}: {error.strerror or error}"
                if self.fault != sentence:
                    log.error("mirror: %s; meals go on without a second copy", sentence)
                self.fault = sentence
                self._stopping.wait(RETRY_S)

    def _serve(self) -> None:
        """Find out where the file ends, then append. Raise `OSError`."""
        with open(self.file, "ab+") as file:
            self._cut_torn_line(file.fileno())
            self.at = self._read_end(self.file)
            while not self._pieces.empty():
                self._pieces.get_nowait()  # handed over before it failed: it will be handed again
            if self.fault != "not opened yet":
                log.warning("mirror: %s works again", self.file)
            self.fault = None
            while not self._stopping.is_set():
                try:
                    lines, up_to = self._pieces.get(timeout=0.5)
                except queue.Empty:
                    continue
                if not os.path.samestat(os.stat(self.file), os.fstat(file.fileno())):
                    raise FileNotFoundError(0, "the medium was exchanged")
                file.write(lines)
                file.flush()
                os.fdatasync(file.fileno())
                self.at = up_to
                if file.tell() > FILE_BYTES_MAX:
                    os.replace(self.file, self.file.with_suffix(".ledger.before"))
                    return

    @staticmethod
    def _cut_torn_line(descriptor: int) -> None:
        """Remove a last line that a cut has left without its end."""
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, min(size, 1024 * 1024), max(0, size - 1024 * 1024))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
