"""What a technician lists: entries with what became of them, and incidents by time."""

import pytest

from agent.domain.ledger import Place
from agent.errors import StoreError
from agent.store import lists, pruning, writes
from agent.store.rows import Incident, NoteRow
from tests.store.disk import Disk, change_entries, changeset, set_aside, storno


def test_an_entry_is_listed_with_what_became_of_it(disk: Disk) -> None:
    first = disk.meal()
    disk.meal("a-2")
    writes.append(disk.db, storno(first))
    disk.changes(to=1, acked=2, reset=True)
    rows = lists.entries(disk.db, newest=9)
    assert [(row.seq, row.acked, row.undone) for row in rows] == [
        (1, True, True),
        (2, True, False),
        (3, False, False),
    ]
    assert (rows[0].hash, rows[0].cents, rows[0].account) == (first.hash, -366, "a-1")


def test_only_the_newest_entries_are_listed(disk: Disk) -> None:
    disk.meal()
    disk.meal("a-2")
    assert [row.seq for row in lists.entries(disk.db, newest=1)] == [2]


def test_a_damaged_entry_stops_the_list_with_a_sentence(disk: Disk) -> None:
    disk.meal()
    change_entries(disk.db, "UPDATE entry SET body = '{' WHERE seq = 1")
    with pytest.raises(StoreError, match="not readable"):
        lists.entries(disk.db, newest=9)


def test_incidents_set_aside_messages_and_notes_are_one_list_by_time(disk: Disk) -> None:
    disk.meal()
    note = NoteRow(seq=1, status="flagged", reason="second_meal")
    disk.apply(changeset(to=1, acked=Place(1, 1), reset=True, notes=[note]))
    writes.set_aside(disk.db, set_aside(at="2026-11-23T12:00:00.000Z"))
    writes.add_incident(disk.db, Incident(at="2026-11-22T11:00:00.000Z", kind="digest", detail=""))
    rows = [(row.kind, row.detail) for row in lists.incidents(disk.db)]
    assert rows == [
        ("digest", ""),
        ("flagged", "entry 1: second_meal"),
        ("set aside", "t: not a message"),
    ]


def test_a_note_on_a_pruned_entry_is_listed_without_a_time(disk: Disk) -> None:
    """The central repeats its notes, so one may arrive after its entry was pruned."""
    disk.meal()
    disk.meal("a-2")
    disk.changes(to=1, acked=2, reset=True)
    assert pruning.prune(disk.db, before="2027-01-01T00:00:00.000Z", below=2**60) == 1
    note = NoteRow(seq=1, status="flagged", reason="second_meal")
    disk.apply(changeset(to=2, acked=Place(1, 2), notes=[note]))
    rows = [(row.at, row.kind, row.detail) for row in lists.incidents(disk.db)]
    assert rows == [("", "flagged", "entry 1: second_meal")]
