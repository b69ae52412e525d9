"""Every write of the terminal's database: its effect, its limits, and that it is all or nothing."""

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.domain.ledger import ChainEnd, Place
from agent.errors import DamagedError, StoreError
from agent.store import lists, reads, writes
from agent.store.damage import find_damage
from agent.store.database import Database
from agent.store.rows import Incident, NoteRow, RecordRow
from agent.store.standing import standing
from agent.store.statements import (
    INCIDENT_ROWS_MAX,
    SET_ASIDE_PAYLOAD_BYTES_MAX,
    SET_ASIDE_ROWS_MAX,
    SET_ASIDE_TOPIC_LENGTH_MAX,
)
from agent.store.verify import verify
from tests.store.disk import (
    AT,
    EPOCH,
    EPOCH_BITS,
    FAR_FUTURE,
    NEW_EPOCH,
    TERMINAL,
    TOWN,
    Disk,
    account,
    card,
    changeset,
    meal,
    policy,
    set_aside,
)

WIPED = Incident(at=AT, kind="wipe", detail="by order o-3")
TOKEN = "5eed" * 8


def accounts(disk: Disk) -> list[str]:
    return [account_id for account_id, _ in reads.balances(disk.db)]


# Initialising and appending


def test_a_terminals_file_is_initialised_once(disk: Disk) -> None:
    writes.initialise(disk.db, town="other", terminal="t-9", epoch="1-ffffffffffffffff")
    own = standing(disk.db)
    assert (own.town, own.terminal, own.epoch) == (TOWN, TERMINAL, EPOCH)


def test_an_entry_follows_the_one_before(disk: Disk) -> None:
    first, second = disk.meal(), disk.meal("a-2")
    assert (first.seq, second.seq) == (1, 2) and first.hash != second.hash
    assert list(verify(disk.db)) == []


def test_several_entries_are_appended_all_or_none(disk: Disk) -> None:
    with pytest.raises(StoreError, match="UNIQUE"):
        writes.append_all(disk.db, [meal("a-1"), meal("a-2"), meal("a-1")])
    assert reads.entries(disk.db, newest=9) == []
    appended = writes.append_all(disk.db, [meal("a-1"), meal("a-2")])
    assert [entry.seq for entry in appended] == [1, 2]
    assert list(verify(disk.db)) == []


# Records of the central


# C50
def test_a_record_older_than_the_stored_one_changes_nothing(disk: Disk) -> None:
    disk.changes(account("a-1", 2_000, 5), to=5, acked=0, reset=True)
    assert disk.changes(account("a-1", 1, 4), account("a-2", 7, 6), to=6, acked=0) == 1
    assert reads.balance_cents(disk.db, "a-1") == 2_000


# C50 C52
def test_a_resynchronisation_removes_unnamed_records_only_when_it_is_complete(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 1), account("a-2", 2, 2), to=2, acked=0, reset=True)
    writes.begin_resync(disk.db, "o-1", None)
    assert (standing(disk.db).position, standing(disk.db).order_done) == (0, "o-1")
    first = changeset([account("a-1", 9, 1)], to=1, reset=True)
    disk.apply(dataclasses.replace(first, more=True))
    # Repaired, though its position is the same; the other record still serves.
    assert (reads.balance_cents(disk.db, "a-1"), reads.balance_cents(disk.db, "a-2")) == (9, 2)
    disk.changes(account("a-3", 3, 3), to=3, acked=0)
    assert accounts(disk) == ["a-1", "a-3"]
    assert not standing(disk.db).resyncing


# C52
def test_a_resynchronisation_ends_where_the_central_stood_when_it_began(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 1), account("a-2", 2, 2), to=2, acked=0, reset=True)
    writes.begin_resync(disk.db, None, None)
    disk.apply(dataclasses.replace(changeset([account("a-1", 1, 1)], to=1, reset=True), until=5))
    assert standing(disk.db).resyncing and accounts(disk) == ["a-1", "a-2"]
    disk.changes(to=5, acked=0)
    assert not standing(disk.db).resyncing and accounts(disk) == ["a-1"]


def test_a_resynchronisation_continues_after_a_restart(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 1), account("a-2", 2, 2), to=2, acked=0, reset=True)
    writes.begin_resync(disk.db, None, None)
    disk.apply(dataclasses.replace(changeset([account("a-1", 1, 1)], to=1, reset=True), more=True))
    disk.db.close()
    disk.db = Database(disk.db.path)
    disk.changes(to=3, acked=0)
    assert accounts(disk) == ["a-1"]


# C50
def test_a_tombstone_removes_only_an_older_record(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 5), to=5, acked=0, reset=True)
    disk.changes(RecordRow(kind="account", id="a-1", p=4, body=None), to=6, acked=0)
    assert reads.balance_cents(disk.db, "a-1") == 1
    disk.changes(RecordRow(kind="account", id="a-1", p=7, body=None), to=7, acked=0)
    assert reads.balance_cents(disk.db, "a-1") is None


# C51
def test_a_note_is_kept_once(disk: Disk) -> None:
    disk.meal()
    note = NoteRow(seq=1, status="flagged", reason="second_meal")
    for position in (1, 2):
        disk.apply(changeset(to=position, acked=Place(1, 1), reset=True, notes=[note]))
    assert reads.counts(disk.db)["note"] == 1


def test_a_record_that_cannot_be_read_is_dropped_and_all_are_requested(disk: Disk) -> None:
    disk.changes(account("a-1", 1, 1), to=1, acked=0, reset=True)
    incident = Incident(at=AT, kind="record", detail="account a-1")
    writes.drop_record(disk.db, "account", "a-1", incident)
    assert accounts(disk) == [] and standing(disk.db).resyncing
    assert standing(disk.db).position == 0
    with pytest.raises(DamagedError, match="can be neither read nor deleted"):
        writes.drop_record(disk.db, "account", "a-1", incident)
    assert reads.counts(disk.db)["incident"] == 1


# Acknowledgements, generations and epochs


def test_the_acknowledged_place_steps_back_only_with_another_generation(disk: Disk) -> None:
    disk.meal()
    disk.changes(to=1, acked=1, reset=True)
    disk.changes(to=2, acked=0)
    assert standing(disk.db).acked.seq == 1
    disk.apply(dataclasses.replace(changeset(to=1, reset=True), generation="beef" * 8))
    assert standing(disk.db).acked.seq == 0


def test_a_contact_is_noted_and_changes_nothing_else(disk: Disk) -> None:
    disk.changes(to=4, acked=0, reset=True)
    before = standing(disk.db)
    writes.note_contact(disk.db, FAR_FUTURE)
    assert standing(disk.db) == replace(before, last_contact_at=FAR_FUTURE)


def test_an_epoch_begins_at_one_and_balances_stay(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 1_634, 5), to=5, acked=1, reset=True)
    assert writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH) == f"2-{EPOCH_BITS}"
    assert disk.meal(day="2026-11-24").seq == 1
    assert reads.balance_cents(disk.db, "a-1") == 1_634 - 366
    assert standing(disk.db).order_done == "o-2"
    assert list(verify(disk.db)) == []


def test_a_generation_is_adopted_by_sending_every_kept_epoch_again(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 0, 1), to=1, acked=1, reset=True)
    writes.begin_epoch(disk.db, EPOCH_BITS, "o-2", NEW_EPOCH)
    writes.adopt_generation(disk.db, "beef" * 8, AT, None)
    own = standing(disk.db)
    assert (own.epoch, own.acked.seq, own.position, own.resyncing) == (EPOCH, 0, 0, True)
    assert own.generation == "beef" * 8


# What is set aside, and incidents


def test_a_set_aside_message_is_cut_to_its_limits_with_its_length_kept(disk: Disk) -> None:
    payload = b"x" * (SET_ASIDE_PAYLOAD_BYTES_MAX + 1)
    topic = "t" * (SET_ASIDE_TOPIC_LENGTH_MAX + 1)
    writes.set_aside(disk.db, set_aside(payload, topic))
    lengths = disk.db.only_row("SELECT bytes, length(payload), length(topic) FROM set_aside")
    assert lengths == (len(payload), SET_ASIDE_PAYLOAD_BYTES_MAX, SET_ASIDE_TOPIC_LENGTH_MAX)


def test_of_set_aside_messages_the_newest_are_kept(disk: Disk) -> None:
    for n in range(SET_ASIDE_ROWS_MAX + 3):
        writes.set_aside(disk.db, set_aside(topic=str(n)))
    assert reads.counts(disk.db)["set_aside"] == SET_ASIDE_ROWS_MAX
    assert disk.db.only_row("SELECT topic FROM set_aside ORDER BY n LIMIT 1") == ("3",)


def test_of_incidents_the_newest_are_kept(disk: Disk) -> None:
    for n in range(INCIDENT_ROWS_MAX + 3):
        writes.add_incident(disk.db, Incident(at=AT, kind="digest", detail=str(n)))
    assert reads.counts(disk.db)["incident"] == INCIDENT_ROWS_MAX
    assert disk.db.only_row("SELECT detail FROM incident ORDER BY n LIMIT 1") == ("3",)


# Wiping a stolen or retired terminal


def with_childrens_data(disk: Disk) -> list[bytes]:
    """Store records, a note and a message; return a secret of each."""
    disk.meal()
    note = NoteRow(seq=1, status="flagged", reason="SECRET-NOTE")
    rows = [account("a-1", 5, 1, "SECRET-LABEL"), card(TOKEN, "a-1", 2), policy(3)]
    disk.apply(changeset(rows, to=3, acked=Place(1, 1), reset=True, notes=[note]))
    unread = RecordRow(
        kind="account", id="SECRET-UNREAD", p=4, body='{"x":"SECRET-UNREAD"}', is_readable=False
    )
    disk.apply(changeset([unread], to=4, acked=Place(1, 1)))
    writes.set_aside(disk.db, set_aside(b"SECRET-MESSAGE", "SECRET-TOPIC"))
    policy_text = b'"k":"policy"'
    return [b"SECRET-", TOKEN.encode(), policy_text, b'"k":"account"', b'"k":"card"', b"a-1"]


def secrets_left(folder: Path, secrets: list[bytes]) -> list[str]:
    """Return which file of a folder contains which secret, byte for byte."""
    return [
        f"{file.name}: {secret!r}"
        for file in sorted(folder.iterdir())
        for secret in secrets
        if secret in file.read_bytes()
    ]


# C84
def test_after_a_wipe_no_byte_of_children_is_left_on_the_disk(disk: Disk) -> None:
    """Not in free pages, in the write-ahead log, or in copies from before migrations."""
    folder = disk.db.path.parent
    secrets = with_childrens_data(disk)
    for version in (1, 2):
        copy_to = str(folder / f"{disk.db.path.name}.schema-{version}")
        disk.db.sql.execute("VACUUM INTO ?", (copy_to,))
    assert {line.split(":")[0] for line in secrets_left(folder, secrets)} == {
        "t.db-wal",
        "t.db.schema-1",
        "t.db.schema-2",
    }
    disk.db.checkpoint()
    assert any(line.startswith("t.db:") for line in secrets_left(folder, secrets))
    writes.wipe(disk.db, "o-3", WIPED)
    assert secrets_left(folder, secrets) == []
    assert not list(folder.glob("*.schema-*"))


def test_a_wipe_keeps_the_end_of_the_chain_and_records_itself(disk: Disk) -> None:
    with_childrens_data(disk)
    end = standing(disk.db).end
    writes.add_incident(disk.db, Incident(at=AT, kind="record", detail="account a-1"))
    writes.wipe(disk.db, "o-3", WIPED)
    own = standing(disk.db)
    assert (own.end, own.acked, own.oldest, own.order_done) == (end, end, 2, "o-3")
    assert own.is_wiped and own.pending == 0
    assert lists.incidents(disk.db) == [WIPED]
    assert list(verify(disk.db)) == [] and find_damage(disk.db) is None
    assert disk.meal().seq == 2
    assert list(verify(disk.db)) == []


# C86
def test_a_wiped_terminal_gets_work_again_only_by_an_order(disk: Disk) -> None:
    with_childrens_data(disk)
    writes.wipe(disk.db, "o-3", WIPED)
    writes.begin_resync(disk.db, None, None)
    assert standing(disk.db).is_wiped
    writes.begin_resync(disk.db, "o-4", None)
    assert not standing(disk.db).is_wiped and standing(disk.db).position == 0


def test_a_wipe_is_not_done_while_another_program_reads(disk: Disk) -> None:
    with_childrens_data(disk)
    with closing(sqlite3.connect(disk.db.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM record").fetchall()
        with pytest.raises(StoreError, match="another program is reading"):
            writes.wipe(disk.db, "o-3", WIPED)
    assert standing(disk.db).order_done is None
    writes.wipe(disk.db, "o-3", WIPED)
    assert standing(disk.db).order_done == "o-3"


def test_an_entry_in_the_log_is_on_the_disk_only_after_a_checkpoint_of_all_of_it(
    disk: Disk, tmp_path: Path
) -> None:
    """After a failed sync the log may be in memory alone: what is in the file itself counts."""
    entry = disk.meal()
    end = ChainEnd(epoch=EPOCH, seq=entry.seq, hash=entry.hash)
    with closing(sqlite3.connect(disk.db.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entry").fetchall()
        disk.meal("a-2")
        with pytest.raises(StoreError, match="not yet proved to be on the disk"):
            writes.is_on_disk(disk.db, end)
    assert writes.is_on_disk(disk.db, end)
    assert not writes.is_on_disk(disk.db, replace(end, hash="0" * 64))
    without_log = tmp_path / "without-log.db"
    without_log.write_bytes(disk.db.path.read_bytes())
    with closing(sqlite3.connect(without_log)) as copy:
        assert copy.execute("SELECT count(*) FROM entry").fetchone() == (2,)
