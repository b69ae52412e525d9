"""A person at a terminal window: sees what a command prints, and presses keys."""

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.parts.process import wait_for

ROWS, COLUMNS = 40, 200


class Person:
    """Runs a command on a pseudo-terminal of its own. The kernel kills it when the test dies."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._hands, screen = os.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(self._hands, False)
        self._child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "setsid", "--ctty", "--wait",
             *map(str, command)],
            stdin=screen, stdout=screen, stderr=screen,
            env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(screen)
        self._seen = b""

    def sees(self, text: str) -> None:
        """Wait for a text that appears after what was seen before."""
        wait_for(lambda: text in self._look(), f"{text!r} on the screen")
        self._seen = self._seen.partition(text.encode())[2]

    def presses(self, keys: bytes) -> None:
        os.write(self._hands, keys)

    def exit_code(self) -> int:
        """Wait until the command ends, and return its exit code."""
        wait_for(lambda: (self._look(), self._child.poll())[1] is not None, "the command to end")
        return self._child.wait()

    def _look(self) -> str:
        try:
            while piece := os.read(self._hands, 65_536):
                self._seen += piece
        except (BlockingIOError, OSError):  # nothing new, or the command ended
            pass
        return self._seen.decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(timeout=10)
        os.close(self._hands)
