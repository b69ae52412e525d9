"""Records that cannot be read stand beside what is known; later notes replace earlier ones."""

import dataclasses

from agent.domain.digest import Tally
from agent.domain.ledger import ChainEnd, Place
from agent.store import lists, reads, writes
from agent.store.rows import Incident, LaterNote, NoteRow, RecordRow
from tests.store.disk import AT, EPOCH, Disk, account, changeset

LATER = '{"balance":"12.40","id":"a-1","k":"account","p":5}'


def unread(name: str, p: int, body: str = LATER) -> RecordRow:
    return RecordRow(kind="account", id=name, p=p, body=body, is_readable=False)


def digest(disk: Disk) -> Tally:
    total, after = reads.digest_step(disk.db, Tally(), ("", ""))
    assert after is None
    return total


# C91
def test_a_record_that_cannot_be_read_keeps_the_last_that_could_be(disk: Disk) -> None:
    disk.changes(account("a-1", 700, 3), account("a-2", 5, 4), to=4, acked=0, reset=True)
    disk.changes(unread("a-1", 5), to=5, acked=0)
    assert reads.balance_cents(disk.db, "a-1") == 700
    # The digest covers what the central has.
    total = digest(disk)
    assert (total.accounts, total.cents) == (2, 5)
    assert total.unread_balances == 1
    disk.changes(account("a-1", 900, 6), to=6, acked=0)
    assert reads.balance_cents(disk.db, "a-1") == 900
    assert digest(disk).unread_balances == 0


def test_a_tombstone_removes_a_record_that_cannot_be_read(disk: Disk) -> None:
    disk.changes(account("a-1", 700, 3), unread("a-1", 5), to=5, acked=0, reset=True)
    disk.changes(RecordRow(kind="account", id="a-1", p=7, body=None), to=7, acked=0)
    assert reads.balance_cents(disk.db, "a-1") is None and digest(disk) == Tally()


# C92
def test_a_snapshot_keeps_a_record_whose_successor_cannot_be_read(disk: Disk) -> None:
    disk.changes(account("a-1", 700, 3), account("a-2", 5, 4), to=4, acked=0, reset=True)
    writes.begin_resync(disk.db, None, None)
    disk.changes(unread("a-1", 5), to=5, acked=0, reset=True)
    assert reads.balance_cents(disk.db, "a-1") == 700
    assert reads.balance_cents(disk.db, "a-2") is None
    writes.begin_resync(disk.db, None, None)
    disk.changes(to=6, acked=0, reset=True)
    assert digest(disk) == Tally()


# C93
def test_a_snapshot_with_a_record_of_no_id_removes_none_of_its_kind(disk: Disk) -> None:
    card = RecordRow(kind="card", id="0" * 32, p=2, body='{"k":"card"}')
    disk.changes(account("a-1", 700, 3), card, to=3, acked=0, reset=True)
    for kind, kept in (("account", 1), ("card", 0)):
        writes.begin_resync(disk.db, None, None)
        nameless = dataclasses.replace(changeset(to=4, reset=True), unidentified=[kind])
        disk.apply(nameless)
        assert len(list(reads.balances(disk.db))) == kept
    disk.changes(account("a-1", 700, 5), to=5, acked=0)
    writes.begin_resync(disk.db, None, None)
    disk.apply(dataclasses.replace(changeset(to=6, reset=True), unidentified=[None]))
    assert reads.balance_cents(disk.db, "a-1") == 700


# C95
def test_a_later_note_takes_the_place_of_the_one_before(disk: Disk) -> None:
    first = disk.meal()
    note = NoteRow(seq=1, status="set_aside", reason="unknown_card")
    disk.apply(changeset(to=1, acked=Place(1, 1), reset=True, notes=[note]))
    end = ChainEnd(epoch=EPOCH, seq=1, hash=first.hash)

    def take(note: LaterNote) -> list[str]:
        changes = changeset(to=2, acked=Place(1, 1))
        disk.apply(dataclasses.replace(changes, notes_after=1, later_notes=[note]))
        return [f"{row.kind}: {row.detail}" for row in lists.incidents(disk.db)]

    flagged = LaterNote(entry=end, status="flagged", reason="no_price")
    withdrawn = LaterNote(entry=end, status="applied", reason="booked_later")
    of_another_disk = dataclasses.replace(
        withdrawn, entry=ChainEnd(epoch=EPOCH, seq=1, hash="0" * 64)
    )
    assert take(of_another_disk) == ["set_aside: entry 1: unknown_card"]
    assert take(flagged) == take(flagged) == ["flagged: entry 1: no_price"]
    assert take(withdrawn) == take(withdrawn) == []


def test_an_incident_that_is_kept_is_not_repeated(disk: Disk) -> None:
    incident = Incident(at=AT, kind="unknown_value", detail="account: category")
    for position in (1, 2):
        changes = changeset(to=position, reset=True)
        disk.apply(dataclasses.replace(changes, unknown_values=[incident]))
    assert lists.incidents(disk.db) == [incident]
