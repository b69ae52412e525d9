"""Rules about `changes` that other centrals had to guess, as the reference central obeys them."""

import json
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from agent.central.office.terminals import order
from agent.store.standing import standing
from tests.conftest import CARD, OTHER_CARD
from tests.invariants import both_sides_are_equal
from tests.parts.foreign_terminal import ForeignTerminal, meal, sealed
from tests.parts.wire import Wire

DAY_MS = 24 * 3_600_000


# C40 C41
def test_each_record_has_a_position_of_its_own_within_its_message(wire: Wire) -> None:
    for n in range(120):
        wire.central.add_account(f"b-{n}")
    wire.box.tap(CARD)
    wire.box.tap("a:04ffffff112233")
    wire.settle()
    wire.central.assign("a:04ffffff112233", "b-1")  # with a note
    order(wire.central.books, "t-1", "resync")
    wire.settle()
    sent = [json.loads(raw) for topic, raw in wire.log if topic.endswith("/changes")]
    assert max(len(message.get("records", [])) for message in sent) > 1
    for message in sent:
        positions = [record["p"] for record in message.get("records", [])]
        assert all(before < after for before, after in pairwise(positions))
        assert all(message["from"] < p <= message["to"] for p in positions)


# C36 C102
def test_a_batch_that_is_ignored_is_answered_and_acked_does_not_move(
    foreign: ForeignTerminal,
) -> None:
    first = sealed(meal(), 1, foreign.previous)
    second = sealed(meal(), 2, first["hash"])
    third = sealed(meal(), 3, second["hash"])
    answer = foreign.send_raw([third], prev=second["hash"])
    assert (answer["acked"]["seq"], answer["to"]) == (0, answer["from"])


# C107 C108
@pytest.mark.parametrize("restores", [1, 2])
def test_one_restore_with_four_terminals_makes_one_generation(
    tmp_path: Path, restores: int
) -> None:
    """Each of the four has its own proof: position, acknowledged entries, an earlier epoch."""
    names = ("t-1", "t-2", "t-3", "t-4")
    with closing(Wire(tmp_path, *names)) as wire:
        wire.central.policy()
        wire.central.add_account("a-1", cards=(CARD,))
        wire.central.add_account("a-2", cards=(OTHER_CARD,))
        wire.connect()
        for number in range(1, restores + 1):
            wire.central.back_up(tmp_path / "backup.db")
            wire.boxes["t-1"].tap(CARD)
            wire.boxes["t-2"].tap(OTHER_CARD)
            wire.settle()
            order(wire.central.books, "t-2", "new_epoch")
            wire.settle()
            wire.boxes["t-3"].tap("a:04ffffff112233")
            wire.central.credit("a-1", 500, f"r-{number}")
            wire.settle()
            wire.disconnect()
            wire.central.restore(tmp_path / "backup.db")
            wire.connect()
            for _ in range(6):
                wire.pass_time(120_000)
            counted = wire.central.value(
                "SELECT count(*) FROM incident WHERE kind = 'new_generation'"
            )
            assert counted == number
            assert len({standing(box.db).generation for box in wire.boxes.values()}) == 1
            both_sides_are_equal(wire)
            wire.pass_time(DAY_MS)


# C108
def test_a_generation_that_a_terminal_named_proves_a_restore_once(tmp_path: Path) -> None:
    """The backup is from before the generation that all four terminals have."""
    with closing(Wire(tmp_path, "t-1", "t-2", "t-3", "t-4")) as wire:
        wire.central.policy()
        wire.connect()
        for box in wire.boxes.values():
            box.db.sql.execute("UPDATE terminal SET generation = ?", ("d00d" * 8,))
            box.db.cache.clear()
        wire.disconnect()
        wire.connect()
        for _ in range(4):
            wire.pass_time(120_000)
        counted = "SELECT count(*) FROM incident WHERE kind = 'new_generation'"
        assert wire.central.value(counted) == 1
        both_sides_are_equal(wire)
