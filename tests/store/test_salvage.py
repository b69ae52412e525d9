"""A damaged ledger is moved aside as it is, another is begun, and what can be proved of it reaches the central under its own keys."""

import itertools
import random
from pathlib import Path

import pytest

from agent.domain.card import parse_card_id
from agent.export import write_export
from agent.readers.events import CardPresented
from agent.store import reads
from agent.store.salvage import damage, open_ledger, salvage
from agent.terminal import Terminal
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import both_sides_are_equal, the_books_are_right
from tests.parts.wire import KEY, TOWN, ZONE, Wire

PAGE_BYTES = 1024
NUMBERS = itertools.count(1)


def reopened(wire: Wire) -> None:
    """Start the terminal as the program does."""
    box = wire.box
    box.db.close()
    bits = (f"{next(NUMBERS):016x}" for _ in range(3))
    box.db = open_ledger(box.path, town=TOWN, terminal="t-1", epoch_bits=lambda: next(bits), at=wire.clock.instant)
    box.core = Terminal(
        box.db, zone=ZONE, card_key=KEY, readers=["counter"], software="test", spread=lambda: 0.0, epoch_bits=lambda: "a" * 16
    )


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
    (aside,) = [path for path in wire.box.path.parent.glob("t-1.db.damaged-*") if path.suffix == ".damaged-1"]
    assert aside.read_bytes() == rotten
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.central.balance("a-2") == -20 * 366
    assert wire.central.one("SELECT count(*) FROM entry") == 40
    assert wire.box.balance("a-1") == -20 * 366
    assert [kind for _, kind, _ in reads.incidents(wire.box.db)] == ["damaged_file"]
    assert wire.box.tap(CARD) == "already_served"  # what was eaten today is still known here
    wire.settle()
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


@pytest.mark.parametrize("where", [0, 16, 100, 1100])
def test_a_file_that_is_no_database_any_more_is_begun_anew_and_records_come_back(wire: Wire, where: int) -> None:
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
        assert damage(wire.box.db) is None and list(reads.verify(wire.box.db)) == []
        assert [kind for _, kind, _ in reads.incidents(wire.box.db)] == ["damaged_file"]
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
    assert [len(one.entries) for one in salvage(found, wire.box.path, "b" * 16)] == [4]
    assert salvage(found, wire.box.path, "c" * 16) == []  # once
    wire.box.start()
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -3 * 366
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_an_export_and_the_network_together_book_once(wire: Wire, tmp_path: Path) -> None:
    from agent.cli_central import central

    wire.disconnect()
    lunches(wire, 60)
    assert write_export(wire.box.db, tmp_path / "stick") == 120
    for _ in range(2):
        central(["--db", str(wire.central.path), "import-ledger", str(tmp_path / "stick")], standalone_mode=False)
    assert wire.central.balance("a-1") == -60 * 366
    wire.connect()
    wire.settle()
    assert wire.central.balance("a-1") == wire.box.balance("a-1") == -60 * 366
    central(["--db", str(wire.central.path), "import-ledger", str(tmp_path / "stick")], standalone_mode=False)
    wire.box.tap(CARD)
    wire.pass_time(400_000)
    both_sides_are_equal(wire)
    the_books_are_right(wire.central.ledger)


def test_a_record_that_cannot_be_read_any_more_does_not_end_the_agent_again_and_again(wire: Wire) -> None:
    """A flipped bit in a record that is no JSON, no text or no account afterwards: begun anew, and the central tells all again."""
    for rotten in (b'{"balance":1', b"\xff\xfe", b'{"balance":"x"}'):
        lunches(wire, 1)
        wire.settle()
        wire.box.db.sql.execute("PRAGMA ignore_check_constraints = ON")
        wire.box.db.sql.execute("UPDATE record SET body = CAST(? AS TEXT) WHERE kind = 'account' AND id = 'a-1'", (rotten,))
        reopened(wire)
        assert [kind for _, kind, _ in reads.incidents(wire.box.db)] == ["damaged_file"]
        wire.disconnect()
        wire.connect()
        wire.settle()
        assert wire.box.balance("a-1") == wire.central.balance("a-1")
    both_sides_are_equal(wire)
