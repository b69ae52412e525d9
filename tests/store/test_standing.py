"""Where the terminal stands: what is sent, what is acknowledged, and where an entry is."""

from pathlib import Path

import pytest

from agent.domain.ledger import ChainEnd, Place, genesis
from agent.errors import StoreError
from agent.store import writes
from agent.store.database import Database
from agent.store.pruning import prune
from agent.store.rows import KnownPlace
from agent.store.standing import epochs, find_place, newest_epoch, standing, tail
from tests.store.disk import (
    AT,
    EPOCH,
    EPOCH_BITS,
    FAR,
    FAR_FUTURE,
    GENERATION,
    NEW_EPOCH,
    TERMINAL,
    TOWN,
    Disk,
    changeset,
)

NEXT_EPOCH = f"2-{EPOCH_BITS}"


def with_two_epochs(disk: Disk) -> None:
    """Book two meals, begin an epoch, and serve one meal in it."""
    for day in range(1, 3):
        disk.meal(day=f"2026-11-0{day}")
    disk.changes(to=1, acked=2, reset=True)
    writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH)
    disk.meal(day="2026-11-03")


def test_a_new_terminal_stands_at_the_genesis_hash(disk: Disk) -> None:
    own = standing(disk.db)
    start = ChainEnd(epoch=EPOCH, seq=0, hash=genesis(TOWN, TERMINAL, EPOCH))
    assert (own.end, own.acked, own.previous) == (start, start, None)
    assert (own.pending, own.generation, own.keeps_earlier_epochs) == (0, None, False)
    assert tail(disk.db) == (Place(1, 0), start.hash, EPOCH)


def test_a_file_without_a_terminal_has_no_standing(tmp_path: Path) -> None:
    db = Database(tmp_path / "blank.db")
    with pytest.raises(StoreError, match="holds no terminal yet"):
        standing(db)
    with pytest.raises(StoreError, match="holds no epoch yet"):
        tail(db)
    db.close()


def test_the_end_is_the_newest_entry_and_acked_the_newest_booked_one(disk: Disk) -> None:
    entries = [disk.meal(day=f"2026-11-0{day}") for day in range(1, 4)]
    disk.changes(to=7, acked=2, reset=True)
    own = standing(disk.db)
    assert (own.end.seq, own.end.hash) == (3, entries[2].hash)
    assert (own.acked.seq, own.acked.hash, own.pending) == (2, entries[1].hash, 1)
    assert (own.generation, own.position, own.last_contact_at) == (GENERATION, 7, AT)


def test_a_new_epoch_keeps_the_end_of_the_one_before(disk: Disk) -> None:
    with_two_epochs(disk)
    own = standing(disk.db)
    assert (own.epoch, own.epoch_number, own.end.seq, own.pending) == (NEXT_EPOCH, 2, 1, 1)
    assert own.previous is not None and (own.previous.epoch, own.previous.seq) == (EPOCH, 2)
    assert own.is_newest and own.keeps_earlier_epochs
    assert newest_epoch(disk.db) == NEXT_EPOCH


def test_an_unacknowledged_earlier_epoch_is_sent_first(disk: Disk) -> None:
    with_two_epochs(disk)
    writes.adopt_generation(disk.db, "beef" * 8, AT, None)
    own = standing(disk.db)
    assert (own.epoch, own.is_newest, own.end.seq, own.pending) == (EPOCH, False, 2, 3)
    writes.acknowledge(disk.db, changeset(to=0, acked=Place(1, 2)))
    assert (standing(disk.db).epoch, standing(disk.db).pending) == (NEXT_EPOCH, 1)


def test_new_entries_follow_the_newest_epoch_whatever_is_being_sent(disk: Disk) -> None:
    with_two_epochs(disk)
    writes.adopt_generation(disk.db, "beef" * 8, AT, None)
    assert tail(disk.db).place == Place(2, 1)
    assert disk.meal(day="2026-11-04").seq == 2


def test_every_epoch_is_listed_with_its_kept_entries(disk: Disk) -> None:
    with_two_epochs(disk)
    prune(disk.db, before=FAR_FUTURE, below=FAR)
    spans = [(span.number, span.base.seq, span.end.seq) for span in epochs(disk.db)]
    assert spans == [(1, 1, 2), (2, 0, 1)]


def test_an_entry_is_at_its_place_and_a_pruned_one_at_the_place_where_the_rest_begins(
    disk: Disk,
) -> None:
    entries = [disk.meal(day=f"2026-11-0{day}") for day in range(1, 5)]
    disk.changes(to=1, acked=4, reset=True)
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 3

    def known(seq: int, epoch: str = EPOCH) -> KnownPlace | None:
        return find_place(disk.db, ChainEnd(epoch=epoch, seq=seq, hash="0" * 64))

    assert known(4) == KnownPlace(place=Place(1, 4), hash=entries[3].hash)
    assert known(3) == KnownPlace(place=Place(1, 3), hash=entries[2].hash)
    assert known(2) == KnownPlace(place=Place(1, 3), hash=None)
    assert known(5) is None
    assert known(1, NEXT_EPOCH) is None
