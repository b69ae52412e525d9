"""A sample of the cuts; `make crash` does them all."""

from pathlib import Path

import pytest

from tests.crash.record import PLANTED, record
from tests.crash.replay import Disk, read_record, replay

EVERY = 50
PLANTED_EVERY = 20


@pytest.fixture
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disks") / "disk"


def test_the_record_is_all_that_happened(tmp_path: Path) -> None:
    """Done again on nothing, it gives the very files: the recorder has missed no write."""
    disk = Disk()
    for op in read_record(record(tmp_path)):
        disk.do(op)
    made = {
        name: disk.files[number].content(disk.files[number].since)
        for name, number in disk.names.items()
    }
    real = {path.name: path.read_bytes() for path in (tmp_path / "disk").iterdir()}
    assert {name: made[name] for name in real} == real


def test_no_cut_loses_or_halves_what_was_committed(tmp_path: Path, disks: Path) -> None:
    verdicts = replay(record(tmp_path), disks, every=EVERY)
    assert verdicts.faults == {} and verdicts.images > 500


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_is_found(planted: str, tmp_path: Path, disks: Path) -> None:
    assert replay(record(tmp_path, planted), disks, every=PLANTED_EVERY).faults, (
        f"{planted}: not found"
    )
