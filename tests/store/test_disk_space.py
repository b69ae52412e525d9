"""How full a file system is, and what fills it."""

import os
from pathlib import Path

from agent.store.disk_space import LOOK_MS_MAX, free_bytes, full_words, megabytes


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
