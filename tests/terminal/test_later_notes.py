"""A remark of the central follows what became of its entry, whatever happens to messages."""

import json
from pathlib import Path

from agent.central.feed import CHUNK_RECORDS
from agent.central.office.terminals import order
from agent.store import lists
from agent.store.standing import standing
from tests.invariants import notes_are_those_of_the_central
from tests.parts.wire import Wire, down

UNKNOWN = "a:04ffffff112233"


def notes(wire: Wire) -> list[str]:
    kinds = ("set_aside", "flagged")
    return [row.detail for row in lists.incidents(wire.box.db) if row.kind in kinds]


def serve_unknown(wire: Wire) -> None:
    wire.box.tap(UNKNOWN)
    wire.settle()
    assert notes(wire) == ["entry 1: unknown_card"]


# C95
def test_a_remark_is_withdrawn_when_the_card_gets_its_account(wire: Wire) -> None:
    serve_unknown(wire)
    assert wire.central.assign(UNKNOWN, "a-1") == 1
    wire.settle()
    assert notes(wire) == []
    notes_are_those_of_the_central(wire.box.db, wire.central.books, "t-1")


# C95
def test_a_withdrawal_that_is_lost_comes_with_the_next_hello(wire: Wire) -> None:
    serve_unknown(wire)
    wire.drop = lambda topic, payload: topic.endswith("/changes")
    wire.central.assign(UNKNOWN, "a-1")
    wire.settle()
    assert notes(wire) == ["entry 1: unknown_card"]
    wire.drop = lambda topic, payload: False
    wire.pass_time(300_000)
    assert notes(wire) == []


# C95
def test_an_old_message_does_not_bring_a_withdrawn_remark_back(wire: Wire) -> None:
    serve_unknown(wire)
    (early,) = [payload for topic, payload in wire.log if b'"unknown_card"' in payload]
    wire.central.assign(UNKNOWN, "a-1")
    wire.settle()
    (late,) = [payload for topic, payload in wire.log if b'"k":"note"' in payload]
    for payload in (early, late, early, late):
        down(wire, payload)
    assert notes(wire) == []


# C95
def test_a_snapshot_brings_remarks_that_changed(wire: Wire) -> None:
    serve_unknown(wire)
    wire.drop = lambda topic, payload: topic.endswith("/changes")
    wire.central.assign(UNKNOWN, "a-1")
    wire.settle()
    wire.drop = lambda topic, payload: False
    order(wire.central.books, "t-1", "resync")
    wire.settle()
    wire.pass_time(300_000)
    assert notes(wire) == [] and not standing(wire.box.db).resyncing
    assert "digest" not in [row.kind for row in lists.incidents(wire.box.db)]


# C95
def test_a_meal_that_becomes_the_second_one_gets_a_remark_later(two: Wire) -> None:
    """The other terminal's meal of the same service was earlier and comes later."""
    early, late = two.boxes["t-2"], two.boxes["t-1"]
    two.disconnect("t-2")
    early.tap("em:010063e9ae")
    two.clock.pass_ms(60_000)
    late.tap("em:010063e9ae")
    two.settle()
    assert notes(two) == []
    two.connect("t-2")
    two.settle()
    assert notes(two) == ["entry 1: already_served_elsewhere"]


# C96 C51
def test_a_remark_on_an_entry_that_the_backup_has_goes_with_its_reason(
    two: Wire, tmp_path: Path
) -> None:
    """The entry is booked before the backup, and its remark came after it."""
    early, late = two.boxes["t-2"], two.boxes["t-1"]
    two.disconnect("t-2")
    early.tap("em:010063e9ae")
    two.clock.pass_ms(60_000)
    late.tap("em:010063e9ae")
    two.settle()
    two.central.back_up(tmp_path / "backup.db")
    two.connect("t-2")
    two.settle()
    assert notes(two) == ["entry 1: already_served_elsewhere"]
    two.disconnect()
    two.central.restore(tmp_path / "backup.db")
    two.connect("t-1")
    for _ in range(3):
        two.pass_time(60_000)
    assert standing(late.db).acked.seq == 1 and notes(two) == []


# C96 C51
def test_a_remark_of_a_lost_generation_goes_with_it(two: Wire, tmp_path: Path) -> None:
    """The central is restored, and the meal that was the first one is on no disk any more."""
    lost, kept = two.boxes["t-2"], two.boxes["t-1"]
    two.central.back_up(tmp_path / "backup.db")
    two.disconnect("t-1")
    lost.tap("em:010063e9ae")
    two.settle()
    two.clock.pass_ms(60_000)
    kept.tap("em:010063e9ae")
    two.disconnect("t-2")
    two.connect("t-1")
    assert notes(two) == ["entry 1: already_served_elsewhere"]
    two.disconnect("t-1")
    two.central.restore(tmp_path / "backup.db")
    two.connect("t-1")
    for _ in range(3):
        two.pass_time(60_000)
    assert standing(kept.db).pending == 0 and notes(two) == []
    notes_are_those_of_the_central(kept.db, two.central.books, "t-1")


def test_many_remarks_come_in_chunks(wire: Wire) -> None:
    count = CHUNK_RECORDS + 10
    cards = [f"a:04ff{n:02x}ff112233" for n in range(count)]
    for card in cards:
        wire.box.tap(card)
    wire.settle()
    assert len(notes(wire)) == count
    wire.disconnect()
    for card in cards:
        wire.central.assign(card, "a-1")
    wire.connect()
    assert len(notes(wire)) == count - 1  # all but the first are second meals
    notes_are_those_of_the_central(wire.box.db, wire.central.books, "t-1")
    sent = [json.loads(payload) for topic, payload in wire.log if topic.endswith("/changes")]
    assert max(len(message.get("records", [])) for message in sent) == CHUNK_RECORDS


# C95
def test_a_terminal_that_asks_for_everything_gets_the_remarks_it_lost(wire: Wire) -> None:
    """Its disk was restored: the remark came with an earlier acknowledgement."""
    serve_unknown(wire)
    wire.box.db.sql.execute("DELETE FROM note")
    order(wire.central.books, "t-1", "resync")
    wire.settle()
    assert notes(wire) == ["entry 1: unknown_card"]
