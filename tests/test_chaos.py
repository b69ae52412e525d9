"""A wire that loses, doubles, delays and reorders; boxes that restart; a link that comes and goes: one seed, one run.

At rest both sides must be equal to the cent, and to what a model without any sync says. On the way no message may hold a
balance that contains other entries than it acknowledges.
"""

import random
from collections import deque
from pathlib import Path

import pytest

from agent.store import reads
from agent.sync.events import LinkUp
from tests.invariants import acked_says_what_balances_contain, all_is_well, the_chain_holds
from tests.parts.wire import Box, Wire

CARDS = [f"em:00000000{n:02x}" for n in range(1, 9)]
STEPS = 250


class Chaos:
    """`paid` is what was paid in, kept apart from all code under test."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.wire = Wire(folder, "t-1", "t-2")
        self.wire.central.policy()
        for n, card in enumerate(CARDS, start=1):
            self.wire.central.add_account(f"a-{n}", cards=(card,), price_cents=100 + n)
        self.wire.connect()
        self.late: deque[tuple[bool, str, bytes]] = deque()
        self.credits = 0
        self.paid = dict.fromkeys((f"a-{n}" for n in range(1, 9)), 0)
        self.wire.watch = self.look

    def step(self) -> None:
        match self.random.choices(
            ["tap", "storno", "credit", "carry", "restart", "cut", "join", "time", "central", "late"], [6, 1, 2, 12, 0.5, 1, 2, 2, 0.3, 2]
        )[0]:
            case "tap":
                self.box().tap(self.random.choice(CARDS))
            case "storno":
                self.box().ask("storno")
            case "credit":
                self.credits += 1
                account, cents = f"a-{self.random.randint(1, 8)}", self.random.randint(1, 999)
                self.paid[account] += cents
                self.wire.central.credit(account, cents, f"c-{self.credits}")
            case "carry":
                self.carry()
            case "restart":
                box = self.box()
                if box.name in self.wire.connected:
                    self.wire.disconnect(box.name)
                box.restart()
            case "cut":
                name = self.random.choice(["t-1", "t-2"])
                self.wire.disconnect(name)
            case "join":
                box = self.box()
                self.wire.connected.add(box.name)
                self.wire._send(box.name, box.core.handle(LinkUp(), box.reading()))
            case "time":
                self.wire.clock.pass_ms(self.random.choice([10, 1_000, 60_000, 3_600_000]))
                if self.wire.clock.now.hour > 12:  # the next day's lunch
                    self.wire.clock.pass_ms(22 * 3_600_000)
            case "central":
                self.wire.central.restart()
                self.wire.announce()
            case "late":
                if self.late:
                    upward, topic, payload = self.late[self.random.randrange(len(self.late))]
                    (self.wire.up if upward else self.wire.down).append((topic, payload))

    def carry(self) -> None:
        """Carry some messages, not all, not once, not in order."""
        self.wire.collect()
        for upward, line in ((True, self.wire.up), (False, self.wire.down)):
            for _ in range(self.random.randint(0, 3)):
                if not line:
                    break
                line.rotate(self.random.choice([0, 0, 0, 1]))
                topic, payload = line.popleft()
                self.late.append((upward, topic, payload))
                for _ in range(self.random.choice([0, 1, 1, 1, 2])):
                    (self.wire.deliver_up if upward else self.wire.deliver_down)(topic, payload)

    def look(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/changes"):
            acked_says_what_balances_contain(self.wire, payload)

    def box(self) -> Box:
        return self.wire.boxes[self.random.choice(["t-1", "t-2"])]

    def expected(self) -> dict[str, int]:
        """Return what every account should hold: paid in, less one price for each day with a standing meal anywhere."""
        eaten: set[tuple[str, str]] = set()
        for box in self.wire.boxes.values():
            undone = {(entry.reverses.epoch, entry.reverses.seq) for entry in box.entries() if entry.reverses}
            for epoch, entry, _, _ in reads.entries(box.db, newest=1_000_000):
                if entry.kind == "meal" and (epoch, entry.seq) not in undone and entry.account and entry.day:
                    eaten.add((entry.account, entry.day))
        prices = {f"a-{n}": 100 + n for n in range(1, 9)}
        return {account: cents - prices[account] * sum(a == account for a, _ in eaten) for account, cents in self.paid.items()}

    def rest(self) -> None:
        self.wire.connect()
        for _ in range(30):
            self.wire.pass_time(200_000)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_wire_does_both_sides_end_equal(tmp_path: Path, seed: int) -> None:
    chaos = Chaos(tmp_path, seed)
    for _ in range(STEPS):
        chaos.step()
    chaos.rest()
    for box in chaos.wire.boxes.values():
        the_chain_holds(box.db)
    all_is_well(chaos.wire)
    assert {account: chaos.wire.central.balance(account) for account in chaos.paid} == chaos.expected()
