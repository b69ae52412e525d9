"""A pty with an RDM6300's side of it, behind a path that can be unplugged and plugged in again."""

import os
import time
from functools import reduce
from operator import xor
from pathlib import Path

REPEAT_S = 0.065


def rdm6300_frame(uid: bytes) -> bytes:
    """Return the 14 bytes an RDM6300 sends for a tag of five bytes."""
    digits = uid.hex().upper()
    return b"\x02" + f"{digits}{reduce(xor, uid):02X}".encode("ascii") + b"\x03"


class SerialLine:
    """`path` is a link to the pty, as udev's by-path links are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master: int | None = None
        self._slave: int | None = None

    def plug(self) -> None:
        self._master, self._slave = os.openpty()
        os.set_blocking(self._master, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        for descriptor in (self._slave, self._master):
            if descriptor is not None:
                os.close(descriptor)
        self._master = self._slave = None
        self.path.unlink(missing_ok=True)

    def write(self, sent: bytes) -> None:
        assert self._master is not None
        os.write(self._master, sent)

    def hold(self, uid: bytes, repeats: int = 3) -> None:
        """Hold a tag to the antenna: the module repeats its frame."""
        for n in range(repeats):
            if n:
                time.sleep(REPEAT_S)  # the module's own pace, not a wait for something
            self.write(rdm6300_frame(uid))
