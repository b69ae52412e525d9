"""`verify` finds a changed byte, a gap and a wrong balance, and reports all of them."""

import shutil
from pathlib import Path

from agent.store.verify import verify, verify_deep
from tests.store.damaged_ledger import PAGE_BYTES, beside
from tests.store.disk import Disk, account, change_entries
from tests.store.test_viewing import state
from tests.store.writer import writing


def test_a_healthy_ledger_has_no_difference(disk: Disk) -> None:
    disk.changes(account("a-1", 2_000, 1), to=1, acked=0, reset=True)
    disk.meal()
    disk.meal(day="2026-11-24")
    assert list(verify(disk.db)) == []


def test_a_changed_text_is_reported(disk: Disk) -> None:
    disk.meal()
    disk.meal("a-2")
    disk.changes(account("a-1", 0, 1), to=1, acked=0, reset=True)
    change_entries(disk.db, "UPDATE entry SET body = replace(body, '-366', '-266') WHERE seq = 1")
    sentences = list(verify(disk.db))
    assert any("entry 1 does not match its hash" in sentence for sentence in sentences)
    assert any("columns of entry 1" in sentence for sentence in sentences)
    assert not any("entry 2" in sentence for sentence in sentences)


def test_verify_continues_after_an_entry_and_a_record_that_cannot_be_read(disk: Disk) -> None:
    disk.meal()
    disk.changes(account("a-1", 0, 1), account("a-2", 0, 2), to=2, acked=0, reset=True)
    disk.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    disk.db.sql.execute("UPDATE record SET body = '{' WHERE id = 'a-1'")
    change_entries(disk.db, "UPDATE entry SET body = '{'")
    sentences = "\n".join(verify(disk.db))
    assert (
        "entry 1: an entry cannot be read" in sentences
        and "account a-1 cannot be read" in sentences
    )
    assert "a-2" not in sentences


def test_a_missing_entry_is_reported(disk: Disk) -> None:
    for day in range(1, 4):
        disk.meal(day=f"2026-11-0{day}")
    disk.db.sql.execute("DROP TRIGGER entry_only_pruned")
    disk.db.sql.execute("DELETE FROM entry WHERE seq = 2")
    (sentence,) = verify(disk.db)
    assert sentence.endswith("entry 3 follows entry 1")


def test_an_entry_without_its_epoch_is_reported(disk: Disk) -> None:
    disk.meal()
    disk.db.sql.execute("UPDATE epoch SET n = 2")
    assert list(verify(disk.db)) == ["entry 1 belongs to an epoch that is not in this file"]


def test_a_balance_that_is_not_the_sum_of_the_entries_is_reported(disk: Disk) -> None:
    """The balance uses the column, `verify` the hashed text."""
    disk.changes(account("a-1", 1_000, 1), to=1, acked=0, reset=True)
    disk.meal()
    change_entries(disk.db, "UPDATE entry SET cents = -1")
    sentences = list(verify(disk.db))
    assert "account a-1: shows 999 cents, its entries give 634" in sentences


def test_a_deep_look_beside_a_busy_writer_reports_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with writing(path):
        looks = [list(verify_deep(path)) for _ in range(20)]
    # On a busy machine the log may begin again during each of its tries.
    assert all("changes while it is read" in line for look in looks for line in look)
    assert [] in looks


def test_a_deep_look_beside_a_writer_sees_damage_in_its_log(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with writing(path, meals=10):
        with open(beside(path, "-wal"), "r+b") as log:
            log.seek(32 + 3 * (24 + PAGE_BYTES) + 100)
            log.write(b"?")
        (damage, *_) = verify_deep(path)
        assert damage.startswith("t.db-wal is damaged at frame 4;")


def test_a_deep_look_names_entries_that_only_the_raw_bytes_have_and_leaves_nothing(
    disk: Disk, tmp_path: Path
) -> None:
    """The log holds three entries, and the file that is put beside it is of another state."""
    for n in range(3):
        disk.meal(f"a-{n}")
    folder = tmp_path / "killed"
    folder.mkdir()
    for end in ("", "-wal"):
        shutil.copyfile(beside(disk.db.path, end), folder / f"t.db{end}")
    with open(folder / "t.db-wal", "r+b") as log:
        log.write(b"?")  # without its header SQLite reads nothing of it
    before = state(folder)
    assert list(verify_deep(folder / "t.db")) == [
        "the header of t.db-wal is damaged",
        "the raw bytes cannot be compared: " + f"{folder / 't.db'}: holds no terminal yet",
    ]
    assert state(folder) == before
