"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

from tests.parts.wire import Wire

CARD = "a:04a1b2c3d4e5f6"
OTHER_CARD = "em:010063e9ae"


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    """One terminal and a central with two accounts, connected and at rest."""
    return _connected(Wire(tmp_path))


@pytest.fixture
def two(tmp_path: Path) -> Wire:
    """Two terminals of one school."""
    return _connected(Wire(tmp_path, "t-1", "t-2"))


def _connected(wire: Wire) -> Wire:
    wire.central.policy()
    wire.central.add_account("a-1", cards=(CARD,))
    wire.central.add_account("a-2", cards=(OTHER_CARD,))
    wire.connect()
    return wire
