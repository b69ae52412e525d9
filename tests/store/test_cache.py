"""The cache never differs from the file, and a reader of another process's file has none."""

from contextlib import closing

import pytest

from agent.domain.ledger import Place
from agent.errors import StoreError
from agent.store import reads, writes
from agent.store.cache import Cache, Tail
from agent.store.database import Database
from agent.store.standing import standing, tail
from tests.store.disk import AT, EPOCH_BITS, NEW_EPOCH, Disk, meal, policy

START = Tail(Place(1, 0), "0" * 64, "1-0123456789abcdef")


def in_the_file(disk: Disk) -> tuple[object, object]:
    """Return standing and tail as another connection reads them."""
    with closing(Database(disk.db.path, read_only=True)) as reader:
        return standing(reader), tail(reader)


def cached(disk: Disk) -> tuple[object, object]:
    return standing(disk.db), tail(disk.db)


def test_after_every_append_the_cache_equals_the_file(disk: Disk) -> None:
    for day in range(1, 5):
        assert cached(disk) == in_the_file(disk)
        disk.meal(day=f"2026-11-0{day}")
    assert cached(disk) == in_the_file(disk)


def test_while_an_earlier_epoch_is_sent_again_the_cache_equals_the_file(disk: Disk) -> None:
    disk.meal()
    disk.changes(to=1, acked=1, reset=True)
    writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH)
    writes.adopt_generation(disk.db, "beef" * 8, AT, None)
    before = standing(disk.db)
    disk.meal(day="2026-11-24")
    assert cached(disk) == in_the_file(disk)
    after = standing(disk.db)
    assert (before.is_newest, after.end, after.pending) == (False, before.end, 2)


def test_a_second_read_does_not_ask_the_file() -> None:
    cache, reads_of_the_file = Cache(keeps=True), []

    def read() -> Tail:
        reads_of_the_file.append(1)
        return START

    assert cache.tail(read) == cache.tail(read) == START
    assert len(reads_of_the_file) == 1
    cache.clear()
    cache.tail(read)
    assert len(reads_of_the_file) == 2


def test_a_reader_sees_what_another_process_writes(disk: Disk) -> None:
    with closing(Database(disk.db.path, read_only=True)) as reader:
        assert (standing(reader).end.seq, reads.policies(reader)) == (0, [])
        disk.meal()
        disk.changes(policy(1), to=1, acked=0, reset=True)
        assert (standing(reader).end.seq, len(reads.policies(reader))) == (1, 1)


def test_a_transaction_clears_the_cache(disk: Disk) -> None:
    assert (standing(disk.db).last_contact_at, reads.policies(disk.db)) == (None, [])
    disk.changes(policy(1), to=1, acked=0, reset=True)
    assert (standing(disk.db).last_contact_at, len(reads.policies(disk.db))) == (AT, 1)


def test_a_failed_append_clears_the_cache(disk: Disk) -> None:
    disk.meal()
    with pytest.raises(StoreError, match="UNIQUE"):
        disk.meal()
    assert cached(disk) == in_the_file(disk)
    assert writes.append(disk.db, meal(day="2026-11-24")).seq == 2


def test_an_append_to_an_empty_cache_leaves_it_empty() -> None:
    cache = Cache(keeps=True)
    cache.appended(Tail(Place(1, 7), "7" * 64, "1-0123456789abcdef"))
    assert cache.tail(lambda: START) == START
