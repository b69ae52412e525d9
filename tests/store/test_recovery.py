"""A damaged ledger is kept aside unchanged, another takes its place, and no meal is lost."""

import dataclasses
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent.central.cli import cli
from agent.errors import StoreError
from agent.store import lists, reads
from agent.store.damage import find_damage
from agent.store.database import Database
from agent.store.recovery import (
    ASIDE_MAX,
    close_without_checkpoint,
    give_second_name,
    keep_aside,
)
from agent.store.salvage import Owner, read_damaged
from agent.store.standing import standing
from agent.store.verify import verify
from tests.conftest import CARD
from tests.crash.recording import record_code
from tests.crash.replay import read_recording
from tests.invariants import both_sides_are_equal, the_books_are_consistent
from tests.parts.wire import Wire
from tests.store.damaged_ledger import (
    CHANGED_VALUES,
    DAY_MS,
    PAGE_BYTES,
    beside,
    damage_entry,
    lunches,
    start_with_check,
)
from tests.store.disk import change_entries

FILLED = (
    "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 30000)"
    " INSERT INTO record SELECT 'account', 'f-' || n, 1, 0, 0, '{}', NULL FROM c"
)
OWNER = Owner("borgofiorito", "t-1")


def incident_kinds(wire: Wire) -> list[str]:
    return [incident.kind for incident in lists.incidents(wire.box.db)]


def test_the_entries_after_a_lost_page_are_sent_again_and_booked_once(wire: Wire) -> None:
    lunches(wire, 10)
    wire.settle()
    wire.disconnect()
    lunches(wire, 10)  # not booked yet
    wire.box.db.checkpoint()
    wire.box.db.close()
    before = wire.box.path.read_bytes()
    page = before.find(b'"seq":3,') // PAGE_BYTES  # of booked entries
    damaged = before[: page * PAGE_BYTES] + bytes(PAGE_BYTES) + before[(page + 1) * PAGE_BYTES :]
    wire.box.path.write_bytes(damaged)
    start_with_check(wire)
    assert beside(wire.box.path, ".damaged-1").read_bytes() == damaged
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.central.balance("a-2") == -20 * 366
    assert wire.central.value("SELECT count(*) FROM entry") == 40
    assert wire.box.balance("a-1") == -20 * 366
    assert incident_kinds(wire) == ["damaged_file"]
    assert wire.box.tap(CARD) == "already_served"  # today's meals are still known
    wire.settle()
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_entries_before_a_damaged_one_go_to_the_office_as_a_file(wire: Wire) -> None:
    wire.disconnect()
    lunches(wire, 10)
    newest = wire.box.entries()[-1]
    damage_entry(wire, 15)
    start_with_check(wire)
    assert newest in wire.box.entries()
    wire.connect()
    wire.settle()
    assert wire.central.value("SELECT count(*) FROM entry") == 5
    (part,) = wire.box.path.parent.glob("*.ledger")
    (detail,) = [row.detail for row in lists.incidents(wire.box.db) if row.kind == "damaged_file"]
    assert "5 entries of it are sent again" in detail
    assert f"entries before the damage: 14 in {part.name}; import them" in detail
    for _ in range(2):
        cli(["--db", str(wire.central.path), "import-ledger", str(part)], standalone_mode=False)
    assert wire.central.value("SELECT count(*) FROM entry") == 19  # all but the damaged one
    lunches(wire, 1)
    wire.pass_time(400_000)
    assert wire.central.balance("a-1") + wire.central.balance("a-2") == -(19 + 2) * 366
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_a_replaced_ledger_serves_offline_and_keeps_the_floor_of_the_clock(wire: Wire) -> None:
    lunches(wire, 2)
    wire.clock.pass_ms(3 * DAY_MS)
    wire.settle()
    wire.pass_time(400_000)
    last_contact_at = standing(wire.box.db).last_contact_at
    assert last_contact_at is not None
    wire.disconnect()
    damage_entry(wire, 1)
    wire.box.boot, wire.box.synced, wire.box.wall_offset = "b2", False, timedelta(days=-3)
    start_with_check(wire)
    assert wire.box.tap(CARD) == "served"  # as an unknown card: the accounts come from the central
    assert wire.box.entries()[-1].at >= last_contact_at


def test_a_damaged_file_and_its_write_ahead_log_are_kept_unchanged(wire: Wire) -> None:
    lunches(wire, 3)
    damage_entry(wire, 1)
    before = {end: beside(wire.box.path, end).read_bytes() for end in ("", "-wal")}
    assert before["-wal"]
    close_without_checkpoint(wire.box.db)
    wire.box.start()
    close_without_checkpoint(wire.box.db)
    assert beside(wire.box.path, "-wal").read_bytes() == before["-wal"]
    start_with_check(wire)
    for end, content in before.items():
        assert beside(wire.box.path, f".damaged-1{end}").read_bytes() == content


@pytest.mark.parametrize("statement", CHANGED_VALUES)
def test_a_changed_value_costs_no_meal(wire: Wire, statement: str) -> None:
    lunches(wire, 2)
    wire.settle()
    wire.disconnect()
    lunches(wire, 2)
    change_entries(wire.box.db, statement)
    start_with_check(wire)
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.central.balance("a-2") == -4 * 366
    both_sides_are_equal(wire)


@pytest.mark.parametrize("offset", [0, 16, 100, 1100])
def test_a_file_that_is_no_database_any_more_is_replaced(wire: Wire, offset: int) -> None:
    lunches(wire, 3)
    wire.central.credit("a-1", 5_000, "r-1")
    wire.settle()
    wire.box.db.checkpoint()
    wire.box.db.close()
    content = bytearray(wire.box.path.read_bytes())
    content[offset : offset + 64] = bytes(range(1, 65))
    wire.box.path.write_bytes(content)
    start_with_check(wire)
    wire.connect()
    wire.settle()
    assert wire.box.balance("a-1") == wire.central.balance("a-1") == 5_000 - 3 * 366
    both_sides_are_equal(wire)
    the_books_are_consistent(wire.central.books)


def test_the_file_that_replaces_a_damaged_one_is_healthy(wire: Wire) -> None:
    lunches(wire, 3)
    damage_entry(wire, 4)
    start_with_check(wire)
    assert find_damage(wire.box.db) is None and list(verify(wire.box.db)) == []
    assert incident_kinds(wire) == ["damaged_file"]


def test_a_record_id_that_is_not_text_costs_only_a_replacement(wire: Wire) -> None:
    wire.box.db.sql.execute("UPDATE record SET id = CAST(x'61ff' AS TEXT) WHERE id = 'a-1'")
    start_with_check(wire)
    assert incident_kinds(wire) == ["damaged_file"]


def test_damage_that_a_running_terminal_found_replaces_the_file(wire: Wire) -> None:
    lunches(wire, 1)
    wire.box.db.close()
    with closing(wire.box.ledger_file().open(wire.clock.instant, "page 7 is damaged")) as db:
        (incident,) = lists.incidents(db)
        assert incident.detail.startswith("page 7 is damaged; kept as t-1.db.damaged-1; 2 entries")
    wire.box.start()


def test_a_start_and_a_replacement_of_a_large_file_report_progress(wire: Wire) -> None:
    """systemd ends a start, or a main loop, that reports nothing."""
    wire.disconnect()
    lunches(wire, 1)
    wire.box.db.sql.execute(FILLED)
    wire.box.db.close()
    progress: list[int] = []
    file = dataclasses.replace(wire.box.ledger_file(), on_progress=lambda: progress.append(1))
    file.open(wire.clock.instant).close()
    at_start = len(progress)
    assert at_start >= 5
    with closing(file.open(wire.clock.instant, "page 7 is damaged")) as db:
        at_end = len(progress)
        assert at_end >= at_start + 2
        db.sql.execute(FILLED)
        assert len(progress) == at_end  # a running terminal feeds the watchdog by its loop alone
    wire.box.start()


class Exchange:
    """The folder of a damaged ledger, put back to a moment before or in its exchange."""

    def __init__(self, wire: Wire) -> None:
        self.path = wire.box.path
        self.aside = beside(self.path, ".damaged-1")
        self._damaged = {end: beside(self.path, end).read_bytes() for end in ("", "-wal")}

    def put_back(self) -> None:
        for left in self.path.parent.glob(f"{self.path.name}*"):
            left.unlink()
        for end, content in self._damaged.items():
            beside(self.path, end).write_bytes(content)

    def stop_after(self, step: str, replacement: bytes) -> None:
        """Leave what a power cut after a step of the exchange leaves."""
        self.put_back()
        if step == "log linked":
            beside(self.aside, "-wal").hardlink_to(beside(self.path, "-wal"))
            return
        assert keep_aside(self.path) == self.aside
        if step != "both linked":
            beside(self.path, ".whole").write_bytes(replacement)
        if step == "log removed":
            beside(self.path, "-wal").unlink()


def test_a_power_cut_during_the_exchange_loses_nothing(wire: Wire) -> None:
    lunches(wire, 5)
    damage_entry(wire, 1)
    exchange = Exchange(wire)
    wire.box.db.close()
    exchange.put_back()
    start_with_check(wire)
    wire.box.db.checkpoint()
    wire.box.db.close()
    replacement = wire.box.path.read_bytes()
    for step in ("log linked", "both linked", "replacement made", "log removed"):
        exchange.stop_after(step, replacement)
        start_with_check(wire)
        # The whole text of the damaged entry is still in the log.
        assert len(wire.box.entries()) == 10, step
        assert incident_kinds(wire) == ["damaged_file"]
        folder = wire.box.path.parent
        assert not list(folder.glob("*.whole")) and not list(folder.glob("*.damaged-2"))
        # The copy kept aside is complete: its write-ahead log was kept with it.
        assert len(read_damaged(exchange.aside, OWNER).epochs[0].newest.entries) == 10
        wire.box.db.close()
    wire.box.start()


REPLACING = """
from agent.store.recovery import LedgerFile
from agent.terminal.export import write_export
words = {"town": "borgo", "terminal": "t-1", "epoch_bits": lambda: "c" * 16}
ledger = LedgerFile(path=disk / "t.db", export=write_export, **words)
at = "2026-11-23T11:02:05.331Z"
db = ledger.open(at)
log = (disk / "t.db-wal").read_bytes()
db.close()
(disk / "t.db-wal").write_bytes(log)
ledger.open(at, "damaged").close()
"""


def test_no_power_cut_leaves_a_new_file_with_the_log_of_the_damaged_one(tmp_path: Path) -> None:
    """Contents are on the disk before their names, and the old log is gone before the new file."""
    ops = [(op.op, op.name) for op in read_recording(record_code(tmp_path, REPLACING))]
    exchange = len(ops) - 1 - ops[::-1].index(("R", "t.db.whole"))
    made = len(ops) - 1 - ops[::-1].index(("R", "t.db.made"))
    assert ops[made : exchange + 2] == [
        ("R", "t.db.made"),
        ("D", ""),
        ("U", "t.db-wal"),
        ("D", ""),
        ("R", "t.db.whole"),
        ("D", ""),
    ]
    contents = [op for op in ops[:made] if op[1] == "t.db.made" and op[0] in "WTS"]
    assert contents[-1] == ("S", "t.db.made")


def fill_asides(path: Path, count: int) -> None:
    for n in range(1, count + 1):
        beside(path, f".damaged-{n}").touch()


def test_the_last_damaged_file_that_is_kept_has_the_number_aside_max(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_bytes(b"damaged")
    fill_asides(tmp_path / "t.db", ASIDE_MAX - 1)
    aside = keep_aside(tmp_path / "t.db")
    assert aside.name == f"t.db.damaged-{ASIDE_MAX}" and aside.read_bytes() == b"damaged"
    assert keep_aside(tmp_path / "t.db") == aside  # it has its second name already


def test_beyond_aside_max_damaged_files_nothing_is_replaced(wire: Wire) -> None:
    lunches(wire, 1)
    damage_entry(wire, 1)
    wire.box.db.close()
    fill_asides(wire.box.path, ASIDE_MAX)
    before = wire.box.path.read_bytes()
    with pytest.raises(StoreError, match=f"{ASIDE_MAX} damaged files exist already; move them"):
        wire.box.ledger_file().open(wire.clock.instant)
    assert wire.box.path.read_bytes() == before
    wire.box.start()


def test_a_medium_without_hard_links_gets_a_copy(tmp_path: Path) -> None:
    """A link to another file system fails as one on FAT does."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        other = Path(memory) / "t.db"
        other.write_bytes(b"damaged")
        if other.stat().st_dev == tmp_path.stat().st_dev:
            raise RuntimeError("/dev/shm is no file system of its own here")
        give_second_name(other, tmp_path / "t.db.damaged-1")
    assert [path.name for path in tmp_path.iterdir()] == ["t.db.damaged-1"]
    assert (tmp_path / "t.db.damaged-1").read_bytes() == b"damaged"


def test_a_copy_that_is_aside_already_is_not_made_again(tmp_path: Path) -> None:
    for name in ("t.db", "t.db.damaged-1", "t.db-wal", "t.db.damaged-1-wal"):
        (tmp_path / name).write_bytes(b"damaged")
    assert keep_aside(tmp_path / "t.db").name == "t.db.damaged-1"
    (tmp_path / "t.db-wal").write_bytes(b"another log")
    assert keep_aside(tmp_path / "t.db").name == "t.db.damaged-2"
    assert (tmp_path / "t.db.damaged-1-wal").read_bytes() == b"damaged"


def test_a_folder_that_takes_no_hard_link_raises_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep_aside(tmp_path / "absent" / "t.db")


def test_another_terminals_damaged_file_is_kept_and_nothing_of_it_is_taken(wire: Wire) -> None:
    lunches(wire, 1)
    change_entries(wire.box.db, "UPDATE epoch SET id = '1-00000000000000ff'")
    wire.box.db.close()
    stranger = dataclasses.replace(wire.box.ledger_file(), terminal="t-9")
    with closing(stranger.open(wire.clock.instant, "damaged")) as db:
        assert standing(db).terminal == "t-9" and standing(db).end.seq == 0
    with closing(Database(beside(wire.box.path, ".damaged-1"), read_only=True)) as db:
        assert standing(db).terminal == "t-1"
    beside(wire.box.path, ".damaged-1").rename(wire.box.path)
    wire.box.start()


def test_an_exchange_that_failed_once_is_finished_and_not_repeated(wire: Wire) -> None:
    lunches(wire, 1)
    wire.box.db.close()
    whole = wire.box.path.rename(wire.box.path.with_name(f"{wire.box.path.name}.whole"))
    for end in ("-wal", "-shm"):
        wire.box.path.with_name(wire.box.path.name + end).unlink(missing_ok=True)
    wire.box.path.write_bytes(b"damaged")
    db = wire.box.ledger_file().open(wire.clock.instant, "the damage that began the exchange")
    assert len(reads.entries(db, newest=10)) == 2 and lists.incidents(db) == []
    assert not whole.exists() and not list(wire.box.path.parent.glob("*.damaged-*"))
    db.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE epoch SET n = 1 << 40",
        "UPDATE epoch SET n = -1",
        "UPDATE epoch SET base_seq = 1 << 40",
        "UPDATE epoch SET id = CAST(x'00ff' AS TEXT)",
    ],
)
def test_a_number_or_name_of_an_epoch_that_cannot_be_is_damage(wire: Wire, change: str) -> None:
    lunches(wire, 1)
    wire.box.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    wire.box.db.sql.execute(change)
    wire.box.db.close()
    progress: list[int] = []
    file = dataclasses.replace(wire.box.ledger_file(), on_progress=lambda: progress.append(1))
    db = file.open(wire.clock.instant)
    assert [incident.kind for incident in lists.incidents(db)] == ["damaged_file"]
    assert progress
    db.close()
