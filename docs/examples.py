"""Prints docs/reference/protocol/examples/: a message of each kind, from a real exchange.

`python -m docs.examples` writes them, `--check` ends with 1 when one differs. Times and random
numbers are fixed, so the same program prints the same bytes.
"""

import json
import logging
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from docs import printed
from tests.parts.wire import Wire

FOLDER = printed.ROOT / "docs" / "reference" / "protocol" / "examples"
CARD, UNKNOWN = "a:04a1b2c3d4e5f6", "em:010063e9ae"


def texts() -> dict[Path, str]:
    """Return every example with its text."""
    with tempfile.TemporaryDirectory() as folder, closing(Wire(Path(folder))) as wire:
        wire.central.policy()
        wire.central.add_account("a-1041", cards=(CARD,))
        wire.connect()
        wire.central.credit("a-1041", 2_000, "iuv-1")
        wire.box.tap(CARD)
        wire.box.tap(UNKNOWN)
        wire.box.tap(CARD)
        wire.box.ask("storno", seq=2)
        wire.box.ask("closing", trays=1)
        wire.settle()
        wire.pass_time(300_000)
        wire.central.exchange.push(wire.clock.instant)
        newest = {
            topic.rpartition("/t/t-1/")[2]: payload
            for topic, payload in wire.log
            if "/t/t-1/" in topic
        }
        answers = [payload for topic, payload in wire.log if topic.endswith("/changes")]
        named = {
            "hello": newest["hello"],
            "entries": max(
                (payload for topic, payload in wire.log if topic.endswith("/entries")), key=len
            ),
            "terminal-state": newest["state"],
            "changes-first": answers[0],
            "changes-after-a-batch": next(payload for payload in answers if b'"notes"' in payload),
            "changes-with-digest": next(
                payload for payload in reversed(answers) if b'"digest"' in payload
            ),
            "central-state": wire.central.exchange.state(wire.clock.instant, online=True).payload,
        }
    return {
        FOLDER / f"{name}.json": json.dumps(json.loads(payload), indent=1, ensure_ascii=False)
        + "\n"
        for name, payload in named.items()
    }


def main(check: bool) -> int:
    return printed.finish(texts(), check=check)


if __name__ == "__main__":
    logging.disable()  # incidents of the exchange
    sys.exit(main(printed.wants_check()))
