"""A terminal of another maker: it sends the central whatever a test wants, in valid chains."""

import json
from typing import Any

from agent.central.office.terminals import add_terminal
from agent.domain.ledger import canonical, chain_hash, genesis
from tests.parts.wire import SITE, TODAY, TOWN, Central

EPOCH = "1-00000000000000aa"
NAME = "t-9"
START = genesis(TOWN, NAME, EPOCH)


def meal(**changes: Any) -> dict[str, Any]:
    """Return a meal of a-1 without seq and hash; a change to None leaves a member out."""
    members = {
        "kind": "meal",
        "account": "a-1",
        "cents": -366,
        "service": "lunch",
        "day": TODAY,
        "at": "2026-11-23T11:02:05.331Z",
        "clock": "synced",
        "boot": "b",
        "mono_ms": 1,
        "how": "card",
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def sealed(entry: dict[str, Any], seq: int, previous: str) -> dict[str, Any]:
    """Return an entry with its seq and its hash."""
    members = {**entry, "seq": seq}
    return {**members, "hash": chain_hash(previous, canonical(members))}


class ForeignTerminal:
    """Registered at the central, and its first hello is answered."""

    def __init__(self, central: Central) -> None:
        self.central = central
        self.seq = 0
        self.previous = START
        self.entries: list[dict[str, Any]] = []
        add_terminal(central.books, NAME, SITE)
        self.hello()

    def hello(self, **changes: Any) -> dict[str, Any]:
        """Send a hello and return the answer."""
        hello = {
            "epoch": EPOCH,
            "oldest": 1,
            "last": self.seq,
            "acked": 0,
            "head": self.previous,
            "acked_head": START,
            "generation": None,
            "position": 0,
            "order_done": None,
            "software": "other",
            "schema": 1,
            "clock": "synced",
            "at": self.central.clock.instant,
            **changes,
        }
        return self.receive("hello", hello)

    def send(self, *entries: dict[str, Any]) -> dict[str, Any]:
        """Send entries as one batch that continues the chain, and return the answer."""
        previous = self.previous
        for entry in entries:
            self.seq += 1
            self.entries.append(sealed(entry, self.seq, self.previous))
            self.previous = self.entries[-1]["hash"]
        return self.send_raw(self.entries[-len(entries) :], prev=previous)

    def send_raw(self, entries: list[Any], *, prev: str) -> dict[str, Any]:
        """Send a batch as it is, and return the answer."""
        return self.receive("entries", {"epoch": EPOCH, "prev": prev, "entries": entries})

    def storno(self, seq: int, **changes: Any) -> dict[str, Any]:
        """Return a storno of the meal with a seq."""
        reverses = {"epoch": EPOCH, "seq": seq, "hash": self.entries[seq - 1]["hash"]}
        return meal(**{"kind": "storno", "cents": 366, "reverses": reverses, **changes})

    def receive(self, leaf: str, message: dict[str, Any]) -> dict[str, Any]:
        """Let the central receive a message, and return its answer; {} if it has none."""
        topic = f"canteen/v1/{TOWN}/t/{NAME}/{leaf}"
        sent = self.central.exchange.receive(
            topic, json.dumps(message).encode(), self.central.clock.instant
        )
        return json.loads(sent[0].payload) if sent else {}

    def verdict(self, seq: int | None = None) -> tuple[str, str]:
        """Return status and reason of an entry, the newest if no seq is given."""
        status, reason = self.central.books.rows(
            "SELECT status, reason FROM entry WHERE terminal = ? AND seq = ?",
            (NAME, seq or self.seq),
        )[0]
        return str(status), str(reason)
