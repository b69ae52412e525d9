"""No damage of a write-ahead log takes back a light: real files, and bytes changed in them."""

import random
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.domain.ledger import Place
from agent.errors import StoreError
from agent.store import lists, writes
from agent.store.damage import find_damage
from agent.store.database import Database
from agent.store.recovery import LedgerFile
from agent.store.standing import epochs
from agent.store.verify import verify
from agent.terminal.export import write_export
from tests.store.damaged_ledger import PAGE_BYTES, beside, salvage_into
from tests.store.disk import AT, EPOCH, TERMINAL, TOWN, account, changeset, meal

MEALS = 60
FLIPS = 40
SEED = 7
FRAME_BYTES = PAGE_BYTES + 24


@dataclass
class Box:
    """A ledger whose process was killed after `MEALS` lights."""

    path: Path
    wanted: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)

    def file(self, terminal: str = TERMINAL) -> LedgerFile:
        draw = random.Random(SEED)
        return LedgerFile(
            path=self.path,
            town=TOWN,
            terminal=terminal,
            epoch_bits=lambda: f"{draw.getrandbits(64):016x}",
            export=write_export,
        )

    def put(self, **changed: bytes) -> None:
        """Put the files of the killed process back, with these changed: `db`, `wal`, `shm`."""
        for left in self.path.parent.iterdir():
            left.unlink()
        for end, content in (self.files | changed).items():
            beside(self.path, "" if end == "db" else f"-{end}").write_bytes(content)

    def opened(self) -> tuple[set[str], list[str]]:
        """Open the ledger as the agent does. Return its entries' texts and its incidents."""
        with closing(self.file().open(AT)) as db:
            assert find_damage(db) is None and list(verify(db)) == []
            bodies = {body for (body,) in db.rows("SELECT body FROM entry")}
            return bodies, [incident.kind for incident in lists.incidents(db)]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return killed_box(tmp_path)


def killed_box(tmp_path: Path) -> Box:
    box = Box(tmp_path / "box" / "t.db")
    box.path.parent.mkdir()
    with closing(Database(box.path)) as db:
        writes.initialise(db, town=TOWN, terminal=TERMINAL, epoch=EPOCH)
        rows = [account(f"a-{n}", 2_000, n) for n in range(1, MEALS + 1)]
        writes.apply_changes(db, changeset(rows, to=MEALS, acked=Place(1, 0), reset=True))
        db.empty_log()
        for n in range(1, MEALS + 1):
            writes.append(db, meal(f"a-{n}"))
        box.wanted = {body for (body,) in db.rows("SELECT body FROM entry")}
        for end in ("db", "wal", "shm"):
            box.files[end] = beside(box.path, "" if end == "db" else f"-{end}").read_bytes()
    return box


def flipped(content: bytes, offset: int, bit: int = 1) -> bytes:
    changed = bytearray(content)
    changed[offset] ^= bit
    return bytes(changed)


def test_one_bit_in_the_log_takes_back_no_light(box: Box) -> None:
    draw = random.Random(SEED)
    for _ in range(FLIPS):
        offset = draw.randrange(len(box.files["wal"]))
        box.put(wal=flipped(box.files["wal"], offset, 1 << draw.randrange(8)))
        bodies, incidents = box.opened()
        assert bodies == box.wanted, f"byte {offset}"
        assert incidents in (["damaged_file"], ["torn_write"], []), f"byte {offset}"


def test_an_old_part_of_the_log_is_not_laid_over_the_newer_file(box: Box) -> None:
    """The file holds all entries, and the log's first half takes none of them back."""
    box.put()
    with closing(Database(box.path)) as db:
        db.checkpoint()
        whole, log = box.path.read_bytes(), beside(box.path, "-wal").read_bytes()
    box.put(db=whole, wal=flipped(log, 32 + 20 * FRAME_BYTES + 100), shm=b"")
    assert box.opened() == (box.wanted, ["damaged_file"])


def test_a_log_that_lost_its_end_is_noticed_by_its_index(box: Box) -> None:
    cut = box.files["wal"][: 32 + 30 * FRAME_BYTES]
    box.put(wal=cut)
    bodies, incidents = box.opened()
    assert len(bodies) < MEALS and incidents == ["damaged_file"]


def test_the_entry_of_an_incomplete_transaction_is_taken_when_it_proves_itself(box: Box) -> None:
    """It was flushed, or the power went before its light: both end with the meal recorded."""
    commit = len(box.files["wal"]) - 1
    damaged = bytearray(box.files["wal"])
    for frame in range(6):  # the commit and its further copies lie in the last frames
        damaged[commit - frame * FRAME_BYTES] ^= 1
    box.put(wal=bytes(damaged), shm=b"")
    bodies, incidents = box.opened()
    assert bodies == box.wanted and incidents == ["torn_write"]
    assert box.opened() == (box.wanted, ["torn_write"])  # reported once


def test_a_damaged_header_of_the_log_costs_no_entry(box: Box) -> None:
    box.put(wal=flipped(box.files["wal"], 16))
    assert box.opened() == (box.wanted, ["damaged_file"])


def test_a_damaged_header_of_a_log_that_is_in_the_file_costs_no_new_file(box: Box) -> None:
    box.put()
    with closing(Database(box.path)) as db:
        db.checkpoint()
        whole, log = box.path.read_bytes(), beside(box.path, "-wal").read_bytes()
    box.put(db=whole, wal=flipped(log, 16), shm=b"")
    assert box.opened() == (box.wanted, ["torn_write"])


@pytest.mark.parametrize("content", [b"", b"S", None])
def test_an_empty_or_missing_file_with_a_log_gives_its_entries_back(
    box: Box, content: bytes | None
) -> None:
    box.put(db=content or b"")
    if content is None:
        box.path.unlink()
    bodies, incidents = box.opened()
    assert bodies == box.wanted and incidents == ["damaged_file"]
    assert beside(box.path, ".damaged-1-wal").read_bytes() == box.files["wal"]
    assert box.opened() == (box.wanted, ["damaged_file"])


def test_an_empty_file_without_a_log_is_kept_aside(box: Box) -> None:
    box.put(db=b"", wal=b"", shm=b"")
    assert box.opened() == (set(), ["damaged_file"])


def test_a_log_of_an_older_state_of_the_file_takes_nothing_back(box: Box, tmp_path: Path) -> None:
    """The file was put back from a copy that is newer than the log beside it."""
    box.put()
    with closing(Database(box.path)) as db:
        writes.append(db, meal("a-1", day="2026-11-24"))
        db.checkpoint()
        newer = box.path.read_bytes()
        wanted = {body for (body,) in db.rows("SELECT body FROM entry")}
    box.put(db=newer, shm=b"")
    assert box.opened() == (wanted, ["damaged_file"])


def test_a_damaged_index_is_rebuilt_and_no_child_eats_twice(box: Box) -> None:
    """One bit in a key of `meal_once`: by that index the child has not eaten."""
    box.put()
    with closing(Database(box.path)) as db:
        db.empty_log()
        (root,) = db.only_row("SELECT rootpage FROM sqlite_master WHERE name = 'meal_once'")
        content = box.path.read_bytes()
    pages = range(len(content) // PAGE_BYTES)
    (place, *_) = [
        page * PAGE_BYTES + at
        for page in pages
        if content[page * PAGE_BYTES] == 10  # a leaf of an index
        for at in [content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES].find(b"a-72026-11-23lunch")]
        if at > 0
    ]
    assert root
    box.put(db=flipped(content, place), wal=b"", shm=b"")
    assert box.opened() == (box.wanted, ["damaged_index"])
    with closing(box.file().open(AT)) as db, pytest.raises(StoreError, match="UNIQUE"):
        writes.append(db, meal("a-7"))


def test_a_ledger_of_another_terminal_is_kept_and_comes_back(box: Box) -> None:
    box.put()
    with closing(box.file("t-9").open(AT)) as db:
        (incident,) = lists.incidents(db)
        assert incident.kind == "foreign_file"
        assert f"t.db was the ledger of {TOWN}/{TERMINAL}" in incident.detail
        assert db.only_row("SELECT count(*) FROM entry") == (0,)
    assert beside(box.path, f".of-{TOWN}-{TERMINAL}").exists()
    assert box.opened() == (box.wanted, ["foreign_file"])
    assert beside(box.path, f".of-{TOWN}-t-9").exists()


def test_salvage_completes_an_epoch_that_the_ledger_has(box: Box, tmp_path: Path) -> None:
    box.put(wal=box.files["wal"][: 32 + 30 * FRAME_BYTES])
    bodies, _ = box.opened()
    old = tmp_path / "old.db"
    for end, content in box.files.items():
        beside(old, "" if end == "db" else f"-{end}").write_bytes(content)
    (copy,) = salvage_into(old, box.path).taken
    assert (copy.base.epoch, copy.base.seq, len(copy.entries)) == (
        EPOCH,
        len(bodies),
        MEALS - len(bodies),
    )
    with closing(Database(box.path, read_only=True)) as db:
        assert [span.end.seq for span in epochs(db) if span.base.epoch == EPOCH] == [MEALS]
    assert salvage_into(old, box.path) == ([], [])
