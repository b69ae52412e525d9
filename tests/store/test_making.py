"""A ledger is made beside the own one, from what is left of an earlier try, and leaves nothing."""

from pathlib import Path

from agent.store.making import LedgerMaker
from agent.store.rows import EpochCopy, Run
from agent.store.salvage import Owner, read_damaged
from agent.store.standing import standing
from agent.terminal.export import write_export
from tests.store.damaged_ledger import beside
from tests.store.disk import EPOCH_BITS, TERMINAL, TOWN, Disk


def maker(path: Path) -> LedgerMaker:
    return LedgerMaker(
        path=path,
        town=TOWN,
        terminal=TERMINAL,
        epoch_bits=lambda: EPOCH_BITS,
        export=write_export,
    )


def test_a_ledger_is_made_in_place_of_what_an_earlier_try_left(tmp_path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        beside(tmp_path / "t.db.made", end).write_bytes(b"half")
    with maker(tmp_path / "t.db").made() as db:
        assert standing(db).epoch == f"1-{EPOCH_BITS}"
    assert [path.name for path in tmp_path.iterdir()] == ["t.db.made"]


def test_the_name_of_a_file_for_the_office_tells_if_the_central_has_its_entries(
    disk: Disk,
) -> None:
    for n in range(4):
        disk.meal(f"a-{n}")
    (epoch,) = read_damaged(disk.db.path, Owner(TOWN, TERMINAL)).epochs
    base, entries = epoch.newest.base, epoch.newest.entries
    runs = [
        Run(EpochCopy(base=base, entries=entries[:count]), is_acked)
        for count, is_acked in ((3, True), (4, False))
    ]
    assert maker(disk.db.path).export_runs(runs, "old") == [
        "3 in old.part-1.acked.ledger",
        "4 in old.part-2.ledger",
    ]
