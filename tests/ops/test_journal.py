"""Journal entries, by a real datagram socket."""

import logging
import socket
from pathlib import Path

from agent.ops.journal import JournalHandler


def test_fields_travel_beside_the_message(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "journal"))
        journald.settimeout(5)
        logger = logging.Logger("test")
        handler = JournalHandler(str(tmp_path / "journal"), "canteen-agent")
        logger.addHandler(handler)
        logger.warning("reader %s down", "left", extra={"fields": {"reader": "left", "seq": 7}})
        lines = journald.recv(10_000).decode().splitlines()
        assert {
            "MESSAGE=reader left down",
            "PRIORITY=4",
            "CANTEEN_READER=left",
            "CANTEEN_SEQ=7",
        } <= set(lines)
        logger.error("two\nlines")
        assert b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n" in journald.recv(10_000)
        handler.close()
