"""Fixtures for all tests."""

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.parts.postgres import Postgres
from tests.parts.wire import Wire

FOLDER_BYTES_MAX = 100_000_000
"""Of one test's files. Two run at a time: 200 MB of /tmp are enough for all but `LARGE`."""
LARGE = {"tests/system/test_backlog.py": 400_000_000}
"""Ten agents at once: each reserves 27 MB for a full disk. Beside it 500 MB of /tmp are needed."""
CARD = "a:04a1b2c3d4e5f6"
OTHER_CARD = "em:010063e9ae"


@pytest.fixture(autouse=True)
def _small_folder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves more in its folder, which is removed when it has passed."""
    if "tmp_path" not in request.fixturenames:
        yield
        return
    folder = request.getfixturevalue("tmp_path")
    yield
    size, module = used_bytes(folder), request.node.nodeid.partition("::")[0]
    most = LARGE.get(module, FOLDER_BYTES_MAX)
    assert size <= most, f"{request.node.nodeid} leaves {size // 1_000_000} MB"


def used_bytes(folder: Path) -> int:
    """Return what the files of a folder take on the medium; a sparse file takes little."""
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a process that ends removes its files
            sizes += path.lstat().st_blocks * 512
    return sizes


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests, each of which has towns of its own."""
    with Postgres() as server:
        yield server


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
