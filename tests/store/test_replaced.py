"""What a replaced ledger takes over, keeps and refuses: rows, headers, indexes, a full disk."""

import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.store import lists
from agent.store.database import Database
from agent.store.recovery import close_without_checkpoint
from agent.store.reserve import Reserve
from agent.store.standing import standing
from agent.store.viewing import view
from tests.conftest import CARD
from tests.parts.disks import fill, run_again_as_namespace_root, tmpfs_at
from tests.parts.wire import Wire
from tests.store.damaged_ledger import (
    PAGE_BYTES,
    beside,
    damage_entry,
    lunches,
    start_with_check,
)
from tests.store.test_log_damage import Box, flipped, killed_box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return killed_box(tmp_path)


def incident_kinds(wire: Wire) -> list[str]:
    return [incident.kind for incident in lists.incidents(wire.box.db)]


def without_trigger(wire: Wire, table: str, statement: str) -> None:
    """Change a row of a closed file so that its checksum is wrong, as a flipped bit does."""
    wire.box.db.checkpoint()
    wire.box.db.close()
    with closing(sqlite3.connect(wire.box.path, isolation_level=None)) as raw:
        raw.create_function("crc32", 1, zlib.crc32)
        (name, sql) = raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
            " AND name LIKE '%update%'",
            (table,),
        ).fetchone()
        raw.execute(f"DROP TRIGGER {name}")
        raw.execute(statement)
        raw.execute(sql)


@pytest.mark.parametrize(
    "statement", ["UPDATE terminal SET wiped = 1", "UPDATE terminal SET acked = 4294967294"]
)
def test_a_row_with_a_wrong_checksum_wipes_nobody_and_acknowledges_nothing(
    wire: Wire, statement: str
) -> None:
    lunches(wire, 3)
    without_trigger(wire, "terminal", statement)
    start_with_check(wire)
    assert not standing(wire.box.db).is_wiped
    (incident,) = lists.incidents(wire.box.db)
    assert incident.kind == "damaged_file" and "has acknowledged" not in incident.detail
    assert len(wire.box.entries()) == 6


def test_a_table_that_lost_a_row_of_its_index_is_damage_and_not_rebuilt(wire: Wire) -> None:
    """A lost write leaves the newest entry in the indexes alone."""
    lunches(wire, 5)
    wire.box.db.checkpoint()
    before = wire.box.path.read_bytes()
    lunches(wire, 1)
    wire.box.db.close()
    content = bytearray(wire.box.path.read_bytes())
    changed = [
        n
        for n in range(0, len(before), PAGE_BYTES)
        if content[n : n + PAGE_BYTES] != before[n : n + PAGE_BYTES]
        and b'"kind":"meal"' in before[n : n + PAGE_BYTES]
    ]
    for n in changed:
        content[n : n + PAGE_BYTES] = before[n : n + PAGE_BYTES]
    wire.box.path.write_bytes(content)
    assert changed
    start_with_check(wire)
    assert incident_kinds(wire) == ["damaged_file"]


@pytest.mark.parametrize("offset", [47, 71])
def test_a_flipped_bit_in_the_header_does_not_put_a_terminal_out_of_order(
    wire: Wire, offset: int
) -> None:
    """Of the schema's format, and the application's id."""
    lunches(wire, 3)
    wire.box.db.checkpoint()
    wire.box.db.close()
    content = bytearray(wire.box.path.read_bytes())
    content[offset] ^= 0x40
    wire.box.path.write_bytes(content)
    start_with_check(wire)
    assert incident_kinds(wire) == ["damaged_file"] and len(wire.box.entries()) == 6


@pytest.mark.parametrize(
    "change", ["ALTER TABLE terminal ADD COLUMN later TEXT", "CREATE TABLE later (n)"]
)
def test_a_file_of_a_newer_program_is_still_refused(wire: Wire, change: str) -> None:
    """Its newest tables are in the log only, as after a kill behind the migration."""
    lunches(wire, 1)
    wire.box.db.empty_log()
    wire.box.db.sql.execute(change)
    wire.box.db.sql.execute("PRAGMA user_version = 4")
    close_without_checkpoint(wire.box.db)
    with pytest.raises(StoreError, match="install the newer program"):
        wire.box.ledger_file().open(wire.clock.instant)
    assert not beside(wire.box.path, ".damaged-1").exists()
    with closing(sqlite3.connect(wire.box.path)) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (4,)
        assert newer.execute("SELECT count(*) FROM entry").fetchone() == (2,)


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("offset", range(60, 64))
def test_a_flipped_bit_in_the_schemas_number_is_damage(box: Box, offset: int, bit: int) -> None:
    """It made a file of a newer program of it, or of an older one."""
    box.put()
    with closing(Database(box.path)) as db:
        db.empty_log()
        content = box.path.read_bytes()
    box.put(db=flipped(content, offset, 1 << bit), wal=b"", shm=b"")
    with pytest.raises(StoreError, match="is damaged: its header says schema"), view(box.path):
        pass
    assert box.opened() == (box.wanted, ["damaged_file"])
    assert sorted(file.name for file in box.path.parent.iterdir() if "schema" in file.name) == []


@pytest.mark.parametrize(
    "cells", [lambda cells: 0, lambda cells: cells - 1, lambda cells: cells + 1]
)
def test_a_wrong_number_of_cells_in_any_page_costs_no_entry(
    box: Box, cells: Callable[[int], int]
) -> None:
    """SQLite believes it: without its cell, the terminal's row or an epoch is not there."""
    box.put()
    with closing(Database(box.path)) as db:
        db.empty_log()
        content = box.path.read_bytes()
    trees = [at for at in range(0, len(content), PAGE_BYTES) if content[at] in (2, 5, 10, 13)]
    assert len(trees) > 20
    for at in trees:
        damaged = bytearray(content)
        count = int.from_bytes(content[at + 3 : at + 5], "big")
        damaged[at + 3 : at + 5] = max(0, cells(count)).to_bytes(2, "big")
        if damaged == content:
            continue
        box.put(db=bytes(damaged), wal=b"", shm=b"")
        bodies, incidents = box.opened()
        assert bodies == box.wanted, f"page {at // PAGE_BYTES + 1}"
        assert incidents in (["damaged_file"], ["damaged_index"]), f"page {at // PAGE_BYTES + 1}"


def test_a_damaged_ledger_on_a_full_disk_is_replaced_from_the_reserve(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        run_again_as_namespace_root(request.node.nodeid)
        return
    folder = tmp_path / "disk"
    with tmpfs_at(folder):
        wire = Wire(folder)
        wire.central.add_account("a-1", cards=(CARD,))
        wire.connect()
        wire.box.tap(CARD)
        reserve = Reserve(wire.box.path)
        while reserve.make_more():
            pass
        damage_entry(wire, 1)
        wire.box.db.checkpoint()
        wire.box.db.close()
        fill(folder, 0)
        start_with_check(wire)
        assert incident_kinds(wire) == ["damaged_file"] and reserve.size_bytes == 0
        wire.close()


def test_a_wipe_keeps_another_terminals_ledger_while_its_meals_wait(wire: Wire) -> None:
    lunches(wire, 1)
    for name, booked in (("t-8", 0), ("t-9", standing(wire.box.db).end.seq)):
        other = wire.box.path.with_name(f"{wire.box.path.name}.of-borgofiorito-{name}")
        wire.box.db.checkpoint()
        other.write_bytes(wire.box.path.read_bytes())
        with closing(sqlite3.connect(other, isolation_level=None)) as raw:
            raw.create_function("crc32", 1, zlib.crc32)
            raw.execute("UPDATE terminal SET acked = (1 << 33) | ?", (booked,))
    wire.box.db.compact()
    kept = sorted(path.name for path in wire.box.path.parent.glob("*.of-*") if path.suffix)
    assert f"{wire.box.path.name}.of-borgofiorito-t-8" in kept
    assert f"{wire.box.path.name}.of-borgofiorito-t-9" not in kept
