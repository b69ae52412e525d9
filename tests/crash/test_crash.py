"""A sample of the cuts. `make crash` does all of them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import central
from tests.crash.__main__ import memory
from tests.crash.recording import PLANTED, record
from tests.crash.replay import Disk, read_recording, replay

EVERY = 50
PLANTED_EVERY = 5


@pytest.fixture
def disks() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder) / "disk"


def test_the_recorder_misses_no_write(tmp_path: Path) -> None:
    """The recording, applied to an empty disk, gives the same files."""
    disk = Disk()
    for op in read_recording(record(tmp_path)):
        disk.do(op)
    replayed = {
        name: disk.files[number].content(disk.files[number].since)
        for name, number in disk.names.items()
    }
    real = {path.name: path.read_bytes() for path in (tmp_path / "disk").iterdir()}
    assert {name: replayed[name] for name in real} == real


def test_no_cut_loses_or_splits_a_committed_transaction(tmp_path: Path, disks: Path) -> None:
    result = replay(record(tmp_path), disks, every=EVERY)
    assert result.faults == {} and result.images > 500


def test_no_cut_loses_or_splits_a_transaction_of_the_central(tmp_path: Path, disks: Path) -> None:
    recording = record(tmp_path, workload=central.WORKLOAD)
    result = replay(recording, disks, every=EVERY, judge=central.fault_of_books)
    assert result.faults == {} and result.images > 500


@pytest.mark.parametrize("planted", central.PLANTED)
def test_a_weaker_flush_of_the_central_is_found(planted: str, tmp_path: Path, disks: Path) -> None:
    recording = record(tmp_path, planted, central.WORKLOAD)
    judge = central.fault_of_books
    result = replay(recording, disks, every=PLANTED_EVERY, until_fault=True, judge=judge)
    assert result.faults, f"{planted}: not found"


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(planted: str, tmp_path: Path, disks: Path) -> None:
    result = replay(record(tmp_path, planted), disks, every=PLANTED_EVERY, until_fault=True)
    assert result.faults, f"{planted}: not found"
