"""Fixtures for the tests of enrolment."""

from pathlib import Path

import pytest

from agent.central.books.file import FileBooks
from agent.central.enrolment.enrolling import Office
from agent.central.enrolment.kept import Kept
from agent.central.office.terminals import add_terminal
from agent.domain.clock import parse_instant
from agent.sync.enrolment import Address
from tests.central.conftest import AT
from tests.parts.certificates import make_authority


@pytest.fixture
def office(tmp_path: Path, books: FileBooks) -> Office:
    """The office of a town with the terminal t-1."""
    add_terminal(books, "t-1", "primaria")
    return Office(
        kept=Kept(tmp_path, make_authority(tmp_path, made_at=parse_instant(AT))),
        card_key="00" * 32,
        broker="mqtts://broker.example.org:8883",
        address=Address("central.example.org", 8884),
    )
