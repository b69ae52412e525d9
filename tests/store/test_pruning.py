"""Pruning deletes old entries that are booked, and no others."""

from msgspec.structs import replace

from agent.domain.clock import ClockTrust
from agent.domain.ledger import ChainEnd, Place
from agent.store import reads, writes
from agent.store.pruning import PRUNE_ROWS_MAX, newest_dated_at, oldest_dated_at, prune
from agent.store.rows import NoteRow, WrongTime
from agent.store.standing import find_place, standing
from agent.store.verify import verify
from tests.store.disk import (
    AT,
    EPOCH,
    EPOCH_BITS,
    FAR,
    FAR_FUTURE,
    NEW_EPOCH,
    Disk,
    account,
    changeset,
    meal,
)


# C88
def test_pruning_deletes_old_booked_entries_inside_their_balance(disk: Disk) -> None:
    for day in range(1, 6):
        disk.meal(day=f"2026-01-0{day}", at=f"2026-01-0{day}T11:00:00.000Z")
    disk.changes(account("a-1", 0, 1), to=1, acked=4, reset=True)
    assert prune(disk.db, before="2026-01-03T00:00:00.000Z", below=FAR) == 2
    own = standing(disk.db)
    assert (own.oldest, own.end.seq, own.acked.seq) == (3, 5, 4)
    # Entry 4 is the newest booked one, entry 5 is not booked.
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 1
    assert standing(disk.db).oldest == 4
    assert list(verify(disk.db)) == []
    previous, bodies = reads.batch(disk.db, EPOCH, 5, 100)
    kept = find_place(disk.db, ChainEnd(epoch=EPOCH, seq=4, hash=previous))
    assert kept is not None and kept.hash == previous and len(bodies) == 1


def test_pruning_keeps_the_newest_booked_entry_when_a_new_epoch_has_begun(disk: Disk) -> None:
    disk.meal()
    last = disk.meal(day="2026-11-24", at="2026-11-24T11:00:00.000Z")
    disk.changes(account("a-1", 0, 1), to=1, acked=2, reset=True)
    writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH)
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 1
    assert [row.entry for row in reads.entries(disk.db, newest=9)] == [last]
    disk.meal(day="2026-11-25", at="2026-11-25T11:00:00.000Z")
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 0  # still the newest booked entry
    writes.acknowledge(disk.db, changeset(to=0, acked=Place(2, 1)))
    disk.db.sql.execute("UPDATE record SET h = (SELECT acked FROM terminal)")
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 1
    assert list(verify(disk.db)) == []


def test_pruning_waits_until_the_balance_contains_an_entry(disk: Disk) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    disk.meal()
    disk.meal(day="2026-11-24")
    disk.changes(to=2, acked=2)  # booked, but the account's own record has not come yet
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 0


def test_an_old_entry_behind_a_young_one_is_kept_with_it(disk: Disk) -> None:
    """A clock went back between them. Only a prefix may go, and the young one stays."""
    old, young = "2026-01-01T11:00:00.000Z", "2026-11-23T11:00:00.000Z"
    for day, at in enumerate((old, young, old, young), start=1):
        disk.meal(day=f"2026-01-0{day}", at=at)
    disk.changes(account("a-1", 0, 1), to=1, acked=4, reset=True)
    assert prune(disk.db, before="2026-06-01T00:00:00.000Z", below=FAR) == 1
    assert [row.entry.at for row in reads.entries(disk.db, newest=9)] == [young, old, young]


def test_a_step_of_pruning_deletes_at_most_prune_rows_max_entries(disk: Disk) -> None:
    """A tap waits for one step at most."""
    entries = PRUNE_ROWS_MAX + 20
    writes.append_all(disk.db, [meal(f"a-{n}") for n in range(entries)])
    disk.changes(to=1, acked=entries, reset=True)
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == PRUNE_ROWS_MAX
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 20 - 1
    assert list(verify(disk.db)) == []


def test_pruning_keeps_what_is_behind_a_place(disk: Disk) -> None:
    for _ in range(3):
        writes.append(disk.db, meal(), is_another=True)
    disk.changes(account("a-1", 0, 1), to=1, acked=3, reset=True)
    assert prune(disk.db, before=FAR_FUTURE, below=Place(1, 2).n) == 1
    assert standing(disk.db).oldest == 2


def test_an_entry_without_a_confirmed_time_is_as_old_as_the_next_that_has_one(disk: Disk) -> None:
    """A clock of 2036 neither keeps the entries behind it nor lets newer ones go."""
    in_2036 = "2036-01-01T11:00:00.000Z"
    guess = replace(meal(at=in_2036), clock=ClockTrust.HELD)
    for draft in (guess, meal(), meal(at=in_2036), guess, meal(), meal()):
        writes.append(disk.db, draft, is_another=True)
    wrong = WrongTime(Place(1, 3), Place(1, 3), "b", "b")
    writes.keep_wrong_times(disk.db, "b", [wrong], None)
    disk.changes(account("a-1", 0, 1), to=1, acked=6, reset=True)
    assert oldest_dated_at(disk.db) == AT
    assert prune(disk.db, before=AT, below=FAR) == 0
    assert prune(disk.db, before=FAR_FUTURE, below=Place(1, 5).n) == 2
    assert prune(disk.db, before=FAR_FUTURE, below=FAR) == 3
    assert reads.wrong_times(disk.db) == []
    assert list(verify(disk.db)) == []


def test_the_oldest_and_the_newest_time_are_of_entries_with_a_confirmed_time(disk: Disk) -> None:
    assert (oldest_dated_at(disk.db), newest_dated_at(disk.db)) == (None, None)
    later = "2026-11-24T11:02:05.331Z"
    disk.meal()
    disk.meal(day="2026-11-24", at=later)
    writes.append(disk.db, replace(meal(day="2036-01-01", at=FAR_FUTURE), clock=ClockTrust.HELD))
    assert (oldest_dated_at(disk.db), newest_dated_at(disk.db)) == (AT, later)


def test_nothing_about_a_pruned_entry_stays(disk: Disk) -> None:
    """The remarks of the central and the wrong times go with their entries."""
    for _ in range(4):
        writes.append(disk.db, meal(), is_another=True)
    remarks = [NoteRow(seq=seq, status="flagged", reason="double_meal") for seq in range(1, 5)]
    disk.apply(changeset([account("a-1", 0, 1)], to=1, acked=Place(1, 4), notes=remarks))
    wrong = [WrongTime(Place(1, seq), Place(1, seq), "b", "b") for seq in (1, 3)]
    writes.keep_wrong_times(disk.db, "b", wrong[:1], None)
    writes.keep_wrong_times(disk.db, "b", wrong[1:], None)
    assert prune(disk.db, before=FAR_FUTURE, below=Place(1, 3).n) == 2
    for table, place in {"entry": "n", "note": "n", "wrong_time": "last"}.items():
        kept = disk.db.rows(f"SELECT {place} FROM {table} ORDER BY 1")
        expected = [Place(1, seq).n for seq in (3, 4) if table != "wrong_time" or seq == 3]
        assert [n for (n,) in kept] == expected, table
