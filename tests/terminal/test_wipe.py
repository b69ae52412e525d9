"""A wiped terminal stays wiped until it is given work again on purpose."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.central.books import lists as central_lists
from agent.central.cli import cli
from agent.central.office.terminals import add_terminal, new_generation, order, retire_terminal
from agent.central.orders import give_order
from agent.domain.card import card_token, parse_card_id
from agent.errors import CentralError, StoreError
from agent.readers.events import Signal
from agent.store import lists, reads, writes
from agent.store.database import Database
from agent.store.recovery import LedgerFile, close_without_checkpoint
from agent.store.rows import Incident
from agent.store.standing import standing
from agent.sync.session import HEARTBEAT_MS
from tests.conftest import CARD
from tests.invariants import everything_is_consistent
from tests.parts.wire import KEY, SITE, Wire, down, last_changes
from tests.store.damaged_ledger import beside, damage_entry, lunches, start_with_check
from tests.store.disk import meal

TOKEN = card_token(KEY, parse_card_id(CARD))


def wipe(wire: Wire) -> None:
    """Let the central order a wipe of a terminal that keeps its site."""
    with wire.central.books.transaction():
        give_order(wire.central.books, "t-1", "wipe")
    wire.settle()
    for _ in range(2):
        wire.pass_time(HEARTBEAT_MS)


def strings_left(folder: Path) -> list[str]:
    """Return which file of a folder names an account, a card or a class."""
    secrets = [b"a-1", b"a-2", TOKEN.encode(), TOKEN[:16].encode(), b'"balance"', b'"1A"']
    return [
        f"{file.name}: {secret!r}"
        for file in sorted(folder.glob("t-1.db*"))
        for secret in secrets
        if secret in file.read_bytes()
    ]


# C85
def test_a_wiped_terminal_stays_wiped_though_the_central_has_records_for_it(wire: Wire) -> None:
    wipe(wire)
    assert standing(wire.box.db).is_wiped and standing(wire.box.db).order_done is not None
    wire.log.clear()
    wire.central.credit("a-1", 500, "r-1")  # a change of a record, and a new position
    wire.settle()
    for _ in range(3):
        wire.pass_time(HEARTBEAT_MS)
    assert list(reads.balances(wire.box.db)) == [] and not standing(wire.box.db).resyncing
    assert [row.kind for row in lists.incidents(wire.box.db)] == ["wipe"]
    sent = [json.loads(payload) for topic, payload in wire.log if topic.endswith("/changes")]
    assert sent and not any(message.get("records") for message in sent)
    wire.disconnect()
    wire.box.restart()
    wire.connect()
    assert standing(wire.box.db).is_wiped and list(reads.balances(wire.box.db)) == []


# C57 C85
def test_no_answer_of_another_central_gives_a_wiped_terminal_work_again(wire: Wire) -> None:
    """It sends records and a digest, as if the terminal were not wiped."""
    wipe(wire)
    position = standing(wire.box.db).position
    digest = {"position": position + 1, "accounts": 2, "cards": 2, "cents": 0, "sum": "0" * 16}
    account = {"k": "account", "id": "a-1", "p": position + 1, "balance": 5}
    changes = last_changes(wire) | {"from": position, "to": position + 1, "digest": digest}
    for records in ([account], []):
        down(wire, json.dumps({**changes, "records": records, "nonce": None}).encode())
        wire.box.core.idle(wire.box.moment())
        assert standing(wire.box.db).is_wiped and not standing(wire.box.db).resyncing
        assert list(reads.balances(wire.box.db)) == []
    assert standing(wire.box.db).position == position + 1
    assert [row.kind for row in lists.incidents(wire.box.db)] == ["wipe"]


# C84
def test_nothing_of_a_child_is_left_in_any_file_after_a_wipe(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    damaged = wire.box.path.with_name("t-1.db.damaged-1")
    damaged.write_bytes(wire.box.path.read_bytes() + TOKEN.encode())
    assert strings_left(wire.box.path.parent)
    wipe(wire)
    assert strings_left(wire.box.path.parent) == []
    assert wire.central.balance("a-1") == -366


# C84
def test_a_wiped_terminal_goes_on_with_its_chain(wire: Wire) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wipe(wire)
    assert wire.box.tap(CARD) is Signal.REFUSED  # it has no service
    wire.settle()
    assert (standing(wire.box.db).pending, standing(wire.box.db).end.seq) == (0, 2)
    assert wire.central.value("SELECT count(*) FROM incident") == 0


# C86
@pytest.mark.parametrize("by", ["order", "add"])
def test_an_order_or_an_assignment_gives_a_wiped_terminal_work_again(wire: Wire, by: str) -> None:
    wire.box.tap(CARD)
    wire.settle()
    wipe(wire)
    if by == "order":
        order(wire.central.books, "t-1", "resync")
    else:
        add_terminal(wire.central.books, "t-1", SITE)
    wire.settle()
    wire.pass_time(HEARTBEAT_MS)
    assert not standing(wire.box.db).is_wiped
    everything_is_consistent_after_a_wipe(wire)
    assert wire.box.tap(CARD) is Signal.ALREADY_SERVED  # the central's record says so


def everything_is_consistent_after_a_wipe(wire: Wire) -> None:
    wire.box.lights.clear()  # their meals are no longer on the disk
    everything_is_consistent(wire)


# C86
def test_a_retired_terminal_gets_work_again_by_its_site_and_by_nothing_else(wire: Wire) -> None:
    retire_terminal(wire.central.books, "t-1")
    wire.settle()
    wire.pass_time(HEARTBEAT_MS)
    assert standing(wire.box.db).is_wiped
    with pytest.raises(CentralError, match="terminals add t-1 SITE"):
        order(wire.central.books, "t-1", "resync")
    (row,) = central_lists.terminals(wire.central.books)
    assert (row.site, row.wiped) == (None, 1)
    add_terminal(wire.central.books, "t-1", SITE)
    wire.settle()
    wire.pass_time(HEARTBEAT_MS)
    assert not standing(wire.box.db).is_wiped
    everything_is_consistent(wire)


# C86
def test_work_that_is_given_before_the_wipe_is_done_follows_it(wire: Wire) -> None:
    """The office retires a terminal and takes that back while the terminal is off."""
    wire.disconnect()
    wire.box.tap(CARD)
    retire_terminal(wire.central.books, "t-1")
    add_terminal(wire.central.books, "t-1", SITE)
    wire.connect()
    for _ in range(3):
        wire.pass_time(HEARTBEAT_MS)
    assert "wipe" in [row.kind for row in lists.incidents(wire.box.db)]
    assert not standing(wire.box.db).is_wiped
    everything_is_consistent_after_a_wipe(wire)


# C85
@pytest.mark.parametrize("orders", [["resync"], ["resync", "new_epoch"]])
def test_a_resync_that_was_ordered_before_a_wipe_does_not_undo_it(
    wire: Wire, orders: list[str]
) -> None:
    wire.disconnect()
    for do in orders:
        order(wire.central.books, "t-1", do)
    retire_terminal(wire.central.books, "t-1")
    wire.connect()
    for _ in range(3):
        wire.pass_time(HEARTBEAT_MS)
    assert standing(wire.box.db).is_wiped


# C85
def test_a_wiped_terminal_follows_a_new_generation_and_stays_wiped(wire: Wire) -> None:
    wipe(wire)
    wire.box.tap(CARD)
    new_generation(wire.central.books, "d00d" * 8, at=wire.clock.instant, reason="restored")
    wire.central.restart()
    for _ in range(3):
        wire.pass_time(HEARTBEAT_MS)
    own = standing(wire.box.db)
    assert (own.generation, own.pending, own.is_wiped) == ("d00d" * 8, 0, True)
    assert list(reads.balances(wire.box.db)) == [] and not own.resyncing
    assert "wiped, serves nobody" in wire.box.core.summary()


# C85
def test_a_damaged_file_of_a_wiped_terminal_is_replaced_by_a_wiped_one(wire: Wire) -> None:
    wipe(wire)
    wire.disconnect()
    wire.box.checks_file = True
    writes.add_incident(wire.box.db, Incident(at=wire.clock.instant, kind="x", detail="y"))
    wire.box.db.sql.execute("UPDATE terminal SET acked = acked + 5")
    wire.box.restart()
    assert "damaged_file" in [row.kind for row in lists.incidents(wire.box.db)]
    wire.connect()
    wire.pass_time(HEARTBEAT_MS)
    assert standing(wire.box.db).is_wiped and list(reads.balances(wire.box.db)) == []


# C84
def test_a_wipe_is_repeated_until_no_data_is_left(wire: Wire) -> None:
    reader = Database(wire.box.path, read_only=True)
    with reader.reading() as sql:
        sql.execute("SELECT * FROM record").fetchall()
        order(wire.central.books, "t-1", "wipe")
        with pytest.raises(StoreError, match="another program is reading"):
            wire.settle()
        assert standing(wire.box.db).order_done is None
    reader.close()
    wire.pass_time(HEARTBEAT_MS)
    wire.pass_time(HEARTBEAT_MS)
    assert standing(wire.box.db).order_done is not None


def damaged_and_started(wire: Wire, seq: int) -> None:
    """Damage an entry, and let a start replace the file."""
    damage_entry(wire, seq)
    start_with_check(wire)


# C84
def test_a_wipe_keeps_entries_that_only_a_file_for_the_office_holds(wire: Wire) -> None:
    """They are money: the office imports the file, and deletes it."""
    wire.disconnect()
    lunches(wire, 5)
    damaged_and_started(wire, 7)
    wire.connect()
    wipe(wire)
    (part,) = wire.box.path.parent.glob("*.ledger")
    assert part.name == "t-1.db.damaged-1.part-1.ledger"
    (detail,) = [row.detail for row in lists.incidents(wire.box.db) if row.kind == "wipe"]
    assert f"kept, for meals that the central may lack: {part.name}; import" in detail
    cli(["--db", str(wire.central.path), "import-ledger", str(part)], standalone_mode=False)
    assert wire.central.value("SELECT count(*) FROM entry WHERE kind = 'meal'") == 9


# C84
def test_a_wipe_deletes_a_file_for_the_office_that_the_central_has_acknowledged(
    wire: Wire,
) -> None:
    lunches(wire, 3)
    wire.settle()
    wire.disconnect()
    lunches(wire, 2)
    damaged_and_started(wire, 5)
    (part,) = wire.box.path.parent.glob("*.ledger")
    assert part.name == "t-1.db.damaged-1.part-1.acked.ledger"
    half_made = [wire.box.path.with_name(f"t-1.db.{end}") for end in ("made-wal", "new", "made")]
    for file in half_made:
        file.write_bytes(b"a-1")
    wire.connect()
    wipe(wire)
    assert not part.exists() and strings_left(wire.box.path.parent) == []
    assert not any(file.exists() for file in half_made)


@pytest.fixture
def half_wiped(wire: Wire, tmp_path: Path) -> Iterator[LedgerFile]:
    """A ledger whose process was killed in a wipe: only the log has it, the file all entries."""
    lunches(wire, 3)
    wire.settle()
    wire.box.db.checkpoint()
    reader = Database(wire.box.path, read_only=True)
    with reader.reading() as sql:
        sql.execute("SELECT * FROM record").fetchall()
        order(wire.central.books, "t-1", "wipe")
        with pytest.raises(StoreError, match="another program is reading"):
            wire.settle()
        (tmp_path / "killed").mkdir()
        killed = tmp_path / "killed" / "t-1.db"
        for end in ("", "-wal"):
            shutil.copyfile(beside(wire.box.path, end), beside(killed, end))
    reader.close()
    yield dataclasses.replace(wire.box.ledger_file(), path=killed)


# C85
def test_after_a_kill_in_a_wipe_and_damage_nothing_comes_back(
    half_wiped: LedgerFile, wire: Wire
) -> None:
    assert b'"account":"a-1"' in half_wiped.path.read_bytes()
    with closing(half_wiped.open(wire.clock.instant, "page 7 is damaged")) as db:
        own = standing(db)
        assert (own.is_wiped, own.pending, reads.entries(db, newest=9)) == (True, 0, [])
    assert not list(half_wiped.path.parent.glob("*.ledger"))


# C86
def test_damage_does_not_wipe_a_terminal_that_got_work_again(
    half_wiped: LedgerFile, wire: Wire
) -> None:
    with closing(half_wiped.open(wire.clock.instant)) as db:
        db.empty_log()
        writes.begin_resync(db, "o-5ea1c0de-19", None)
        last = writes.append(db, meal("a-9"))
        close_without_checkpoint(db)
    with closing(half_wiped.open(wire.clock.instant, "page 7 is damaged")) as db:
        assert not standing(db).is_wiped
        assert [kept.entry.seq for kept in reads.entries(db, newest=9)] == [last.seq]
