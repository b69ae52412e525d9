"""Faults of the state folder, its disk, and the ledger."""

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from agent.store import writes
from agent.store.database import Database
from agent.store.reserve import LEFT_BYTES
from agent.terminal.doctor.finding import Finding, Level
from agent.terminal.doctor.storage import look_at_medium, look_at_storage
from tests.parts.disks import fill, run_again_as_namespace_root, tmpfs_at


def findings_of(database: Path) -> dict[str, Finding]:
    return {finding.id: finding for finding in look_at_storage(database)}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    db = Database(tmp_path / "terminal.db", reserve_bytes=0)
    writes.initialise(db, town="borgofiorito", terminal="t-1", epoch="1-00000000000000aa")
    db.close()
    return tmp_path / "terminal.db"


def test_a_good_ledger_is_well_and_is_not_touched(database: Path) -> None:
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    found = findings_of(database)
    assert found["storage.database"].level is Level.OK, found
    assert "a reserve for about 0 taps" in found["storage.space"].seen
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def test_a_missing_folder_is_a_fault_and_a_missing_ledger_a_warning(tmp_path: Path) -> None:
    (finding,) = look_at_storage(tmp_path / "gone" / "terminal.db")
    assert finding.level is Level.FAULT and "install -d" in finding.mend
    assert findings_of(tmp_path / "terminal.db")["storage.database"].level is Level.WARNING


def test_a_damaged_ledger_is_a_fault(database: Path) -> None:
    with open(database, "r+b") as file:
        file.seek(1024 * 3)
        file.write(b"\xff" * 512)
    finding = findings_of(database)["storage.database"]
    assert finding.level is Level.FAULT and "systemctl restart" in finding.mend


def test_a_ledger_of_a_newer_program_is_a_fault(database: Path) -> None:
    sql = sqlite3.connect(database)
    sql.execute("CREATE TABLE later (n INTEGER PRIMARY KEY) STRICT")
    sql.execute("PRAGMA user_version = 999")
    sql.close()
    finding = findings_of(database)["storage.database"]
    assert finding.level is Level.FAULT and "apt-get install --only-upgrade" in finding.mend


def test_a_folder_in_memory_is_a_fault() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        finding = findings_of(Path(folder) / "terminal.db")["storage.medium"]
    assert finding.level is Level.FAULT and "a power cut takes every meal" in finding.seen


def test_a_state_folder_in_memory_is_copied_before_it_is_unmounted(tmp_path: Path) -> None:
    """It may hold meals that the central does not have."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\n")
    line = look_at_medium(tmp_path, mounts).mend
    copied, unmounted = f"sudo cp -a {tmp_path} {tmp_path}.memory", f"sudo umount {tmp_path}"
    assert line.startswith(f"sudo systemctl stop canteen-agent && {copied} && {unmounted} && ")


def test_a_full_disk_and_used_up_inodes_are_faults(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder, inodes=4):
        fill(folder, LEFT_BYTES - 4_096)
        found = findings_of(folder / "terminal.db")
        assert found["storage.space"].level is Level.FAULT
        assert "free some space" in found["storage.space"].seen
        assert found["storage.inodes"].level is Level.OK
        for n in range(2):
            (folder / str(n)).touch()
        assert findings_of(folder / "terminal.db")["storage.inodes"].level is Level.FAULT


def test_a_folder_on_an_overlay_is_a_warning_and_no_fault(tmp_path: Path) -> None:
    """Its upper layer may be in memory, as with a read-only root, or on a disk."""
    mounts = tmp_path / "mounts"
    mounts.write_text("overlay / overlay rw 0 0\n")
    finding = look_at_medium(tmp_path, mounts)
    assert finding.level is Level.WARNING and "may be in memory" in finding.seen
    mounts.write_text(f"overlay / overlay rw 0 0\n/dev/sda1 {tmp_path} ext4 rw 0 0\n")
    assert look_at_medium(tmp_path, mounts).level is Level.OK
