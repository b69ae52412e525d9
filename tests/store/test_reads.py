"""What is read of records and entries: balances, meals, lists, and the digest in steps."""

from itertools import count

import pytest
from msgspec.structs import replace

from agent.domain.canteen import ServiceNow
from agent.domain.digest import Tally, tally
from agent.domain.ledger import Kind
from agent.errors import RecordError
from agent.store import reads, writes
from agent.store.reads import DIGEST_STEP_RECORDS
from agent.store.rows import Incident
from tests.store.disk import (
    AT,
    DAY,
    EPOCH,
    EPOCH_BITS,
    FAR_FUTURE,
    NEW_EPOCH,
    Disk,
    account,
    card,
    meal,
    policy,
    set_aside,
    storno,
)

TOKEN = "ab" * 16


def test_a_balance_is_the_centrals_plus_own_entries_after_h(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 2_000, 5), to=5, acked=0, reset=True)
    assert reads.balance_cents(disk.db, "a-1") == 2_000 - 366
    disk.changes(account("a-1", 1_634, 6), to=6, acked=1)
    assert reads.balance_cents(disk.db, "a-1") == 1_634
    disk.meal(day="2026-11-24")
    assert reads.balance_cents(disk.db, "a-1") == 1_634 - 366
    assert list(reads.balances(disk.db)) == [("a-1", 1_634 - 366)]


def test_an_unknown_account_has_no_balance(disk: Disk) -> None:
    disk.meal()
    assert reads.balance_cents(disk.db, "a-1") is None


def test_the_holder_of_a_card_is_its_account_with_its_balance(disk: Disk) -> None:
    disk.changes(account("a-1", 500, 1), card(TOKEN, "a-1", 2), to=2, acked=0, reset=True)
    disk.meal()
    lunch = ServiceNow(service="lunch", day="2026-11-23", outside_hours=False)
    holder = reads.holder(disk.db, TOKEN, lunch)
    assert holder.card is not None and holder.account is not None
    assert holder.own_meal is not None and holder.own_meals == 1
    assert (holder.card.id, holder.account.id, holder.balance_cents) == (TOKEN, "a-1", 134)
    unknown = reads.holder(disk.db, "cd" * 16, lunch)
    assert (unknown.card, unknown.account, unknown.balance_cents) == (None, None, 0)


def test_a_record_that_cannot_be_read_is_named(disk: Disk) -> None:
    disk.changes(account("a-1", 500, 1), policy(2), to=2, acked=0, reset=True)
    disk.db.sql.execute("UPDATE record SET body = '[]'")
    disk.db.cache.clear()
    with pytest.raises(RecordError, match="the record of account a-1 cannot be read"):
        reads.account(disk.db, "a-1")
    with pytest.raises(RecordError, match="the record of policy 2026-09-01"):
        reads.policies(disk.db)


def test_an_undone_meal_counts_but_does_not_stand(disk: Disk) -> None:
    writes.append(disk.db, storno(disk.meal()))
    assert reads.own_meals(disk.db, "a-1", None, "lunch", DAY) == (None, 1)
    second = disk.meal()
    assert reads.own_meals(disk.db, "a-1", None, "lunch", DAY) == (second, 2)
    assert reads.own_meals(disk.db, "a-1", None, "lunch", "2026-11-24") == (None, 0)
    assert reads.own_meals(disk.db, "a-1", None, "supper", DAY) == (None, 0)


def test_a_meal_of_the_card_before_its_account_was_known_counts(disk: Disk) -> None:
    draft = replace(meal(cents=0), kind=Kind.UNKNOWN_MEAL, account=None, card=TOKEN)
    unknown = writes.append(disk.db, draft)
    assert reads.own_meals(disk.db, "a-1", TOKEN, "lunch", DAY) == (unknown, 1)


def test_a_meal_of_this_boot_is_read_whatever_its_day(disk: Disk) -> None:
    first = writes.append(disk.db, replace(meal(), mono_ms=500))
    eaters = ("a-1", None)
    assert reads.meal_since(disk.db, eaters, "lunch", "b", 500) == first
    assert reads.meal_since(disk.db, eaters, "lunch", "b", 501) is None
    assert reads.meal_since(disk.db, eaters, "lunch", "another boot", 0) is None
    writes.append(disk.db, storno(first))
    assert reads.meal_since(disk.db, eaters, "lunch", "b", 0) is None


def test_an_entry_is_read_with_whether_it_was_undone(disk: Disk) -> None:
    first, second = disk.meal(), disk.meal(day="2026-11-24")
    writes.append(disk.db, storno(first))
    assert reads.entry(disk.db, EPOCH, 1) == (first, True)
    assert reads.entry(disk.db, EPOCH, 2) == (second, False)
    assert reads.entry(disk.db, EPOCH, 4) is None
    assert reads.entry(disk.db, "9-00000000000000ff", 1) is None


def test_a_batch_is_the_hashed_texts_with_the_hash_before(disk: Disk) -> None:
    first, second = disk.meal(), disk.meal(day="2026-11-24")
    previous, bodies = reads.batch(disk.db, EPOCH, 2, 100)
    assert previous == first.hash and len(bodies) == 1
    assert f'"hash":"{second.hash}"'.encode() in bodies[0]
    assert len(reads.batch(disk.db, EPOCH, 1, 1)[1]) == 1


def test_a_batch_after_pruned_entries_follows_the_kept_base(disk: Disk) -> None:
    entries = [disk.meal(day=f"2026-11-0{day}") for day in range(1, 4)]
    disk.changes(to=1, acked=3, reset=True)
    assert writes.prune(disk.db, before=FAR_FUTURE) == 2
    assert reads.batch(disk.db, EPOCH, 3, 100)[0] == entries[1].hash
    assert reads.remembers_from(disk.db) == AT


def test_nothing_is_forgotten_before_the_first_pruning(disk: Disk) -> None:
    disk.meal()
    assert reads.remembers_from(disk.db) is None


def test_the_latest_entry_is_by_time_not_by_epoch(disk: Disk) -> None:
    assert reads.latest_entry(disk.db) is None
    latest = disk.meal(at="2026-11-24T11:00:00.000Z")
    disk.changes(to=1, acked=1, reset=True)
    writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH)
    disk.meal(day="2026-11-22", at="2026-11-22T11:00:00.000Z")
    assert reads.latest_entry(disk.db) == latest


def test_the_oldest_pending_entry_gives_its_time(disk: Disk) -> None:
    assert reads.oldest_pending_at(disk.db) is None
    for day in (1, 2):
        disk.meal(day=f"2026-11-0{day}", at=f"2026-11-0{day}T11:00:00.000Z")
    disk.changes(to=1, acked=1, reset=True)
    assert reads.oldest_pending_at(disk.db) == "2026-11-02T11:00:00.000Z"


def test_undone_meals_are_not_served_meals(disk: Disk) -> None:
    disk.meal("a-2")
    writes.append(disk.db, storno(disk.meal()))
    assert (reads.served(disk.db, "lunch", DAY), reads.served(disk.db, "supper", DAY)) == (1, 0)


def test_the_newest_entries_are_listed_oldest_first(disk: Disk) -> None:
    first = disk.meal()
    disk.meal("a-2")
    writes.append(disk.db, storno(first))
    disk.changes(to=1, acked=2, reset=True)
    rows = [(row.entry.seq, row.is_acked) for row in reads.entries(disk.db, newest=2)]
    assert rows == [(2, True), (3, False)]
    assert [row.is_undone for row in reads.entries(disk.db, newest=9)] == [True, False, False]


def test_what_is_kept_is_counted_by_kind(disk: Disk) -> None:
    writes.set_aside(disk.db, set_aside())
    writes.add_incident(disk.db, Incident(at=AT, kind="digest", detail=""))
    counts = reads.counts(disk.db)
    assert (counts["set_aside"], counts["note"], counts["incident"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("records", "steps"),
    [(0, 1), (DIGEST_STEP_RECORDS - 1, 1), (DIGEST_STEP_RECORDS, 2), (1_201, 3)],
)
def test_the_digest_in_steps_of_digest_step_records_is_the_digest_of_all(
    disk: Disk, records: int, steps: int
) -> None:
    """A tap waits for one step at most."""
    rows = [account(f"a-{n}", n, n) for n in range(1, records + 1)]
    disk.changes(*rows, to=records + 1, acked=0, reset=True)
    so_far, after = Tally(), ("", "")
    for step in count(1):
        so_far, last = reads.digest_step(disk.db, so_far, after)
        assert so_far.accounts <= step * DIGEST_STEP_RECORDS
        if last is None:
            break
        after = last
    assert step == steps
    assert so_far == tally(((row.kind, str(row.body).encode()) for row in rows), Tally())
