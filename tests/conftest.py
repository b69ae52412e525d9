"""Fixtures for all tests."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.parts.wire import Wire

CARD = "a:04a1b2c3d4e5f6"
OTHER_CARD = "em:010063e9ae"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """One terminal and a central with two accounts, connected, nothing pending."""
    with closing(Wire(tmp_path)) as wire:
        yield _connected(wire)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Wire]:
    """The same with two terminals of one site."""
    with closing(Wire(tmp_path, "t-1", "t-2")) as wire:
        yield _connected(wire)


def _connected(wire: Wire) -> Wire:
    wire.central.policy()
    wire.central.add_account("a-1", cards=(CARD,))
    wire.central.add_account("a-2", cards=(OTHER_CARD,))
    wire.connect()
    return wire
