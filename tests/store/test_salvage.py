"""A damaged ledger is moved aside as it is, another is begun, and what can be proved of it reaches the central under its own keys."""

import itertools
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from agent.domain.card import parse_card_id
from agent.errors import DamagedError, StoreError
from agent.readers.events import CardPresented, Show
from agent.store import reads
from agent.store.damage import find_damage
from agent.store.recovery import close_without_checkpoint, keep_aside
from agent.store.salvage import read_damaged, salvage
from agent.store.standing import standing
from agent.store.verify import verify
from agent.terminal.export import write_export
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import both_sides_are_equal, the_books_are_right
from tests.parts.wire import Wire

PAGE_BYTES = 1024
NUMBERS = itertools.count(1)


def reopened(wire: Wire) -> None:
    """Start the terminal as the program does."""
    wire.box.db.close()
    wire.box.checks_file = True
    wire.box.start()
    wire.box.checks_file = False


def lunches(wire: Wire, days: int) -> None:
    for _ in range(days):
        wire.clock.pass_ms(24 * 3_600_000 * (3 if wire.clock.now.isoweekday() == 5 else 1))
        for card in (CARD, OTHER_CARD):
            wire.box.handle(CardPresented(reader="counter", card=parse_card_id(card), tap=1))


def test_what_can_be_proved_of_a_damaged_ledger_is_sent_under_its_own_keys(wire: Wire) -> None:
    lunches(wire, 10)
    wire.settle()
    wire.disconnect()
    lunches(wire, 10)  # not booked yet
    wire.box.db.checkpoint()
    wire.box.db.close()
    before = wire.box.path.read_bytes()
    page = before.find(b'"seq":3,') // PAGE_BYTES  # of what is booked
    rotten = before[: page * PAGE_BYTES] + bytes(PAGE_BYTES) + before[(page + 1) * PAGE_BYTES :]
    wire.box.path.write_bytes(rotten)
    reopened(wire)
    (aside,) = [
        path
        for path in wire.box.path.parent.glob("t-1.db.damaged-*")
        if path.suffix == ".damaged-1"
    ]
    assert aside.read_bytes() == rotten
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.central.balance("a-2") == -20 * 366
    assert wire.central.one("SELECT count(*) FROM entry") == 40
    assert wire.box.balance("a-1") == -20 * 366
    assert [incident.kind for incident in reads.incidents(wire.box.db)] == ["damaged_file"]
    assert wire.box.tap(CARD) == "already_served"  # what was eaten today is still known here
    wire.settle()
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_meals_before_a_damaged_place_that_nobody_has_booked_go_to_the_office_by_hand(
    wire: Wire,
) -> None:
    from agent.central.cli import cli

    wire.disconnect()
    lunches(wire, 10)
    newest = reads.latest_entry(wire.box.db)
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute("UPDATE entry SET body = replace(body, '366', '367') WHERE seq = 15")
    reopened(wire)
    assert reads.latest_entry(wire.box.db) == newest
    wire.connect()
    wire.settle()
    assert wire.central.one("SELECT count(*) FROM entry") == 5
    (part,) = wire.box.path.parent.glob("*.ledger")
    (told,) = [row.detail for row in reads.incidents(wire.box.db) if row.kind == "damaged_file"]
    assert (
        "5 entries of it are sent again" in told
        and f"entries before the damage: 14 in {part.name}; import them" in told
    )
    for _ in range(2):
        cli(["--db", str(wire.central.path), "import-ledger", str(part)], standalone_mode=False)
    assert wire.central.one("SELECT count(*) FROM entry") == 19  # all but the damaged one
    lunches(wire, 1)
    wire.pass_time(400_000)
    assert wire.central.balance("a-1") + wire.central.balance("a-2") == -(19 + 2) * 366
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_after_an_exchange_without_a_network_children_eat_and_the_clock_keeps_its_floor(
    wire: Wire,
) -> None:
    lunches(wire, 2)
    wire.clock.pass_ms(3 * 24 * 3_600_000)
    wire.settle()
    wire.pass_time(400_000)
    last_contact_at = standing(wire.box.db).last_contact_at
    assert last_contact_at is not None
    wire.disconnect()
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute("UPDATE entry SET body = replace(body, '366', '367') WHERE seq = 1")
    wire.box.synced, wire.box.wall_offset = False, timedelta(days=-3)
    reopened(wire)
    assert (
        wire.box.tap(CARD) == "served"
    )  # as an unknown card: what its owner has is not known here until the central tells
    assert wire.box.entries()[-1].at >= last_contact_at


def test_a_damaged_file_and_its_journal_are_kept_as_they_were(wire: Wire) -> None:
    lunches(wire, 3)
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute("UPDATE entry SET body = replace(body, '366', '367') WHERE seq = 1")
    was = {
        end: wire.box.path.with_name(wire.box.path.name + end).read_bytes() for end in ("", "-wal")
    }
    close_without_checkpoint(wire.box.db)
    wire.box.start()
    close_without_checkpoint(wire.box.db)
    assert (
        was["-wal"]
        and wire.box.path.with_name(f"{wire.box.path.name}-wal").read_bytes() == was["-wal"]
    )
    reopened(wire)
    for end, before in was.items():
        assert (
            wire.box.path.with_name(f"{wire.box.path.name}.damaged-1{end}").read_bytes() == before
        )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE entry SET cents = cents - 1 WHERE seq = 2", "the columns of entry 2 differ"),
        (
            "UPDATE epoch SET base_hash = zeroblob(32)",
            "does not begin with this terminal's genesis hash",
        ),
        ("UPDATE terminal SET acked = acked + 50", "acknowledged up to entry 54"),
        ("UPDATE terminal SET id = 't-7'", "does not begin with this terminal's genesis hash"),
        ("UPDATE epoch SET n = 3", "has entries of an epoch that is not in this file"),
        ("UPDATE epoch SET base_seq = 64", "does not match its hash"),
    ],
)
def test_a_value_that_was_changed_is_seen_at_the_start_and_costs_no_meal(
    wire: Wire, change: str, sentence: str
) -> None:
    lunches(wire, 2)
    wire.settle()
    wire.disconnect()
    lunches(wire, 2)
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute(change)
    assert sentence in str(find_damage(wire.box.db))
    reopened(wire)
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.central.balance("a-2") == -4 * 366
    both_sides_are_equal(wire)


def test_an_old_card_with_meals_of_the_same_day_is_salvaged_and_one_of_another_terminal_refused(
    two: Wire, tmp_path: Path
) -> None:
    two.disconnect()
    box, other = two.boxes["t-1"], two.boxes["t-2"]
    box.tap(CARD)
    for one in (box, other):
        one.db.checkpoint()
    shutil.copyfile(box.path, tmp_path / "old.db")
    box.db.close()
    for end in ("", "-wal", "-shm"):
        box.path.with_name(box.path.name + end).unlink(missing_ok=True)
    box.start()
    two.connect()
    assert box.tap(CARD) == "served"  # a new card knows of no lunch before it
    box.db.close()
    assert [
        len(one.newest.entries) for one in salvage(tmp_path / "old.db", box.path, "b" * 16)
    ] == [1]
    with pytest.raises(
        StoreError, match="belongs to borgofiorito/t-2, this terminal is borgofiorito/t-1"
    ):
        salvage(other.path, box.path, "c" * 16)
    with pytest.raises(StoreError, match="no terminal has run here yet"):
        salvage(tmp_path / "old.db", tmp_path / "nothing.db", "c" * 16)
    assert not (tmp_path / "nothing.db").exists()
    box.start()
    two.connect()
    two.settle()
    assert (
        two.central.one("SELECT count(*) FROM entry WHERE kind = 'meal'") == 2
        and two.central.balance("a-1") == -366
    )


@pytest.mark.parametrize("where", [0, 16, 100, 1100])
def test_a_file_that_is_no_database_any_more_is_begun_anew_and_records_come_back(
    wire: Wire, where: int
) -> None:
    lunches(wire, 3)
    wire.central.credit("a-1", 5_000, "r-1")
    wire.settle()
    wire.box.db.checkpoint()
    wire.box.db.close()
    raw = bytearray(wire.box.path.read_bytes())
    raw[where : where + 64] = bytes(range(1, 65))
    wire.box.path.write_bytes(raw)
    reopened(wire)
    wire.connect()
    wire.settle()
    assert wire.box.balance("a-1") == wire.central.balance("a-1") == 5_000 - 3 * 366
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_a_flipped_bit_anywhere_in_an_entry_is_seen_at_the_start(wire: Wire) -> None:
    lunches(wire, 10)
    wire.box.db.checkpoint()
    bodies = [body.encode() for (body,) in wire.box.db.rows("SELECT body FROM entry")]
    raw = wire.box.path.read_bytes()
    wire.box.db.close()
    draw = random.Random(5)
    for _ in range(60):
        body = draw.choice(bodies)
        rotten = bytearray(raw)
        at, bit, found = draw.randrange(len(body)), 1 << draw.randrange(8), raw.find(body)
        while found >= 0:  # in the ledger, and wherever an older state of its page is left
            rotten[found + at] ^= bit
            found = raw.find(body, found + 1)
        wire.box.path.write_bytes(rotten)
        reopened(wire)
        assert find_damage(wire.box.db) is None and list(verify(wire.box.db)) == []
        assert [incident.kind for incident in reads.incidents(wire.box.db)] == ["damaged_file"]
        wire.box.db.close()


def test_a_ledger_of_another_card_is_salvaged_by_hand(wire: Wire, tmp_path: Path) -> None:
    wire.disconnect()
    lunches(wire, 2)
    wire.box.db.checkpoint()
    wire.box.db.close()
    found = wire.box.path.rename(tmp_path / "found.db")
    for end in ("-wal", "-shm"):
        wire.box.path.with_name(wire.box.path.name + end).unlink(missing_ok=True)
    wire.box.start()
    wire.clock.pass_ms(24 * 3_600_000)
    wire.connect()
    wire.box.tap(CARD)
    wire.settle()
    wire.box.db.close()
    assert [len(one.newest.entries) for one in salvage(found, wire.box.path, "b" * 16)] == [4]
    assert salvage(found, wire.box.path, "c" * 16) == []  # once
    wire.box.start()
    newest = reads.latest_entry(wire.box.db)
    assert (
        newest is not None and newest.at == wire.clock.instant
    )  # what was found is older, and no floor for the clock
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -3 * 366
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_an_export_and_the_network_together_book_once(wire: Wire, tmp_path: Path) -> None:
    from agent.central.cli import cli

    wire.disconnect()
    lunches(wire, 60)
    assert write_export(wire.box.db, tmp_path / "stick") == 120
    for _ in range(2):
        cli(
            ["--db", str(wire.central.path), "import-ledger", str(tmp_path / "stick")],
            standalone_mode=False,
        )
    assert wire.central.balance("a-1") == -60 * 366
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -60 * 366
    cli(
        ["--db", str(wire.central.path), "import-ledger", str(tmp_path / "stick")],
        standalone_mode=False,
    )
    wire.box.tap(CARD)
    wire.pass_time(400_000)
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


@pytest.mark.parametrize(
    "rotten", [b'{"balance":1', b"\xff\xfe", b'{"balance":"x"}', b'{"balance":1,"id":"\xff"}']
)
@pytest.mark.parametrize("kind", ["account", "card", "policy", "service"])
def test_a_record_that_cannot_be_read_any_more_is_done_without_and_told_again(
    wire: Wire, kind: str, rotten: bytes
) -> None:
    """A flipped bit in a record that is no JSON, no text or no record afterwards: a tap goes on without it, and nobody starts anew."""
    lunches(wire, 1)
    wire.settle()
    wire.clock.pass_ms(24 * 3_600_000)
    wire.box.db.sql.execute("PRAGMA ignore_check_constraints = ON")
    change = "UPDATE record SET body = CAST(? AS TEXT) WHERE kind = ?"
    wire.box.db.sql.execute(change, (rotten, kind))
    wire.box.restart()
    tap = CardPresented(reader="counter", card=parse_card_id(CARD), tap=1)
    (shown,) = [
        effect for effect in wire.box.core.turn(tap, wire.box.reading()) if isinstance(effect, Show)
    ]
    assert shown.signal == (
        "refused" if kind == "service" else "served"
    )  # a card or an account not known here is served
    assert {row.kind for row in reads.incidents(wire.box.db)} == {"record"}
    wire.disconnect()
    wire.connect()
    wire.settle()
    assert wire.box.balance("a-1") == wire.central.balance("a-1")
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


@pytest.mark.parametrize(
    ("rotten", "sentence"),
    [(b"{", "entry 1 does not match its hash"), (b"\xff", "Could not decode")],
)
def test_an_entry_that_cannot_be_read_any_more_makes_the_file_a_damaged_one(
    wire: Wire, rotten: bytes, sentence: str
) -> None:
    wire.disconnect()
    lunches(wire, 1)
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute("UPDATE entry SET body = CAST(? AS TEXT) WHERE seq = 1", (rotten,))
    with pytest.raises(DamagedError):
        reads.oldest_pending_at(wire.box.db)
    assert sentence in str(find_damage(wire.box.db))


def test_a_records_name_that_is_no_text_any_more_makes_the_file_a_damaged_one(wire: Wire) -> None:
    wire.connect()
    wire.box.db.sql.execute(
        "UPDATE record SET id = CAST(x'61ff' AS TEXT) WHERE kind = 'account' AND id = 'a-1'"
    )
    assert "Could not decode" in str(find_damage(wire.box.db))
    reopened(wire)
    assert [incident.kind for incident in reads.incidents(wire.box.db)] == ["damaged_file"]


def test_a_folder_that_looks_like_a_copy_of_ours_stays(wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "desk" / "salvage-2026").mkdir(parents=True)
    (tmp_path / "desk" / "old.db.copy-of-mine").mkdir()
    lunches(wire, 1)
    wire.box.db.checkpoint()
    shutil.copyfile(wire.box.path, tmp_path / "desk" / "old.db")
    assert salvage(tmp_path / "desk" / "old.db", wire.box.path, "b" * 16) == []
    assert sorted(path.name for path in (tmp_path / "desk").iterdir()) == [
        "old.db",
        "old.db.copy-of-mine",
        "salvage-2026",
    ]


def test_a_plug_pulled_while_a_damaged_file_is_exchanged_loses_nothing(
    wire: Wire, tmp_path: Path
) -> None:
    lunches(wire, 5)
    wire.box.db.sql.execute("DROP TRIGGER entry_never_changes")
    wire.box.db.sql.execute(
        "UPDATE entry SET cents = cents - 1, body = replace(body, '366', '367') WHERE seq = 1"
    )
    folder = wire.box.path.parent
    damaged = {end: (folder / (wire.box.path.name + end)).read_bytes() for end in ("", "-wal")}
    wire.box.db.close()

    def put_back(*ends: str) -> None:
        for left in folder.glob(f"{wire.box.path.name}*"):
            left.unlink()
        for end in ends:
            (folder / (wire.box.path.name + end)).write_bytes(damaged[end])

    put_back("", "-wal")
    reopened(wire)
    wire.box.db.checkpoint()
    wire.box.db.close()
    whole = wire.box.path.read_bytes()
    linked = folder / f"{wire.box.path.name}.damaged-1"
    for case in ("-wal linked", "both linked", "made", "-wal gone"):
        put_back("", "-wal")
        if case == "-wal linked":
            linked.with_name(f"{linked.name}-wal").hardlink_to(f"{wire.box.path}-wal")
        else:
            assert keep_aside(wire.box.path) == linked
        if case in ("made", "-wal gone"):
            (folder / f"{wire.box.path.name}.whole").write_bytes(whole)
        if case == "-wal gone":
            wire.box.path.with_name(f"{wire.box.path.name}-wal").unlink()
        reopened(wire)
        assert len(wire.box.entries()) == 9, (
            case
        )  # the tenth, the oldest, cannot be proved any more
        assert [incident.kind for incident in reads.incidents(wire.box.db)] == ["damaged_file"]
        assert not list(folder.glob("*.whole")) and not list(folder.glob("*.damaged-2"))
        assert (
            len(read_damaged(linked).epochs[0].newest.entries) == 9
        )  # with its journal, if it was not brought into it
        wire.box.db.close()
    wire.box.start()
