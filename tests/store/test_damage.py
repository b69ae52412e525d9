"""The check at the start finds a damaged page, a flipped bit, and a value that was changed."""

import random
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import DamagedError
from agent.store import reads
from agent.store.damage import find_damage
from agent.store.database import Database
from tests.parts.wire import Wire
from tests.store.damaged_ledger import CHANGED_VALUES, PAGE_BYTES, lunches
from tests.store.disk import Disk, account, change_entries

FLIPS = 150
SEED = 5


def test_a_healthy_ledger_has_no_damage(wire: Wire) -> None:
    lunches(wire, 3)
    wire.settle()
    assert find_damage(wire.box.db) is None


@pytest.mark.parametrize(("statement", "sentence"), CHANGED_VALUES.items())
def test_a_changed_value_is_reported(wire: Wire, statement: str, sentence: str) -> None:
    lunches(wire, 2)
    wire.settle()
    change_entries(wire.box.db, statement)
    assert sentence in str(find_damage(wire.box.db))


def test_a_flipped_bit_anywhere_in_an_entry_is_reported(disk: Disk, tmp_path: Path) -> None:
    for n in range(20):
        disk.meal(f"a-{n}")
    disk.db.checkpoint()
    bodies = [body.encode() for (body,) in disk.db.rows("SELECT body FROM entry")]
    healthy = disk.db.path.read_bytes()
    draw, copy = random.Random(SEED), tmp_path / "copy.db"
    for _ in range(FLIPS):
        body = draw.choice(bodies)
        offset, bit = draw.randrange(len(body)), 1 << draw.randrange(8)
        copy.write_bytes(flipped(healthy, body, offset, bit))
        with closing(Database(copy)) as db:
            assert find_damage(db) is not None, f"bit {bit} of byte {offset} of {body!r}"


def flipped(content: bytes, body: bytes, offset: int, bit: int) -> bytes:
    """Flip a bit of a body everywhere: in the ledger, and in older states of its page."""
    changed, start = bytearray(content), content.find(body)
    while start >= 0:
        changed[start + offset] ^= bit
        start = content.find(body, start + 1)
    return bytes(changed)


def test_a_page_of_zeros_is_reported(wire: Wire, tmp_path: Path) -> None:
    lunches(wire, 10)
    wire.box.db.checkpoint()
    content = wire.box.path.read_bytes()
    page = content.find(b'"seq":3,') // PAGE_BYTES
    before, after = content[: page * PAGE_BYTES], content[(page + 1) * PAGE_BYTES :]
    (tmp_path / "copy.db").write_bytes(before + bytes(PAGE_BYTES) + after)
    with closing(Database(tmp_path / "copy.db")) as db:
        assert str(tmp_path / "copy.db") in str(find_damage(db))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [(b"{", "entry 1 does not match its hash"), (b"\xff", "Could not decode")],
)
def test_an_entry_that_cannot_be_decoded_makes_the_file_damaged(
    disk: Disk, body: bytes, sentence: str
) -> None:
    disk.meal()
    change_entries(disk.db, "UPDATE entry SET body = CAST(? AS TEXT) WHERE seq = 1", body)
    with pytest.raises(DamagedError):
        reads.oldest_pending_at(disk.db)
    assert sentence in str(find_damage(disk.db))


def test_a_record_id_that_is_not_text_makes_the_file_damaged(disk: Disk) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    disk.db.sql.execute("UPDATE record SET id = CAST(x'61ff' AS TEXT)")
    assert "Could not decode" in str(find_damage(disk.db))


def test_a_record_that_cannot_be_decoded_does_not_make_the_file_damaged(disk: Disk) -> None:
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    disk.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    disk.db.sql.execute("UPDATE record SET body = '[]'")
    assert find_damage(disk.db) is None


def test_what_a_technician_adds_is_no_damage_but_a_strange_trigger_is(wire: Wire) -> None:
    for statement in (
        "ANALYZE",
        "CREATE INDEX mine ON entry (day)",
        "CREATE TABLE notes_of_mine (x)",
        "CREATE VIEW seen AS SELECT * FROM entry",
    ):
        wire.box.db.sql.execute(statement)
        assert find_damage(wire.box.db) is None
    wire.box.db.sql.execute("CREATE TRIGGER mine_too AFTER INSERT ON entry BEGIN SELECT 1; END")
    assert "the definition of mine_too is damaged" in str(find_damage(wire.box.db))
