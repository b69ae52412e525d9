"""What is read of records and entries: balances, meals, lists, and the digest in steps."""

from datetime import UTC, datetime
from itertools import count

import pytest
from msgspec.structs import replace

from agent.domain.canteen import ServiceNow
from agent.domain.clock import ClockTrust, Moment, TimeSource
from agent.domain.digest import Tally, tally
from agent.domain.ledger import Entry, Kind, Place
from agent.domain.tap import OwnMeal, closing
from agent.domain.timekeeper import Belief
from agent.errors import RecordError
from agent.store import pruning, reads, writes
from agent.store.reads import DIGEST_STEP_RECORDS, RECENT_ENTRIES
from agent.store.rows import EntryTime, Incident, MealsWanted, WrongTime
from tests.store.disk import (
    AT,
    DAY,
    EPOCH,
    FAR,
    FAR_FUTURE,
    Disk,
    account,
    card,
    meal,
    policy,
    set_aside,
    storno,
)

TOKEN = "ab" * 16
LUNCH = MealsWanted("lunch", DAY, FAR)


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
    holder = reads.holder(disk.db, TOKEN, LUNCH)
    assert holder.card is not None and holder.account is not None
    assert len(holder.own_meals) == 1
    assert (holder.card.id, holder.account.id, holder.balance_cents) == (TOKEN, "a-1", 134)
    unknown = reads.holder(disk.db, "cd" * 16, LUNCH)
    assert (unknown.card, unknown.account, unknown.balance_cents) == (None, None, 0)


def test_a_record_that_cannot_be_read_is_named(disk: Disk) -> None:
    disk.changes(account("a-1", 500, 1), policy(2), to=2, acked=0, reset=True)
    disk.db.sql.execute("UPDATE record SET body = '[]'")
    disk.db.cache.clear()
    with pytest.raises(RecordError, match="the record of account a-1 cannot be read"):
        reads.account(disk.db, "a-1")
    with pytest.raises(RecordError, match="the record of policy 2026-09-01"):
        reads.policies(disk.db)


def own_meals(disk: Disk, wanted: MealsWanted, token: str | None = None) -> list[OwnMeal]:
    return reads.own_meals(disk.db, ("a-1", token), wanted)


def test_own_meals_are_those_of_the_day_undone_or_not(disk: Disk) -> None:
    first = disk.meal()
    writes.append(disk.db, storno(first))
    second = disk.meal()
    assert own_meals(disk, LUNCH) == [
        OwnMeal(entry=first, is_undone=True, is_dated=True),
        OwnMeal(entry=second, is_undone=False, is_dated=True),
    ]
    assert own_meals(disk, MealsWanted("lunch", "2026-11-24", FAR)) == []
    assert own_meals(disk, MealsWanted("supper", DAY, 0)) == []


def test_a_meal_of_the_card_before_its_account_was_known_counts(disk: Disk) -> None:
    draft = replace(meal(cents=0), kind=Kind.UNKNOWN_MEAL, account=None, card=TOKEN)
    unknown = writes.append(disk.db, draft)
    assert [own.entry for own in own_meals(disk, LUNCH, TOKEN)] == [unknown]


def test_own_meals_are_also_those_from_a_place_on_whatever_their_day(disk: Disk) -> None:
    disk.meal()
    second = disk.meal(day="2026-11-24")
    place = Place(1, second.seq).n
    assert [own.entry for own in own_meals(disk, MealsWanted("lunch", "2036-01-01", place))] == [
        second
    ]
    assert own_meals(disk, MealsWanted("lunch", "2036-01-01", place + 1)) == []


def test_a_meal_is_dated_if_its_time_was_confirmed_and_is_not_wrong(disk: Disk) -> None:
    disk.meal()
    writes.append(disk.db, replace(meal(), clock=ClockTrust.HELD), is_another=True)
    third = writes.append(disk.db, meal(), is_another=True)
    wrong = WrongTime(Place(1, third.seq), Place(1, third.seq), "b", "b")
    writes.keep_wrong_times(disk.db, "b", [wrong], None)
    assert [own.is_dated for own in own_meals(disk, LUNCH)] == [True, False, False]
    assert reads.wrong_times(disk.db) == [wrong]
    assert reads.counts(disk.db)["wrong_time"] == 1
    writes.keep_wrong_times(disk.db, "b", [], None)
    assert [own.is_dated for own in own_meals(disk, LUNCH)] == [True, False, True]


def test_a_window_begins_behind_the_last_entry_that_is_not_in_it(disk: Disk) -> None:
    assert reads.start_of_window(disk.db, "b", 0) == 0
    for boot, mono_ms in (("before", 900), ("b", 100), ("b", 200), ("b", 300)):
        writes.append(disk.db, replace(meal(), boot=boot, mono_ms=mono_ms), is_another=True)
    assert reads.start_of_window(disk.db, "b", 0) == Place(1, 2).n
    assert reads.start_of_window(disk.db, "b", 200) == Place(1, 3).n
    assert reads.start_of_window(disk.db, "b", 301) == Place(1, 5).n
    assert reads.start_of_window(disk.db, "later", 0) == Place(1, 5).n
    assert [time.mono_ms for time in reads.entry_times(disk.db, "b")] == [100, 200, 300]


def test_the_newest_confirmed_time_is_that_of_an_earlier_boot(disk: Disk) -> None:
    def add(boot: str, hour: int, clock: ClockTrust = ClockTrust.SYNCED) -> Entry:
        draft = replace(meal(at=f"2026-11-23T{hour}:00:00.000Z"), boot=boot, clock=clock)
        return writes.append(disk.db, draft, is_another=True)

    assert reads.newest_confirmed_at(disk.db, "b") is None
    earlier, _, _, _ = add("a", 12), add("a", 11), add("b", 13), add("a", 14, ClockTrust.HELD)
    assert reads.newest_confirmed_at(disk.db, "b") == earlier.at
    after = reads.times_after(disk.db, "2026-11-23T11:30:00.000Z", "b")
    assert after == [EntryTime(Place(1, 1), earlier.at, 1, "a")]
    wrong = WrongTime(Place(1, earlier.seq), Place(1, earlier.seq), "a", "b")
    writes.keep_wrong_times(disk.db, "b", [wrong], None)
    assert reads.newest_confirmed_at(disk.db, "b") == "2026-11-23T11:00:00.000Z"
    writes.note_contact(disk.db, "2026-11-23T12:30:00.000Z")
    assert reads.newest_confirmed_at(disk.db, "b") == "2026-11-23T12:30:00.000Z"


def test_a_boots_confirmed_time_is_kept(disk: Disk) -> None:
    zero = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    belief = Belief(TimeSource.TIME_SERVER, zero, "it moved", 7, is_witnessed=False)
    for boot in ("a", "b"):
        writes.keep_belief(disk.db, boot, belief)
    assert reads.belief(disk.db, "a") is None
    assert reads.belief(disk.db, "b") == belief


def test_a_wrong_time_is_looked_for_among_the_recent_entries(disk: Disk) -> None:
    old = replace(meal(at="2036-01-01T11:00:00.000Z"), boot="a")
    others = (replace(meal(f"b-{n}"), boot="a") for n in range(RECENT_ENTRIES - 1))
    writes.append_all(disk.db, [old, *others])
    assert len(reads.times_after(disk.db, FAR_FUTURE, "b")) == 1
    disk.meal("c-1")
    assert reads.times_after(disk.db, FAR_FUTURE, "b") == []


def test_an_entry_is_read_with_whether_it_was_undone(disk: Disk) -> None:
    first, second = disk.meal(), disk.meal(day="2026-11-24")
    writes.append(disk.db, storno(first))
    assert reads.entry(disk.db, EPOCH, 1) == OwnMeal(entry=first, is_undone=True, is_dated=True)
    assert reads.entry(disk.db, EPOCH, 2) == OwnMeal(entry=second, is_undone=False, is_dated=True)
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
    assert pruning.prune(disk.db, before=FAR_FUTURE, below=FAR) == 2
    assert reads.batch(disk.db, EPOCH, 3, 100)[0] == entries[1].hash
    assert reads.remembers_from(disk.db) == AT


def test_nothing_is_forgotten_before_the_first_pruning(disk: Disk) -> None:
    disk.meal()
    assert reads.remembers_from(disk.db) is None


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


def test_the_newest_closing_is_of_its_service_and_day(disk: Disk) -> None:
    assert reads.newest_closing(disk.db, "lunch", DAY) is None
    for service, day, trays in (("lunch", DAY, 20), ("lunch", DAY, 21), ("snack", DAY, 5)):
        now = Moment(at=AT, trust=ClockTrust.SYNCED, boot="b", mono_ms=1)
        of = ServiceNow(service=service, day=day, outside_hours=False)
        writes.append(disk.db, closing(moment=now, service=of, trays=trays, served=0))
    newest = reads.newest_closing(disk.db, "lunch", DAY)
    assert newest is not None and (newest.kind, newest.trays) == (Kind.CLOSING, 21)
    assert reads.newest_closing(disk.db, "lunch", "2026-11-24") is None
