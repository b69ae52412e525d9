"""Logs: under systemd to the journal with structured fields, elsewhere to standard error.

Speaks journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram a log record,
with `NAME=value` lines; a value with a line break is sent as length and bytes. Callers never log a
UID or a person's name; a card is the first 8 digits of its token.
"""

import logging
import os
import socket
import struct
import sys

JOURNAL_SOCKET = "/run/systemd/journal/socket"
TRAFFIC = 5
"""The log level of the readers' raw bytes, below DEBUG. They contain UIDs."""
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


def set_up(*, level: int, program: str) -> None:
    """Send the logs of `program` to the journal under systemd, else to standard error."""
    root = logging.getLogger("agent")
    root.setLevel(level)
    root.propagate = False
    root.handlers[:] = [
        JournalHandler(JOURNAL_SOCKET, program) if "JOURNAL_STREAM" in os.environ else _stderr()
    ]
    if level <= TRAFFIC:
        root.warning("Raw bytes of readers are logged, with UIDs of children; stop when done")


class JournalHandler(logging.Handler):
    """Writes to journald, or to standard error if journald does not take the datagram."""

    def __init__(self, path: str, program: str) -> None:
        super().__init__()
        self._path = path
        self._program = program
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._socket.sendto(datagram(record, self.format(record), self._program), self._path)
        except OSError:
            print(self.format(record), file=sys.stderr)

    def close(self) -> None:
        self._socket.close()
        super().close()


def datagram(record: logging.LogRecord, message: str, program: str) -> bytes:
    """Return a log record as a journald datagram. Its `fields` get the prefix CANTEEN_."""
    fields: dict[str, object] = {
        "MESSAGE": message,
        "PRIORITY": _PRIORITIES.get(record.levelno, 7),
        "SYSLOG_IDENTIFIER": program,
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
    }
    for name, value in getattr(record, "fields", {}).items():
        fields[f"CANTEEN_{name.upper()}"] = value
    return b"".join(_field(name, str(value)) for name, value in fields.items())


def _field(name: str, value: str) -> bytes:
    encoded = value.encode()
    if "\n" not in value:
        return name.encode() + b"=" + encoded + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(encoded)) + encoded + b"\n"


def _stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    return handler
