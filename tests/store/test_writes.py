"""The list of things that can happen to the database, and what the schema itself forbids."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.domain.clock import ClockTrust
from agent.domain.digest import Tally
from agent.domain.ledger import ChainEnd, Entry, How, Kind, Place, Reversed
from agent.errors import StoreError
from agent.store import reads, writes
from agent.store.database import Database
from agent.store.rows import Changeset, Incident, KnownPlace, RecordRow, SetAside
from agent.store.standing import find_place, standing
from agent.store.verify import verify

EPOCH = "1-0123456789abcdef"
GENERATION = "c0ffee" * 4
AT = "2026-11-23T11:02:05.331Z"
BEGUN = Incident(at=AT, kind="new_epoch", detail="by order o-2")


@dataclass
class Disk:
    db: Database

    def meal(
        self, account: str = "a-1", cents: int = -366, day: str = "2026-11-23", at: str = AT
    ) -> Entry:
        return writes.append(self.db, draft(account, cents, day, at))

    def changes(
        self,
        *rows: RecordRow,
        to: int,
        acked: int,
        reset: bool = False,
        more: bool = False,
        generation: str = GENERATION,
    ) -> int:
        return writes.apply_changes(
            self.db,
            Changeset(
                generation=generation,
                to=to,
                acked=Place(1, acked),
                rows=list(rows),
                notes=[],
                reset=reset,
                more=more,
                until=None,
                last_contact_at=AT,
                unreadable=[],
                incident=None,
            ),
        )


def draft(account: str = "a-1", cents: int = -366, day: str = "2026-11-23", at: str = AT) -> Entry:
    return Entry(
        kind=Kind.MEAL, cents=cents, at=at, clock=ClockTrust.SYNCED, boot="b", mono_ms=1, how=How.CARD, account=account,
        service="lunch", day=day,
    )  # fmt: skip


def account(name: str, balance: int, p: int) -> RecordRow:
    return RecordRow(
        kind="account",
        id=name,
        p=p,
        body=f'{{"balance":{balance},"id":"{name}","k":"account","p":{p}}}',
    )


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    db = Database(tmp_path / "t.db")
    writes.initialise(db, town="borgo", terminal="t-1", epoch=EPOCH)
    return Disk(db)


def test_a_balance_is_the_centrals_and_own_entries_after_h(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 2_000, 5), to=5, acked=0, reset=True)
    assert reads.balance_cents(disk.db, "a-1") == 2_000 - 366
    disk.changes(account("a-1", 1_634, 6), to=6, acked=1)
    assert reads.balance_cents(disk.db, "a-1") == 1_634
    disk.meal(day="2026-11-24")
    assert reads.balance_cents(disk.db, "a-1") == 1_634 - 366


def test_a_record_older_than_the_stored_one_changes_nothing(disk: Disk) -> None:
    disk.changes(account("a-1", 2_000, 5), to=5, acked=0, reset=True)
    disk.changes(account("a-1", 1, 4), account("a-2", 7, 6), to=6, acked=0)
    assert reads.balance_cents(disk.db, "a-1") == 2_000


def test_a_meal_is_unique_per_account_service_day_and_helping(disk: Disk) -> None:
    disk.meal()
    with pytest.raises(StoreError, match="UNIQUE"):
        disk.meal()
    assert standing(disk.db).end.seq == 1


def test_a_storno_is_unique_per_meal_and_frees_the_meal(disk: Disk) -> None:
    disk.meal()
    storno = replace(
        draft(cents=366), kind=Kind.STORNO, reverses=Reversed(epoch=EPOCH, seq=1, hash="0" * 64)
    )
    writes.append(disk.db, storno)
    with pytest.raises(StoreError, match="UNIQUE"):
        writes.append(disk.db, storno)
    assert disk.meal().seq == 3
    meal, count = reads.own_meals(disk.db, "a-1", None, "lunch", "2026-11-23")
    assert meal is not None and (meal.seq, count) == (3, 2)


@pytest.mark.parametrize(
    "sql",
    ["UPDATE entry SET cents = 0", "UPDATE entry SET hash = zeroblob(32)", "DELETE FROM entry"],
)
def test_triggers_guard_the_ledger(disk: Disk, sql: str) -> None:
    disk.meal()
    with pytest.raises(sqlite3.IntegrityError, match="an entry is"):
        disk.db.sql.execute(sql)


def test_a_positive_meal_is_refused_by_the_schema(disk: Disk) -> None:
    with pytest.raises(StoreError, match="CHECK"):
        disk.meal(cents=1)


def test_a_resynchronisation_removes_what_it_did_not_name_with_its_last_message_only(
    disk: Disk,
) -> None:
    disk.changes(account("a-1", 1, 1), account("a-2", 2, 2), to=2, acked=0, reset=True)
    writes.begin_resync(disk.db, "o-1", None)
    assert standing(disk.db).position == 0
    disk.changes(account("a-1", 9, 1), to=1, acked=0, reset=True, more=True)
    assert reads.balance_cents(disk.db, "a-1") == 9  # healed though its position is the same
    assert reads.balance_cents(disk.db, "a-2") == 2
    disk.changes(account("a-3", 3, 3), to=3, acked=0)
    assert [account for account, _ in reads.balances(disk.db)] == ["a-1", "a-3"]
    assert not standing(disk.db).resyncing


def test_a_resynchronisation_survives_a_restart_in_its_middle(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 1), account("a-2", 2, 2), to=2, acked=0, reset=True)
    writes.begin_resync(disk.db, None, None)
    disk.changes(account("a-1", 1, 1), to=1, acked=0, reset=True, more=True)
    disk.db.close()
    disk.db = Database(disk.db.path)
    disk.changes(to=3, acked=0)
    assert [account for account, _ in reads.balances(disk.db)] == ["a-1"]


def test_a_tombstone_removes_only_what_is_older(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 5), to=5, acked=0, reset=True)
    disk.changes(RecordRow(kind="account", id="a-1", p=4, body=None), to=6, acked=0)
    assert reads.balance_cents(disk.db, "a-1") == 1
    disk.changes(RecordRow(kind="account", id="a-1", p=7, body=None), to=7, acked=0)
    assert reads.balance_cents(disk.db, "a-1") is None


def test_the_mark_steps_back_only_with_another_generation(disk: Disk) -> None:
    disk.meal()
    disk.changes(to=1, acked=1, reset=True)
    disk.changes(to=2, acked=0)
    assert standing(disk.db).acked.seq == 1
    disk.changes(to=1, acked=0, reset=True, generation="beef" * 8)
    assert standing(disk.db).acked.seq == 0


def test_an_epoch_begins_at_one_and_balances_stay(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 1_634, 5), to=5, acked=1, reset=True)
    assert writes.begin_epoch(disk.db, "fedcba9876543210", "o-2", BEGUN) == "2-fedcba9876543210"
    assert disk.meal(day="2026-11-24").seq == 1
    assert reads.balance_cents(disk.db, "a-1") == 1_634 - 366
    assert list(verify(disk.db)) == []


def test_pruning_forgets_a_prefix_that_is_booked_old_and_inside_its_balance(disk: Disk) -> None:
    for day in range(1, 6):
        disk.meal(day=f"2026-01-0{day}", at=f"2026-01-0{day}T11:00:00.000Z")
    disk.changes(account("a-1", 0, 1), to=1, acked=4, reset=True)
    assert writes.prune(disk.db, before="2026-01-03T00:00:00.000Z") == 2
    here = standing(disk.db)
    assert (here.oldest, here.end.seq, here.acked.seq) == (3, 5, 4)
    assert (
        writes.prune(disk.db, before="2027-01-01T00:00:00.000Z") == 1
    )  # 4 is the newest booked one, 5 is not booked
    assert standing(disk.db).oldest == 4
    assert list(verify(disk.db)) == []
    previous, bodies = reads.batch(disk.db, EPOCH, 5, 100)
    pruned = find_place(disk.db, ChainEnd(epoch=EPOCH, seq=4, hash=previous))
    assert pruned == KnownPlace(place=Place(1, 4), hash=previous) and len(bodies) == 1


def test_pruning_keeps_the_latest_entry_when_a_new_epoch_has_begun(disk: Disk) -> None:
    """The clock's floor stands on it, and after a restart nothing else says so."""
    disk.meal()
    last = disk.meal(day="2026-11-24", at="2026-11-24T11:00:00.000Z")
    disk.changes(account("a-1", 0, 1), to=1, acked=2, reset=True)
    writes.begin_epoch(disk.db, "fedcba9876543210", "o-2", BEGUN)
    assert writes.prune(disk.db, before="2027-01-01T00:00:00.000Z") == 1
    assert reads.latest_entry(disk.db) == last
    disk.meal(day="2026-11-25", at="2026-11-25T11:00:00.000Z")
    assert (
        writes.prune(disk.db, before="2027-01-01T00:00:00.000Z") == 0
    )  # the newest booked one, until one of the new epoch is
    writes.acknowledge(disk.db, Place(2, 1), [], AT)
    disk.db.sql.execute("UPDATE record SET h = (SELECT acked FROM terminal)")
    assert writes.prune(disk.db, before="2027-01-01T00:00:00.000Z") == 1
    assert list(verify(disk.db)) == []


def test_pruning_waits_for_an_accounts_h(disk: Disk) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    disk.meal()
    disk.meal(day="2026-11-24")
    disk.changes(to=2, acked=2)  # booked, and the account's own record has not come yet
    assert writes.prune(disk.db, before="2027-01-01T00:00:00.000Z") == 0


def test_what_is_set_aside_is_kept_cut_and_bounded(disk: Disk) -> None:
    for n in range(1_003):
        payload = b"x" * (100_000 if n == 1_002 else 1)
        message = SetAside(at=AT, topic="t" * 999, payload=payload, reason="why")
        writes.set_aside(disk.db, message)
    row = disk.db.sql.execute(
        "SELECT bytes, length(payload), length(topic) FROM set_aside ORDER BY n DESC"
    ).fetchone()
    assert row == (100_000, writes.SET_ASIDE_PAYLOAD_BYTES_MAX, 256)
    assert reads.counts(disk.db)["set_aside"] == writes.SET_ASIDE_ROWS_MAX


def test_wiping_forgets_children_and_keeps_the_ledger(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 0, 1), to=1, acked=1, reset=True)
    writes.wipe(disk.db, "o-3", Incident(at=AT, kind="wipe", detail="by order o-3"))
    assert list(reads.balances(disk.db)) == []
    assert (standing(disk.db).end.seq, standing(disk.db).order_done) == (1, "o-3")
    assert [incident.kind for incident in reads.incidents(disk.db)] == ["wipe"]


def test_the_digest_in_steps_is_the_digest_at_once(disk: Disk) -> None:
    rows = [account(f"a-{n}", n, n) for n in range(1, 1_202)]
    disk.changes(*rows, to=1_202, acked=0, reset=True)
    after: tuple[str, str] | None = ("", "")
    tally, steps = Tally(), 0
    while after is not None:
        tally, after = reads.digest_step(disk.db, tally, after)
        steps += 1
    assert (tally.accounts, tally.cents, steps) == (1_201, sum(range(1, 1_202)), 3)


def test_verify_goes_on_behind_what_cannot_be_read(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 0, 1), account("a-2", 0, 2), to=2, acked=0, reset=True)
    disk.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    disk.db.sql.execute("UPDATE record SET body = '{' WHERE id = 'a-1'")
    disk.db.sql.execute("DROP TRIGGER entry_never_changes")
    disk.db.sql.execute("UPDATE entry SET body = '{'")
    found = list(verify(disk.db))
    assert [
        any(words in one for one in found)
        for words in ("entry 1 cannot be read", "account a-1 cannot be read")
    ] == [True, True]
    assert not any("a-2" in one for one in found)


def test_verify_finds_a_flipped_byte(disk: Disk) -> None:
    disk.meal()
    disk.meal("a-2")
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    assert list(verify(disk.db)) == []
    disk.db.sql.execute("DROP TRIGGER entry_never_changes")
    disk.db.sql.execute("UPDATE entry SET body = replace(body, '-366', '-266') WHERE seq = 1")
    found = list(verify(disk.db))
    assert any("entry 1 does not match its hash" in sentence for sentence in found)
    assert any("columns of entry 1" in sentence for sentence in found)
