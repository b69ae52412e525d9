"""Damage that comes while a file is open is found in slices."""

import pytest

from agent.domain.ledger import Place
from agent.errors import DamagedError, RecordError
from agent.store import lists, writes
from agent.store.inspection import SLICE_ROWS, Inspection
from tests.store.disk import AT, Disk, account, change_entries, storno

MEALS = SLICE_ROWS + 20


@pytest.fixture
def filled(disk: Disk) -> Disk:
    rows = [account(f"a-{n}", 100, n) for n in range(1, SLICE_ROWS + 20)]
    disk.changes(*rows, to=len(rows), acked=0, reset=True)
    undone = [disk.meal(f"a-{n}") for n in range(MEALS)][7]
    writes.append(disk.db, storno(undone))
    return disk


def a_pass(disk: Disk) -> int:
    """Inspect the whole file; return the number of steps."""
    inspection = Inspection(disk.db)
    for number in range(1, 100):
        if inspection.step(AT):
            return number
    raise AssertionError("the pass does not end")


def incident_kinds(disk: Disk) -> list[str]:
    return [incident.kind for incident in lists.incidents(disk.db)]


def test_a_pass_over_a_whole_file_takes_a_step_for_each_slice(filled: Disk) -> None:
    assert a_pass(filled) == 4  # two of records, two of entries
    assert incident_kinds(filled) == []


def test_a_record_that_changed_by_itself_is_named(filled: Disk) -> None:
    filled.db.sql.execute("DROP TRIGGER record_update_sum")
    filled.db.sql.execute("UPDATE record SET h = h + 1 WHERE id = 'a-300'")
    with pytest.raises(RecordError, match="account a-300 cannot be read: its checksum is wrong"):
        a_pass(filled)


def test_an_entry_that_does_not_match_its_hash_is_damage(filled: Disk) -> None:
    change = "UPDATE entry SET body = replace(body, '366', '367') WHERE n = ?"
    change_entries(filled.db, change, Place(1, SLICE_ROWS + 1).n)
    with pytest.raises(DamagedError, match=f"entry {SLICE_ROWS + 1} does not match its hash"):
        a_pass(filled)


@pytest.mark.parametrize("name", ["meal_once", "storno_once", "entry_with_cents"])
def test_an_index_that_misses_a_row_is_rebuilt(filled: Disk, name: str) -> None:
    """The index is made of the table without one row, as a flipped bit in a key leaves it."""
    sql = filled.db.sql
    (statement,) = filled.db.only_row("SELECT sql FROM sqlite_master WHERE name = ?", (name,))
    sql.execute("PRAGMA writable_schema = ON")
    seq = {"storno_once": MEALS + 1}.get(name, 100)
    sql.execute(f"DROP INDEX {name}")
    sql.execute(f"{statement} AND n <> {Place(1, seq).n}")
    sql.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (statement, name))
    (version,) = filled.db.only_row("PRAGMA schema_version")
    sql.execute(f"PRAGMA schema_version = {version + 1}")
    sql.execute("PRAGMA writable_schema = OFF")
    assert filled.db.rows("PRAGMA integrity_check") != [("ok",)]
    a_pass(filled)
    assert incident_kinds(filled) == ["damaged_index"]
    assert filled.db.rows("PRAGMA integrity_check") == [("ok",)]
