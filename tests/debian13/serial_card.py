"""A serial reader without hardware: a pty behind a path, with a card that stays on it.

python3 -m tests.debian13.serial_card /run/serial-reader
"""

import grp
import os
import sys
import threading
from pathlib import Path

from tests.parts.serial_line import REPEAT_S, SerialLine, rdm6300_frame

UID = bytes.fromhex("010063e9ae")


def main(path: Path) -> None:
    """Send frames until the process is ended. The group is that of a real serial port."""
    line = SerialLine(path)
    line.plug()
    os.chown(path, -1, grp.getgrnam("dialout").gr_gid)
    os.chmod(path, 0o660)
    while not threading.Event().wait(REPEAT_S):
        line.write(rdm6300_frame(UID))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
