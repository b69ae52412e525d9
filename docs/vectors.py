"""Prints docs/reference/protocol/vectors/: values to test another program of the contract with.

`python -m docs.vectors` writes them, `--check` ends with 1 when one differs. All come from the
program: tokens, hashes and digests from its functions, exchanges from a real terminal and a real
central. Times and random numbers are fixed.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.central.office.terminals import order
from agent.domain.card import card_token, parse_card_id
from agent.domain.digest import Tally, tally
from agent.domain.ledger import canonical, chain_hash, genesis
from agent.store.standing import standing
from agent.sync.events import Arrived
from docs import printed
from tests.parts.wire import KEY, TODAY, TOWN, Box, Clock, Wire

FOLDER = printed.ROOT / "docs" / "reference" / "protocol" / "vectors"
CARD, UNKNOWN = "a:04a1b2c3d4e5f6", "em:010063e9ae"
OTHERS = "b:d0021a2b3c4d5e6f", "f:0123456789abcdef", "v:e004010012345678"
CARDS = (CARD, "a:a1b2c3d4", UNKNOWN, *OTHERS)
EPOCH = "1-00000000000000aa"
GENERATION = "c0ffee" * 4 + "5ea1c0de"
LEADING_ZEROS = "00"


def tokens() -> dict[str, Any]:
    """Return a key file, and the token of a card of each technology."""
    cards = {card_id: card_token(KEY, parse_card_id(card_id)) for card_id in CARDS}
    return {"key_file": f"{KEY.hex()}\n", "tokens": cards}


def entries() -> dict[str, Any]:
    """Return entries with their hashes: of each kind, and with members that version 1 lacks."""
    made = {"at": "2026-11-23T11:02:05.331Z", "clock": "synced", "boot": "b", "mono_ms": 8123345}
    meal = {"kind": "meal", "cents": -366, "account": "a-1041", "service": "lunch", "day": TODAY}
    drafts: list[dict[str, Any]] = [
        {**meal, **made, "how": "card", "flags": ["on_credit"]},
        {"kind": "refusal", "cents": 0, "reason": "unreadable", **made, "how": "card"},
        {**meal, **made, "how": "manual", "of_a_later_version": {"b": [1, None], "a": "è \n"}},
        {"kind": "closing", "cents": 0, "trays": 2, "served": 2, **made, "how": "manual"},
    ]
    start = previous = genesis(TOWN, "t-1", EPOCH)
    sent = []
    for seq, draft in enumerate(drafts, start=1):
        body = canonical({**draft, "seq": seq})
        previous = chain_hash(previous, body)
        sent.append({"entry": {**draft, "seq": seq, "hash": previous}, "canonical": body.decode()})
    return {
        "town": TOWN,
        "terminal": "t-1",
        "epoch": EPOCH,
        "first_hash": start,
        "entries": sent,
    }


def digest() -> dict[str, Any]:
    """Return records of each kind, one unknown, with a digest whose sum begins with zeros."""
    records: list[dict[str, Any]] = [
        {"k": "account", "id": "a-1041", "p": 7, "balance": 1634, "of_a_later_version": [1, 2]},
        {"k": "account", "id": "a-1042", "p": 4, "balance": -1000, "category": "of_a_later_one"},
        {"k": "card", "id": card_token(KEY, parse_card_id(CARD)), "p": 5, "account": "a-1041"},
        {"k": "policy", "from": "2026-09-01", "p": 2, "shortage": "refuse", "floor": -500},
        {"k": "service", "id": "lunch", "p": 1, "name": "Pranzo", "opens": "12:00",
         "closes": "14:15"},
        {"k": "menu", "id": "of a later version", "p": 0, "dish": "pasta"},
    ]  # fmt: skip
    while True:
        records[-1]["p"] += 1
        total = tally(((record["k"], canonical(record)) for record in records), Tally())
        if total.sum_hex.startswith(LEADING_ZEROS):
            break
    parts = [{"record": record, "canonical": canonical(record).decode()} for record in records]
    expected = {
        "accounts": total.accounts,
        "cards": total.cards,
        "cents": total.cents,
        "sum": total.sum_hex,
    }
    return {"records": parts, "digest": expected}


def chunked_reset() -> dict[str, Any]:
    """Return a snapshot in two chunks while a record changes, and what the terminal holds."""
    with tempfile.TemporaryDirectory() as folder:
        box = Box("t-1", Path(folder) / "t-1.db", Clock())
        steps = []
        for message in _chunks(box):
            topic = f"canteen/v1/{TOWN}/t/t-1/changes"
            box.handle(Arrived(topic=topic, payload=canonical(message), receipt=None))
            steps.append({"changes": message, "then": _holds(box)})
        box.db.close()
    return {"steps": steps}


def _chunks(box: Box) -> Iterator[dict[str, Any]]:
    """Yield a first snapshot, an order to resync, and a snapshot in two chunks."""
    own = standing(box.db)
    acked = {"epoch": own.epoch, "seq": 0, "hash": own.acked.hash}
    base = {"generation": GENERATION, "acked": acked, "at": "2026-11-23T11:05:00.000Z"}
    first, other, gone = (
        {"k": "account", "id": name, "p": p, "balance": 100 * p}
        for p, name in ((1, "a-1"), (2, "a-2"), (3, "a-9"))
    )
    records = [first, other, gone]
    yield {**base, "from": 0, "to": 3, "reset": True, "until": 3, "records": records}
    resync = {"id": f"o-{GENERATION[-8:]}-1", "do": "resync"}
    yield {**base, "from": 3, "to": 3, "order": resync}
    yield {**base, "from": 0, "to": 1, "reset": True, "until": 4, "more": True, "records": [first]}
    changed, new = {**first, "p": 6, "balance": 50}, {**gone, "id": "a-3", "p": 4}
    yield {**base, "from": 1, "to": 4, "more": True, "records": [other, new]}
    held = [changed, other, new]
    total = tally((("account", canonical(record)) for record in held), Tally())
    expected = {
        "position": 6, "accounts": 3, "cards": 0, "cents": total.cents, "sum": total.sum_hex
    }  # fmt: skip
    yield {**base, "from": 4, "to": 6, "records": [changed], "digest": expected}


def epoch_change() -> dict[str, Any]:
    """Return an exchange in which the terminal begins a new epoch by order."""

    def play(wire: Wire) -> None:
        wire.box.tap(CARD)
        wire.settle()
        order(wire.central.books, "t-1", "new_epoch")
        wire.settle()
        wire.box.tap(UNKNOWN)
        wire.settle()
        wire.pass_time(300_000)

    return _exchange(play)


def restore() -> dict[str, Any]:
    """Return an exchange with a central that was restored from a backup of before two meals."""

    def play(wire: Wire) -> None:
        wire.box.tap(CARD)
        wire.settle()
        backup = wire.central.path.with_suffix(".backup")
        wire.central.back_up(backup)
        wire.box.tap(UNKNOWN)
        wire.central.credit("a-1041", 2_000, "iuv-1")
        wire.settle()
        wire.disconnect()
        wire.central.restore(backup)
        wire.connect()
        wire.pass_time(300_000)

    return _exchange(play)


def _exchange(play: Callable[[Wire], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, closing(Wire(Path(folder))) as wire:
        wire.central.policy()
        wire.central.add_account("a-1041", cards=(CARD,))
        wire.connect()
        play(wire)
        messages = []
        for topic, payload in wire.log:
            leaf = topic.rpartition("/t/t-1/")[2]
            if leaf in ("hello", "entries", "changes"):
                messages.append({leaf: json.loads(payload)})
        return {"town": TOWN, "terminal": "t-1", "messages": messages, "then": _holds(wire.box)}


def _holds(box: Box) -> dict[str, Any]:
    """Return what a terminal holds of the central."""
    own = standing(box.db)
    rows = box.db.rows("SELECT body FROM record ORDER BY kind, id")
    return {
        "generation": own.generation,
        "position": own.position,
        "acked": {"epoch": own.acked.epoch, "seq": own.acked.seq},
        "in_a_snapshot": own.resyncing,
        "records": [json.loads(body) for (body,) in rows],
    }


VECTORS: dict[str, Callable[[], dict[str, Any]]] = {
    "tokens": tokens,
    "entries": entries,
    "digest": digest,
    "chunked-reset": chunked_reset,
    "epoch-change": epoch_change,
    "restore": restore,
}


def texts() -> dict[Path, str]:
    """Return every file of vectors with its text."""
    return {
        FOLDER / f"{name}.json": json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        for name, make in VECTORS.items()
    }


def main(check: bool) -> int:
    return printed.finish(texts(), check=check)


if __name__ == "__main__":
    logging.disable()  # incidents of the exchange
    sys.exit(main(printed.wants_check()))
