"""A broken central makes a terminal do little: one resync, epoch, generation in some minutes."""

import json
from collections.abc import Callable

import msgspec
import pytest

from agent.store import lists
from agent.store.standing import standing
from agent.sync.session import HELLO_BURST, HELLO_EVERY_MS
from agent.terminal.brakes import EPOCH_EVERY_MS, GENERATION_EVERY_MS, RESYNC_EVERY_MS
from tests.conftest import CARD
from tests.parts.wire import Wire

Spoil = Callable[[dict[str, object], int], None]
MINUTES = 20


def order(do: str) -> Spoil:
    def spoil(changes: dict[str, object], n: int) -> None:
        generation = str(changes["generation"])
        changes["order"] = {"id": f"o-{generation[-8:]}-{n}", "do": do}

    return spoil


def generation(changes: dict[str, object], n: int) -> None:
    changes |= {"replaces": changes["generation"], "generation": f"{n + 2**32:032x}"}
    changes |= {"reset": True, "from": 0, "until": changes["to"]}


def digest(changes: dict[str, object], n: int) -> None:
    if changes.get("digest"):
        changes["digest"] = {**changes["digest"], "sum": f"{n:016x}"}  # type: ignore[dict-item]


class BrokenCentral:
    """A central that changes each of its answers."""

    def __init__(self, wire: Wire, spoil: Spoil) -> None:
        self._wire = wire
        self._spoil = spoil
        self._count = 0
        self._generation: object = None
        wire.drop = self._replace

    def _replace(self, topic: str, payload: bytes) -> bool:
        """Deliver a changed message in place of the one that came."""
        if not topic.endswith("/changes"):
            return False
        self._count += 1
        changes = json.loads(payload)
        own = standing(self._wire.box.db)
        changes["generation"] = own.generation
        self._spoil(changes, self._count)
        self._wire.drop = lambda topic, payload: False
        self._wire.deliver_down(topic, msgspec.json.encode(changes))
        self._wire.drop = self._replace
        return True


@pytest.mark.parametrize(
    ("spoil", "every_ms"),
    [
        (order("resync"), RESYNC_EVERY_MS),
        (order("new_epoch"), EPOCH_EVERY_MS),
        (generation, GENERATION_EVERY_MS),
        (digest, RESYNC_EVERY_MS),
    ],
    ids=["resync", "new_epoch", "generation", "digest"],
)
def test_a_central_that_spoils_every_answer_is_braked(
    wire: Wire, spoil: Spoil, every_ms: int
) -> None:
    before = len(lists.incidents(wire.box.db))
    hellos = len([topic for topic, _ in wire.log if topic.endswith("/hello")])
    (resyncs,) = wire.box.db.sql.execute("SELECT resync FROM terminal").fetchone()
    BrokenCentral(wire, spoil)
    wire.announce()
    for _ in range(MINUTES * 60):
        wire.pass_time(1_000)
    hellos = len([topic for topic, _ in wire.log if topic.endswith("/hello")]) - hellos
    allowed = MINUTES * 60_000 // every_ms + 1
    assert hellos <= HELLO_BURST + MINUTES * 60_000 // HELLO_EVERY_MS + 2 * allowed
    (after,) = wire.box.db.sql.execute("SELECT resync FROM terminal").fetchone()
    assert after - resyncs <= 2 * allowed
    (epochs,) = wire.box.db.sql.execute("SELECT count(*) FROM epoch").fetchone()
    assert epochs <= 1 + allowed
    assert len(lists.incidents(wire.box.db)) - before <= allowed + 2
    wire.box.tap(CARD)
    assert wire.box.lights[-1].name in ("SERVED", "ALREADY_SERVED")


def test_what_the_brake_counts_is_one_incident_with_the_count(wire: Wire) -> None:
    BrokenCentral(wire, order("resync"))
    for _ in range(200):
        wire.announce()
        wire.pass_time(1_000)
    (braked,) = [row for row in lists.incidents(wire.box.db) if row.kind == "braked"]
    assert "resync comes too soon after another one" in braked.detail
    assert "times, last " in braked.detail
