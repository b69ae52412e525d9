"""The reserve is made of real blocks, given back piece by piece, and made again."""

import os
from pathlib import Path

import pytest

from agent.store.disk_space import free_bytes
from agent.store.reserve import (
    GIVEN_BYTES,
    LEFT_BYTES,
    MADE_BYTES,
    RESERVE_BYTES,
    TAP_BYTES,
    Reserve,
)
from tests.parts.disks import fill, run_again_as_namespace_root, tmpfs_at


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


def made(reserve: Reserve) -> Reserve:
    while reserve.make_more():
        pass
    return reserve


def test_the_reserve_has_real_blocks_and_is_good_for_a_week_of_meals(ledger: Path) -> None:
    reserve = Reserve(ledger)
    assert (reserve.size_bytes, reserve.taps, reserve.is_whole) == (0, 0, False)
    made(reserve)
    assert reserve.is_whole and reserve.size_bytes == RESERVE_BYTES
    assert 512 * os.stat(reserve.path).st_blocks >= RESERVE_BYTES
    assert reserve.taps == RESERVE_BYTES // TAP_BYTES >= 5 * 1_000


def test_it_is_made_in_steps_and_given_back_in_pieces(ledger: Path) -> None:
    reserve = Reserve(ledger)
    assert reserve.make_more() and reserve.size_bytes == MADE_BYTES
    for piece in range(1, MADE_BYTES // GIVEN_BYTES + 1):
        assert reserve.give_back()
        assert reserve.size_bytes == MADE_BYTES - piece * GIVEN_BYTES
    assert not reserve.give_back()


def test_a_sparse_file_of_the_same_name_is_no_reserve(ledger: Path) -> None:
    reserve = Reserve(ledger)
    with open(reserve.path, "wb") as file:
        file.truncate(RESERVE_BYTES)
    assert (reserve.size_bytes, reserve.is_whole) == (0, False)
    assert made(reserve).is_whole


def test_without_a_wish_there_is_no_file(ledger: Path) -> None:
    reserve = Reserve(ledger, 0)
    assert reserve.is_whole and not reserve.make_more() and not reserve.give_back()
    assert not reserve.path.exists()


def test_a_folder_that_cannot_be_written_gives_nothing_and_raises_nothing(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "missing" / "t.db")
    assert not reserve.make_more() and not reserve.give_back()


def test_a_reserve_that_cannot_be_made_though_there_is_room_has_a_problem(ledger: Path) -> None:
    reserve = Reserve(ledger)
    reserve.path.mkdir()
    assert not reserve.make_more()
    assert reserve.problem == f"{reserve.path}: Is a directory" and not reserve.is_short
    reserve.path.rmdir()
    assert reserve.make_more() and reserve.problem == ""


def test_so_much_is_left_for_other_programs(ledger: Path, request: pytest.FixtureRequest) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = ledger.parent / "disk"
    with tmpfs_at(folder, "24m"):
        reserve = made(Reserve(folder / "t.db"))
        assert LEFT_BYTES <= free_bytes(folder) < LEFT_BYTES + MADE_BYTES
        assert 0 < reserve.size_bytes < RESERVE_BYTES and not reserve.is_whole
        filler = fill(folder, 0)
        assert reserve.give_back() and free_bytes(folder) == GIVEN_BYTES
        assert not reserve.make_more()
        filler.unlink()
        made(reserve)
        assert LEFT_BYTES <= free_bytes(folder) < LEFT_BYTES + MADE_BYTES
