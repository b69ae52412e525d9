"""How full a file system is, and what fills it."""

import os
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store.database import Database
from agent.store.disk_space import LOOK_MS_MAX, free_bytes, full_words, has_inodes, megabytes
from tests.parts.disks import run_again_as_namespace_root, tmpfs_at


def test_the_free_bytes_are_those_of_df(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert abs(free_bytes(tmp_path) - status.f_bavail * status.f_frsize) < 100_000_000


def test_the_largest_folder_of_the_file_system_is_named(tmp_path: Path) -> None:
    own, logs = tmp_path / "state", tmp_path / "log" / "journal"
    own.mkdir()
    logs.mkdir(parents=True)
    (own / "t.db").write_bytes(b"x" * 20_000)
    (logs / "big").write_bytes(b"x" * 3_000_000)
    words = full_words(own, [str(tmp_path / "log"), "/proc/sys", "/missing"])
    assert f"{tmp_path / 'log'} takes 3.0 MB; free some space" in words
    assert f"free on the file system of {own}" in words


def test_a_large_tree_is_looked_at_for_look_ms_max_only(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    assert 0 < LOOK_MS_MAX <= 100
    assert "takes 3.0 MB" in full_words(tmp_path, [])
    assert "takes" not in full_words(tmp_path, [], look_ms_max=-1)


def test_the_growing_folders_are_looked_at_once_a_minute(tmp_path: Path) -> None:
    """A full disk is asked at each tap, and a child waits for the answer."""
    logs = tmp_path / "log"
    logs.mkdir()
    (tmp_path / "state").mkdir()
    looks = [_looked(tmp_path / "state", logs, size) for size in (3, 4, 5)]
    assert len(set(looks)) <= 2  # a minute may end between two looks
    assert "takes 3.0 MB" in looks[0]


def _looked(state: Path, logs: Path, megabytes_there: int) -> str:
    (logs / "big").write_bytes(b"x" * (megabytes_there * 1_000_000))
    return full_words(state, [str(logs)]).partition("; ")[2]


def test_a_folder_that_is_gone_has_a_sentence(tmp_path: Path) -> None:
    assert full_words(tmp_path / "gone").startswith("the file system of ")


def test_a_size_is_written_as_people_do() -> None:
    assert megabytes(12_345_678) == "12.3 MB" and megabytes(1_234_567_890) == "1,234.6 MB"


def test_used_up_inodes_have_a_sentence_of_their_own(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder, inodes=5):
        database = Database(folder / "t.db", reserve_bytes=0)
        database.close()
        assert has_inodes(folder)
        for n in range(3):
            (folder / f"small-{n}").write_bytes(b"")
        assert not has_inodes(folder)
        words = (
            f"no more files fit on the file system of {folder}, its inodes are used up; remove many"
            " small files"
        )
        assert full_words(folder) == words
        with pytest.raises(StoreError, match=f"disk full: {words}"):
            Database(folder / "t.db", reserve_bytes=0).only_row("SELECT count(*) FROM entry")
