"""Commands that read a ledger change nothing beside it, with and without an agent."""

import fcntl
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.viewing import LOCK_NAME, view
from tests.store.disk import Disk


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time and content of every file in a folder, and of the folder itself."""
    files = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    return files | {".": (folder.stat().st_mtime_ns, b"")}


def killed(disk: Disk) -> Path:
    """Return the ledger of a process that was killed: file and log as they were."""
    disk.meal()
    files = {end: disk.db.path.with_name(disk.db.path.name + end) for end in ("", "-wal")}
    content = {end: path.read_bytes() for end, path in files.items()}
    folder = disk.db.path.with_name("killed")
    folder.mkdir()
    (folder / LOCK_NAME).touch()
    for end, raw in content.items():
        (folder / f"t.db{end}").write_bytes(raw)
    return folder / "t.db"


def test_without_an_agent_nothing_in_the_folder_changes(disk: Disk) -> None:
    path = killed(disk)
    before = state(path.parent)
    with view(path) as db:
        assert db.only_row("SELECT count(*) FROM entry") == (1,)
    assert state(path.parent) == before


def test_beside_an_agent_the_file_is_read_in_place(disk: Disk) -> None:
    disk.meal()
    with open(disk.db.path.parent / LOCK_NAME, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with view(disk.db.path) as db:
            assert db.path == disk.db.path
            assert db.only_row("SELECT count(*) FROM entry") == (1,)
            disk.meal("a-2")  # the agent goes on; the view stays as it was
            assert db.only_row("SELECT count(*) FROM entry") == (1,)


def test_an_empty_file_keeps_its_log_and_is_named_by_its_own_path(disk: Disk) -> None:
    path = killed(disk)
    path.write_bytes(b"")
    before = state(path.parent)
    with pytest.raises(StoreError, match=f"{path}: is empty"), view(path):
        pass
    assert state(path.parent) == before


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no terminal has run here yet"), view(tmp_path / "t.db"):
        pass
