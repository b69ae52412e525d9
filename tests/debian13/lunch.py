"""A lunch at a serial reader without hardware: cards, one after the other, each until it counts.

python3 -m tests.debian13.lunch /run/serial-reader CARDS
"""

import sys
import threading
from pathlib import Path

from agent.errors import AgentError
from agent.ops.control_client import ask
from tests.parts.serial_line import REPEAT_S, SerialLine, rdm6300_frame

SOCKET = Path("/var/lib/canteen-agent/control.sock")


def main(port: Path, cards: int) -> None:
    """Hold each card to the reader until the agent's ledger has one entry more."""
    line = SerialLine(port)
    line.plug()
    for number in range(1, cards + 1):
        while _entries() < number:
            line.write(rdm6300_frame(number.to_bytes(5)))
            threading.Event().wait(REPEAT_S)


def _entries() -> int:
    """Return the number of the newest entry; 0 while no agent answers yet."""
    try:
        return int(str(ask(SOCKET, "status")["last"]))
    except AgentError:
        return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
