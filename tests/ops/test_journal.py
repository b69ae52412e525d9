"""Log records at journald, through a real datagram socket; none of them shows a UID."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.domain.card import parse_card_id
from agent.ops.journal import TRAFFIC, JournalHandler, set_up
from agent.readers.events import CardPresented

CARD = parse_card_id("em:010063e9ae")


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5)
        yield server


@pytest.fixture
def logger(tmp_path: Path, journald: socket.socket) -> Iterator[logging.Logger]:
    handler = JournalHandler(str(tmp_path / "journal"), "canteen-agent")
    logger = logging.Logger("test")
    logger.addHandler(handler)
    yield logger
    handler.close()


@pytest.fixture
def agent_logger() -> Iterator[logging.Logger]:
    """Return the logger that `set_up` changes, and undo that afterwards."""
    logger = logging.getLogger("agent")
    before = logger.level, logger.propagate, logger.handlers[:]
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.level, logger.propagate, logger.handlers[:] = before


def test_fields_are_sent_beside_the_message(
    logger: logging.Logger, journald: socket.socket
) -> None:
    logger.warning("reader %s down", "left", extra={"fields": {"reader": "left", "seq": 7}})
    lines = set(journald.recv(10_000).decode().splitlines())
    assert {
        "MESSAGE=reader left down",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=canteen-agent",
        "CANTEEN_READER=left",
        "CANTEEN_SEQ=7",
    } <= lines


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
        (TRAFFIC, 7),
    ],
)
def test_a_level_has_a_priority_of_syslog(
    logger: logging.Logger, journald: socket.socket, level: int, priority: int
) -> None:
    logger.log(level, "x")
    assert f"PRIORITY={priority}\n".encode() in journald.recv(10_000)


def test_a_value_with_a_line_break_is_sent_with_its_length(
    logger: logging.Logger, journald: socket.socket
) -> None:
    logger.error("two\nlines")
    assert b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n" in journald.recv(10_000)


def test_no_uid_reaches_the_journal_by_a_card_an_event_a_field_or_a_traceback(
    logger: logging.Logger, journald: socket.socket
) -> None:
    event = CardPresented(reader="left", tap=1, card=CARD)
    logger.warning("%s %r %s", CARD, CARD, event, extra={"fields": {"card": CARD}})
    try:
        raise ValueError(CARD, event)
    except ValueError:
        logger.exception("failed: %s", event)
    for datagram in (journald.recv(20_000), journald.recv(20_000)):
        assert b"CardId(em:" in datagram
        assert CARD.uid not in datagram and CARD.uid.hex().encode() not in datagram


def test_without_journald_a_record_goes_to_standard_error(
    logger: logging.Logger, journald: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    journald.close()
    logger.error("the disk is full")
    assert capsys.readouterr().err == "the disk is full\n"


@pytest.mark.parametrize(
    ("stream", "handler"), [("8:1", JournalHandler), (None, logging.StreamHandler)]
)
def test_systemds_journal_is_used_only_under_systemd(
    agent_logger: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
    stream: str | None,
    handler: type[logging.Handler],
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream is not None:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    set_up(level=logging.INFO, program="canteen-agent")
    assert [type(one) for one in agent_logger.handlers] == [handler]
    assert agent_logger.level == logging.INFO and not agent_logger.propagate


@pytest.mark.parametrize(("level", "warned"), [(TRAFFIC, True), (logging.DEBUG, False)])
def test_raw_bytes_are_logged_only_with_a_warning(
    agent_logger: logging.Logger, capsys: pytest.CaptureFixture[str], level: int, warned: bool
) -> None:
    assert TRAFFIC < logging.DEBUG
    set_up(level=level, program="canteen-agent")
    assert ("UIDs of children" in capsys.readouterr().err) is warned
