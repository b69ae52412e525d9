"""A log's own bytes tell a power cut from damage, before SQLite opens anything."""

import os
import random
import resource
from pathlib import Path

import pytest

from agent.store.wal import (
    FRAME_HEADER_BYTES,
    PAGE_BYTES_LEAST,
    PAGE_BYTES_MOST,
    PROGRESS_FRAMES,
    LogLook,
    LogState,
    laid_over,
    look_at,
)
from tests.store.damaged_ledger import PAGE_BYTES
from tests.store.disk import Disk

LOG_HEADER_BYTES = 32
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
FLIPS = 300
SEED = 16


def log_of(disk: Disk) -> Path:
    return disk.db.path.with_name(f"{disk.db.path.name}-wal")


def logged(disk: Disk, meals: int) -> bytes:
    """Return the log of so many meals, each a transaction; it holds nothing else."""
    disk.db.empty_log()
    for n in range(meals):
        disk.meal(f"a-{n}")
    return log_of(disk).read_bytes()


def look(content: bytes, folder: Path) -> LogLook:
    (folder / "copy.db-wal").write_bytes(content)
    return look_at(folder / "copy.db-wal")


def flipped(content: bytes, offset: int, bit: int = 1) -> bytes:
    changed = bytearray(content)
    changed[offset] ^= bit
    return bytes(changed)


def frame(number: int) -> int:
    """Return where a frame begins; they count from 1."""
    return LOG_HEADER_BYTES + (number - 1) * FRAME_BYTES


def first_frame_of_the_newest(content: bytes) -> int:
    """Return the number of the first frame of the newest transaction."""
    count = (len(content) - LOG_HEADER_BYTES) // FRAME_BYTES
    commits = [n for n in range(1, count + 1) if any(content[frame(n) + 4 : frame(n) + 8])]
    pages = {n: content[frame(n) : frame(n) + 8] for n in commits}
    last = [n for n in commits if pages[n] == pages[commits[-1]] and n > commits[-1] - 6]
    return max(n for n in commits if n < last[0]) + 1


def test_a_log_that_is_absent_or_holds_nothing_is_absent(tmp_path: Path) -> None:
    assert look_at(tmp_path / "no-wal").state is LogState.ABSENT
    assert look(b"", tmp_path).state is LogState.ABSENT
    assert look(bytes(4096), tmp_path).state is LogState.ABSENT


def test_a_log_of_whole_transactions_is_whole(disk: Disk, tmp_path: Path) -> None:
    assert look(logged(disk, 20), tmp_path) == LogLook(LogState.WHOLE)


def test_frames_of_an_earlier_use_are_no_damage(disk: Disk, tmp_path: Path) -> None:
    logged(disk, 20)
    disk.db.checkpoint()
    disk.meal("a-new")  # SQLite begins the log again, over the old frames
    content = log_of(disk).read_bytes()
    assert len(content) > frame(20) and look(content, tmp_path).state is LogState.WHOLE


def test_one_bit_in_any_but_the_newest_transaction_is_damage(disk: Disk, tmp_path: Path) -> None:
    content = logged(disk, 30)
    before = frame(first_frame_of_the_newest(content)) - 6 * FRAME_BYTES
    draw = random.Random(SEED)
    for _ in range(FLIPS):
        offset = draw.randrange(LOG_HEADER_BYTES, before)
        found = look(flipped(content, offset, 1 << draw.randrange(8)), tmp_path)
        number = 1 + (offset - LOG_HEADER_BYTES) // FRAME_BYTES
        assert found.state is LogState.DAMAGED, f"byte {offset}"
        assert f"copy.db-wal is damaged at frame {number};" in found.reason


def test_damage_in_the_newest_transaction_looks_like_a_power_cut(
    disk: Disk, tmp_path: Path
) -> None:
    content = logged(disk, 5)
    first = first_frame_of_the_newest(content)
    damaged = look(flipped(content, frame(first) + FRAME_HEADER_BYTES + 100), tmp_path)
    assert damaged.state is LogState.TORN
    assert damaged.reason.endswith(f"is incomplete, from frame {first} on")
    assert b'"account":"a-4"' in damaged.newest
    cut = content[: frame(first)] + bytes(FRAME_BYTES) + content[frame(first + 1) :]
    assert look(cut, tmp_path).state is LogState.TORN


def test_a_cut_before_the_newest_transaction_was_written_is_whole(
    disk: Disk, tmp_path: Path
) -> None:
    content = logged(disk, 5)
    assert look(content[: frame(first_frame_of_the_newest(content))], tmp_path).state is (
        LogState.WHOLE
    )


def test_a_damaged_further_copy_of_a_commit_hides_no_transaction_behind_it(
    disk: Disk, tmp_path: Path
) -> None:
    content = logged(disk, 5)
    copy = first_frame_of_the_newest(content) - 1
    found = look(flipped(content, frame(copy) + FRAME_HEADER_BYTES), tmp_path)
    assert found.state is LogState.TORN and b'"account":"a-4"' in found.newest


@pytest.mark.parametrize("offset", [0, 8, 11, 16, 20, 24, 28])
def test_a_bit_in_the_header_is_reported(disk: Disk, tmp_path: Path, offset: int) -> None:
    found = look(flipped(logged(disk, 3), offset, 2), tmp_path)
    assert found.state is LogState.NO_HEADER
    assert found.reason == "the header of copy.db-wal is damaged"


def test_a_header_that_is_cut_or_names_an_impossible_page_is_no_header(
    disk: Disk, tmp_path: Path
) -> None:
    content = logged(disk, 3)
    assert look(content[: LOG_HEADER_BYTES - 1], tmp_path).state is LogState.NO_HEADER
    for size in (PAGE_BYTES_LEAST // 2, PAGE_BYTES_MOST * 2):
        impossible = content[:8] + size.to_bytes(4, "big") + content[12:]
        assert look(impossible, tmp_path).state is LogState.NO_HEADER


def test_looking_changes_nothing(disk: Disk) -> None:
    logged(disk, 3)
    files = sorted(disk.db.path.parent.iterdir())
    before = [(file.name, file.stat().st_mtime_ns, file.read_bytes()) for file in files]
    look_at(log_of(disk))
    assert sorted(disk.db.path.parent.iterdir()) == files
    assert [(file.name, file.stat().st_mtime_ns, file.read_bytes()) for file in files] == before


def test_a_log_laid_over_its_file_is_what_sqlite_makes_of_both(disk: Disk) -> None:
    log = logged(disk, 20)
    file = disk.db.path.read_bytes()
    cut = laid_over(file, log[: frame(first_frame_of_the_newest(log))])
    whole = laid_over(file, log)
    disk.db.checkpoint()
    assert disk.db.path.read_bytes() == whole != cut != file
    assert b'"account":"a-18"' in cut and b'"account":"a-19"' not in cut
    assert laid_over(file, flipped(log, 16)) == file == laid_over(file, b"")


def test_a_long_log_is_read_in_pieces_with_progress(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "copy.db-wal").write_bytes(logged(disk, 3))
    os.truncate(tmp_path / "copy.db-wal", 300_000_000)  # sparse
    calls: list[int] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = look_at(tmp_path / "copy.db-wal", lambda: calls.append(1))
    assert found == LogLook(LogState.WHOLE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB
    assert len(calls) == 300_000_000 // FRAME_BYTES // PROGRESS_FRAMES
